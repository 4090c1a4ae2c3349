"""Windows event logs (EVTX): chunks checked and counted here, records decoded by the `evtx` package.

Format: Microsoft's [MS-EVEN6] BinXml and the descriptions of the file by Andreas Schuster and Joachim Metz: a header block of
4096 bytes, then chunks of 65536 bytes. Records whose event id no log source wants are counted and not decoded.

No header is trusted: where the records that come out are not as many as a chunk says, the chunk is walked record by record, and
damaged stretches are bridged so that what follows them is still read. A file header is never needed.
"""

from __future__ import annotations

import functools
import io
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, cast

import msgspec

from tidewaiter.formats import evtx_chunks as chunks
from tidewaiter.formats.evtx_chunks import Chunk
from tidewaiter.formats.windows_quick import BROKEN, Quick, Values, straight
from tidewaiter.formats.windows_records import NO_USE, Found, Route, Routes, event_number, lower, microseconds, named_values
from tidewaiter.formats.windows_spared import Spared
from tidewaiter.log_source import Opened, WindowsRecord
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

FILE_MAGIC = b"ElfFile\x00"
HEADER_BYTES = 4096
GROUP = 8  # chunks decoded at a time: fewer starts of the decoder, and memory stays small
_UNUSED = bytes(chunks.CHUNK_BYTES)
_FILE_HEADER = "<8sQQQIHHHH"
_ROUTES_KEPT = 4096
_SIGN_OF_LIFE = 64  # chunks


def recognise(head: bytes) -> str | None:
    """Why these first bytes are an EVTX file, or None."""
    if head.startswith(FILE_MAGIC):
        return "file header ElfFile"
    if head[HEADER_BYTES : HEADER_BYTES + 8] == chunks.CHUNK_MAGIC:
        return "first chunk ElfChnk behind a damaged file header"
    return None


class _Attributes(msgspec.Struct, gc=False):
    values: dict[str, Any] = msgspec.field(name="#attributes", default_factory=dict)


class _Origin(msgspec.Struct, gc=False):
    Provider: _Attributes
    EventID: Any
    TimeCreated: _Attributes


class _OriginBody(msgspec.Struct, gc=False):
    System: _Origin


class _OriginDocument(msgspec.Struct, gc=False):
    """An event as far as it says where it comes from."""

    Event: _OriginBody


class _Values(msgspec.Struct, frozen=True, gc=False):
    SystemTime: Any = None
    ProcessID: Any = None
    UserID: Any = None


_NONE = _Values()


class _Element(msgspec.Struct, gc=False):
    values: _Values = msgspec.field(name="#attributes", default=_NONE)


class _System(msgspec.Struct, gc=False):
    TimeCreated: _Element
    EventRecordID: Any = None
    Execution: _Element | None = None
    Channel: Any = None
    Computer: Any = None
    Security: _Element | None = None


class _Body(msgspec.Struct, gc=False):
    System: _System
    EventData: Any = None
    UserData: Any = None


class _Document(msgspec.Struct, gc=False):
    """An event without where it comes from, which its beginning has said."""

    Event: _Body


_Row = dict[str, Any]  # of the decoder: event_record_id, timestamp, data
_DECODE = msgspec.json.Decoder(_Document).decode
_DECODE_ORIGIN = msgspec.json.Decoder(_OriginDocument).decode


class _Straight(NamedTuple):
    """How records of one place become events without a detour."""

    quick: Quick
    decode: Callable[[str], Any]


class _Place(NamedTuple):
    """What records with one beginning have in common."""

    route: Route
    provider: str  # in lower case
    event_id: int
    straight: _Straight | None = None


_UNKNOWN = cast("_Place", object())


class EvtxRecords:
    """The wanted records of one EVTX file. Counts in `account` every record that it does not yield."""

    def __init__(self, opened: Opened, account: Account, routes: Routes, spared: Spared) -> None:
        self._opened, self._account, self._routes, self._spared = opened, account, routes, spared
        self._templates: dict[bytes, bool] = {}
        self._by_prefix: dict[str, _Place | None] = {}

    def __iter__(self) -> Iterator[Found]:
        """Yield wanted records in the order of the file. Raises OSError where the file cannot be read."""
        group: list[Chunk] = []
        for number, chunk in enumerate(self._chunks()):
            if not number % _SIGN_OF_LIFE:
                yield None
            thinned = self._thinned(chunk)
            if thinned is not None:
                if thinned.records:
                    group.append(thinned)
                if len(group) < GROUP:
                    continue
            yield from self._wanted(self._group_rows(group))
            group = []
            if thinned is None:
                yield from self._wanted(self._checked_rows(chunk))
        yield from self._wanted(self._group_rows(group))

    def _thinned(self, chunk: Chunk) -> Chunk | None:
        """The chunk without records of unwanted event ids, which are counted; None where it has to be checked."""
        found = chunks.thin(chunk, self._routes.event_ids, self._templates) if chunk.records else None
        if found is None:
            return None
        thinned, dropped = found
        if dropped:
            self._account.skip(NO_USE, dropped)
        return thinned

    def _chunks(self) -> Iterator[Chunk]:
        with self._opened.path.open("rb", buffering=0) as file:
            head = _read(file, HEADER_BYTES)
            if len(head) < HEADER_BYTES:
                self._account.damage_at(f"byte {len(head)}", "the file ends inside its header")
                return
            if not head.startswith(FILE_MAGIC):
                self._account.damage_at("byte 0", "the file header is damaged")
            offset = HEADER_BYTES
            while data := _read(file, chunks.CHUNK_BYTES):
                if data != _UNUSED[: len(data)]:  # space that was reserved and never used holds nothing
                    yield Chunk(offset, data, chunks.stated_records(data))
                offset += len(data)

    def _group_rows(self, group: list[Chunk]) -> Iterator[_Row]:
        """The records as they are decoded; where something is wrong with them, the chunks again, one by one."""
        if not group:
            return
        given: list[int] = []
        try:
            for row in _decoder(group):
                record_id = row["event_record_id"]
                if record_id != chunks.BRIDGE_ID:
                    given.append(record_id)
                    yield row
            if len(given) == sum(chunk.records for chunk in group):
                return
        except BaseException as error:  # the decoder's panics are no Exception; anything else goes on
            if not _of_decoder(error):
                raise
        again = Counter(given)
        for chunk in group:
            for row in self._checked_rows(chunk):
                if again[row["event_record_id"]] > 0:
                    again[row["event_record_id"]] -= 1
                else:
                    yield row

    def _checked_rows(self, chunk: Chunk) -> Iterator[_Row]:
        """The records of a chunk whose header is not believed."""
        if chunk.left_out:
            chunk = Chunk(chunk.offset, b"".join(chunks.pieces(chunk)), chunk.records)
        end, count, sound = chunks.walk(chunk.data)
        if not sound:
            yield from self._repaired_rows(chunk.offset, chunk.data)
        elif count:
            yield from self._chunk_rows(Chunk(chunk.offset, chunks.with_free_space(chunk.data, end), count))

    def _chunk_rows(self, chunk: Chunk) -> Iterator[_Row]:
        rows, problem = _decode(chunk)
        yield from rows
        missing = chunk.records - len(rows)
        if missing <= 0:
            return
        seen = {row["event_record_id"] for row in rows}
        for position, record_id in chunks.positions(chunk.data):
            if missing and record_id not in seen:
                self._account.damage_at(f"byte {chunk.offset + position}", problem or "the record cannot be decoded")
                missing -= 1
        if missing:
            self._account.damage_at(f"byte {chunk.offset}", problem or "records cannot be decoded", missing)

    def _repaired_rows(self, offset: int, data: bytes) -> Iterator[_Row]:
        chunk, count, lost = chunks.repair(data)
        for position, problem in lost:
            self._account.damage_at(f"byte {offset + position}", problem)
        if count:
            yield from self._chunk_rows(Chunk(offset, chunk, count))

    def _wanted(self, rows: Iterator[_Row]) -> Iterator[Found]:
        by_prefix, skipped = self._by_prefix, 0
        made: list[Event] = []
        for row in rows:
            # Provider and event id come before "Version" and few such beginnings occur in a file.
            data: str = row["data"]
            prefix = data[: data.find('"Version":')]
            place = by_prefix.get(prefix, _UNKNOWN)
            if place is _UNKNOWN:
                try:
                    place = self._place(_DECODE_ORIGIN(data).Event.System)
                except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                    self._account.damage_at(f"record {row['event_record_id']}", f"not as an event should be: {error}")
                    continue
                if len(by_prefix) < _ROUTES_KEPT:
                    by_prefix[prefix] = place
            if place is None:
                skipped += 1
            elif place.route.pass_over is not None and place.route.pass_over.has_text(data):
                self._account.skip(place.route.pass_over.reason)
            elif place.straight is not None and (event := self._event(place, place.straight, data)) is not None:
                if not isinstance(event, bool):
                    made.append(event)
            elif (record := self._record(place, row)) is not None:
                if made:
                    yield made
                    made = []
                yield place.route, record
        if made:
            yield made
        if skipped:
            self._account.skip(NO_USE, skipped)

    def _place(self, origin: _Origin) -> _Place | None:
        provider, event_id = origin.Provider.values.get("Name"), event_number(origin.EventID)
        if not isinstance(provider, str) or event_id is None:
            return None
        route = self._routes.find(provider, event_id)
        if route is None:
            return None
        quick = getattr(route.source, "quick", {}).get(event_id)
        return _Place(
            route, lower(provider), event_id, _Straight(quick, _decoder_of(quick.form)) if quick is not None else None
        )

    def _event(self, place: _Place, way: _Straight, data: str) -> Event | bool | None:
        """The event of a usual record; True where it was counted and makes none, None where `_record` has to read it."""
        try:
            event = way.decode(data).Event
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        system, values = event.System, event.EventData
        stated, host = microseconds(system.TimeCreated.values.SystemTime), system.Computer
        if stated is None or not isinstance(host, str) or not values.many():
            return None
        time = way.quick.moment(microseconds(values.utc_time), stated)
        if place.route.spared is not None:
            if not self._spared.knows(place.provider, place.event_id, host):
                return None
            return self._spared.takes(place.route, place.provider, place.event_id, host, time)
        if way.quick.make is None:
            return None
        record = str(system.EventRecordID)
        try:
            return way.quick.make(values, time, self._opened.log_file, record, host)
        except BROKEN as error:
            self._account.damage_at(f"record {record}", f"{type(error).__name__}: {error}")
            return True

    def _record(self, place: _Place, row: _Row) -> WindowsRecord | None:
        try:
            event = _DECODE(row["data"]).Event
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._account.damage_at(f"record {row['event_record_id']}", f"not as an event should be: {error}")
            return None
        system = event.System
        time = microseconds(system.TimeCreated.values.SystemTime)
        if time is None:
            self._account.damage_at(f"record {row['event_record_id']}", "no time of creation")
            return None
        user_id = system.Security.values.UserID if system.Security else None
        process_id = system.Execution.values.ProcessID if system.Execution else None
        return WindowsRecord(
            provider=place.provider,
            event_id=place.event_id,
            channel=system.Channel if isinstance(system.Channel, str) else None,
            computer=system.Computer if isinstance(system.Computer, str) else None,
            time=time,
            log_file=self._opened.log_file,
            record=str(system.EventRecordID),
            data=named_values(event.EventData if event.EventData is not None else event.UserData),
            user_id=user_id if isinstance(user_id, str) else None,
            process_id=process_id if isinstance(process_id, int) else None,
        )


@functools.cache
def _decoder_of(form: type[Values]) -> Callable[[str], Any]:
    return cast("Callable[[str], Any]", msgspec.json.Decoder(straight(form, _System)).decode)


def _read(file: io.FileIO, size: int) -> bytes:
    """So many bytes, fewer at the end of the file: as a buffered file reads them, but never a byte more nor twice."""
    data = file.read(size) or b""
    while 0 < len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _decoder(group: list[Chunk]) -> Iterable[_Row]:
    """The decoder on a file of these chunks. Raises what `_of_decoder` knows, also later."""
    from evtx import PyEvtxParser

    header = struct.pack(_FILE_HEADER, FILE_MAGIC, 0, len(group) - 1, 1, 128, 1, 3, HEADER_BYTES, len(group))
    source = io.BytesIO(b"".join((header.ljust(HEADER_BYTES, b"\x00"), *chain.from_iterable(map(chunks.pieces, group)))))
    return cast("Iterable[_Row]", PyEvtxParser(source, 1).records_json())


def _of_decoder(error: BaseException) -> bool:
    """Whether the decoder says that a record is bad; its panics are no Exceptions."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _decode(chunk: Chunk) -> tuple[list[_Row], str | None]:
    """The records of one chunk as the decoder gives them, and the first problem it met."""
    rows: list[_Row] = []
    problem: str | None = None
    records: Iterable[_Row] | None = None
    for _ in range(chunk.records + 2):  # each turn but the last ends at one more bad record
        try:
            if records is None:
                records = _decoder([chunk])
            rows.extend(records)  # an error keeps what was decoded before it
            break
        except BaseException as error:  # the decoder's panics are no Exception; anything else goes on
            if not _of_decoder(error):
                raise
            problem = problem or str(error).partition("\n")[0]
            if records is None:
                break
    return [row for row in rows if row["event_record_id"] != chunks.BRIDGE_ID], problem
