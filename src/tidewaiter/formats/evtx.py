"""Windows event logs (EVTX): chunks checked and counted here, records decoded by the `evtx` package.

Format: Microsoft's [MS-EVEN6] BinXml and the description of the file by Andreas Schuster and Joachim Metz: a header block of
4096 bytes, then chunks of 65536 bytes with 512 bytes of header; a record is magic, size, id, time, BinXml, size again.

The chunk headers are not trusted: records are walked, damaged stretches are bridged so that what follows them is still read,
and a file header is never needed. Chunks in which no wanted provider's name occurs are counted, not decoded: a provider's
name is always stored as UTF-16 text in the chunk that uses it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

import msgspec

from tidewaiter.formats.windows_records import NO_USE, Route, Routes, event_number, microseconds, named_values
from tidewaiter.log_source import Opened, WindowsRecord
from tidewaiter.schema.account import Account

FILE_MAGIC = b"ElfFile\x00"
CHUNK_MAGIC = b"ElfChnk\x00"
RECORD_MAGIC = b"**\x00\x00"
HEADER_BYTES = 4096
CHUNK_BYTES = 65_536
CHUNK_HEADER_BYTES = 512
LEAST_RECORD = 28
GROUP = 8  # chunks decoded at a time: fewer starts of the decoder, and memory stays small
BRIDGE_ID = 0xFFFF_FFFF_FFFF_FFFF
_FREE_SPACE_AT = 48
_RECORD_HEAD = struct.Struct("<4sI")
_FILE_HEADER = "<8sQQQIHHHH"
_ROUTES_KEPT = 4096


def recognise(head: bytes) -> str | None:
    """Why these first bytes are an EVTX file, or None."""
    if head.startswith(FILE_MAGIC):
        return "file header ElfFile"
    if head[HEADER_BYTES : HEADER_BYTES + 8] == CHUNK_MAGIC:
        return "first chunk ElfChnk behind a damaged file header"
    return None


class _Attributes(msgspec.Struct):
    values: dict[str, Any] = msgspec.field(name="#attributes", default_factory=dict)


class _System(msgspec.Struct):
    Provider: _Attributes
    EventID: Any
    TimeCreated: _Attributes
    EventRecordID: Any = None
    Execution: _Attributes | None = None
    Channel: Any = None
    Computer: Any = None
    Security: _Attributes | None = None


class _Body(msgspec.Struct):
    System: _System
    EventData: Any = None
    UserData: Any = None


class _Document(msgspec.Struct):
    Event: _Body


class _Chunk(NamedTuple):
    offset: int  # in the file
    data: bytes
    records: int


_Row = dict[str, Any]  # of the decoder: event_record_id, timestamp, data
_DECODER = msgspec.json.Decoder(_Document)


class EvtxRecords:
    """The wanted records of one EVTX file. Counts in `account` every record that it does not yield."""

    def __init__(self, opened: Opened, account: Account, routes: Routes) -> None:
        self._opened, self._account, self._routes = opened, account, routes
        self._needles = tuple(name.encode("utf-16-le") for name in routes.providers)
        self._by_prefix: dict[str, Route | None] = {}

    def __iter__(self) -> Iterator[tuple[Route, WindowsRecord]]:
        """Yield wanted records in the order of the file. Raises OSError where the file cannot be read."""
        group: list[_Chunk] = []
        for offset, data in self._chunks():
            end, count, sound = walk(data)
            if sound and count and not self._may_be_wanted(data):
                self._account.skip(NO_USE, count)
                continue
            if sound:
                if count:
                    group.append(_Chunk(offset, _with_free_space(data, end), count))
                if len(group) == GROUP:
                    yield from self._wanted(self._group_rows(group))
                    group = []
                continue
            yield from self._wanted(self._group_rows(group))
            group = []
            yield from self._wanted(self._repaired_rows(offset, data))
        yield from self._wanted(self._group_rows(group))

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        with self._opened.path.open("rb") as file:
            head = file.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES:
                self._account.damage_at(f"byte {len(head)}", "the file ends inside its header")
                return
            if not head.startswith(FILE_MAGIC):
                self._account.damage_at("byte 0", "the file header is damaged")
            offset = HEADER_BYTES
            while data := file.read(CHUNK_BYTES):
                if data.strip(b"\x00"):  # space that was reserved and never used holds nothing
                    yield offset, data
                offset += len(data)

    def _may_be_wanted(self, data: bytes) -> bool:
        lowered = data.lower()  # touches ASCII letters only, also those of UTF-16 text
        return any(needle in lowered for needle in self._needles)

    def _group_rows(self, group: list[_Chunk]) -> Iterator[_Row]:
        if not group:
            return
        expected = sum(chunk.records for chunk in group)
        rows, problem = _decode([chunk.data for chunk in group], expected)
        if problem is None and len(rows) == expected:
            yield from rows
            return
        for chunk in group:  # again one by one, to name the place
            yield from self._chunk_rows(chunk)

    def _chunk_rows(self, chunk: _Chunk) -> Iterator[_Row]:
        rows, problem = _decode([chunk.data], chunk.records)
        yield from rows
        missing = chunk.records - len(rows)
        if missing <= 0:
            return
        seen = {row["event_record_id"] for row in rows}
        for position, record_id in positions(chunk.data):
            if missing and record_id not in seen:
                self._account.damage_at(f"byte {chunk.offset + position}", problem or "the record cannot be decoded")
                missing -= 1
        if missing:
            self._account.damage_at(f"byte {chunk.offset}", problem or "records cannot be decoded", missing)

    def _repaired_rows(self, offset: int, data: bytes) -> Iterator[_Row]:
        chunk, count, lost = repair(data)
        for position, problem in lost:
            self._account.damage_at(f"byte {offset + position}", problem)
        if count:
            yield from self._chunk_rows(_Chunk(offset, chunk, count))

    def _wanted(self, rows: Iterator[_Row]) -> Iterator[tuple[Route, WindowsRecord]]:
        by_prefix, skipped = self._by_prefix, 0
        for row in rows:
            # Provider and event id come before "Version" and few such beginnings occur in a file.
            data: str = row["data"]
            prefix = data[: data.find('"Version":')]
            if prefix in by_prefix:
                route = by_prefix[prefix]
            else:
                system = self._system(row)
                if system is None:
                    continue
                route = self._route(system)
                if len(by_prefix) < _ROUTES_KEPT:
                    by_prefix[prefix] = route
            if route is None:
                skipped += 1
            elif route.passed_over is not None and route.passed_over[0].search(data):
                self._account.skip(route.passed_over[2])
            elif (record := self._record(row)) is not None:
                yield route, record
        if skipped:
            self._account.skip(NO_USE, skipped)

    def _route(self, system: _System) -> Route | None:
        provider, event_id = system.Provider.values.get("Name"), event_number(system.EventID)
        return self._routes.find(provider, event_id) if isinstance(provider, str) and event_id is not None else None

    def _event(self, row: _Row) -> _Body | None:
        try:
            return _DECODER.decode(row["data"]).Event
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._account.damage_at(f"record {row['event_record_id']}", f"not as an event should be: {error}")
            return None

    def _system(self, row: _Row) -> _System | None:
        event = self._event(row)
        return event.System if event else None

    def _record(self, row: _Row) -> WindowsRecord | None:
        event = self._event(row)
        if event is None:
            return None
        system = event.System
        time = microseconds(system.TimeCreated.values.get("SystemTime"))
        if time is None:
            self._account.damage_at(f"record {row['event_record_id']}", "no time of creation")
            return None
        return WindowsRecord(
            provider=str(system.Provider.values.get("Name")).lower(),
            event_id=event_number(system.EventID) or 0,
            channel=system.Channel if isinstance(system.Channel, str) else None,
            computer=system.Computer if isinstance(system.Computer, str) else None,
            time=time,
            log_file=self._opened.log_file,
            record=str(system.EventRecordID),
            data=named_values(event.EventData if event.EventData is not None else event.UserData),
            user_id=_text(system.Security, "UserID"),
            process_id=_whole(system.Execution, "ProcessID"),
        )


def _text(element: _Attributes | None, name: str) -> str | None:
    value = element.values.get(name) if element else None
    return value if isinstance(value, str) else None


def _whole(element: _Attributes | None, name: str) -> int | None:
    value = element.values.get(name) if element else None
    return value if isinstance(value, int) else None


def _decode(chunks: list[bytes], expected: int) -> tuple[list[_Row], str | None]:
    """The records of these chunks as the decoder gives them, and the first problem it met."""
    from evtx import PyEvtxParser

    header = struct.pack(_FILE_HEADER, FILE_MAGIC, 0, len(chunks) - 1, 1, 128, 1, 3, HEADER_BYTES, len(chunks))
    source = io.BytesIO(b"".join((header.ljust(HEADER_BYTES, b"\x00"), *chunks)))
    rows: list[_Row] = []
    problem: str | None = None
    records: Iterable[_Row] | None = None
    for _ in range(expected + len(chunks) + 1):  # each turn but the last ends at one more bad record
        try:
            if records is None:
                records = cast("Iterable[_Row]", PyEvtxParser(source, 1).records_json())
            rows.extend(records)  # an error keeps what was decoded before it
            break
        except BaseException as error:  # a panic of the decoder is no Exception
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            problem = problem or str(error).partition("\n")[0]
            if records is None:
                break
    return [row for row in rows if row["event_record_id"] != BRIDGE_ID], problem


def _head(data: bytes | bytearray, position: int, limit: int) -> int:
    """The size of the record at this position, or 0 where there is none."""
    magic, size = _RECORD_HEAD.unpack_from(data, position)
    return size if magic == RECORD_MAGIC and LEAST_RECORD <= size <= limit - position else 0


def walk(data: bytes) -> tuple[int, int, bool]:
    """The end and number of the records of a chunk, and whether nothing in it contradicts itself."""
    if len(data) < CHUNK_BYTES or not data.startswith(CHUNK_MAGIC):
        return 0, 0, False
    (free,) = struct.unpack_from("<I", data, _FREE_SPACE_AT)
    position, count = CHUNK_HEADER_BYTES, 0
    while position < CHUNK_BYTES - LEAST_RECORD:
        if position == free:  # what lies behind may be left over from earlier use of the chunk
            break
        size = _head(data, position, CHUNK_BYTES)
        if not size:
            break
        position += size
        count += 1
    return position, count, position >= free or not CHUNK_HEADER_BYTES <= free <= CHUNK_BYTES


def positions(data: bytes) -> Iterator[tuple[int, int]]:
    """Position and record number of the records of a sound chunk."""
    position, (end,) = CHUNK_HEADER_BYTES, struct.unpack_from("<I", data, _FREE_SPACE_AT)
    while position < min(end, CHUNK_BYTES - LEAST_RECORD) and (size := _head(data, position, CHUNK_BYTES)):
        yield position, int.from_bytes(data[position + 8 : position + 16], "little")
        position += size


def _with_free_space(data: bytes, end: int) -> bytes:
    """The chunk with the end of its records as its header should say it."""
    stated = struct.pack("<I", end)
    if data[_FREE_SPACE_AT : _FREE_SPACE_AT + 4] == stated:
        return data
    return b"".join((data[:_FREE_SPACE_AT], stated, data[_FREE_SPACE_AT + 4 :]))


def repair(data: bytes) -> tuple[bytes, int, list[tuple[int, str]]]:
    """A damaged chunk made readable: the chunk, the number of records in it, and what is lost (position, problem).

    Templates and strings are found by their position in the chunk, so nothing moves: a stretch that cannot be walked gets the
    head of one record that spans it.
    """
    lost: list[tuple[int, str]] = []
    limit = len(data)
    chunk = bytearray(data.ljust(CHUNK_BYTES, b"\x00"))
    if limit < CHUNK_BYTES:
        lost.append((limit, "the file ends inside a chunk"))
    if not chunk.startswith(CHUNK_MAGIC):
        lost.append((0, "not the head of a chunk"))
        chunk[:8] = CHUNK_MAGIC
    position, count = CHUNK_HEADER_BYTES, 0
    while position < limit - LEAST_RECORD:
        size = _head(chunk, position, limit)
        if size:
            position += size
            count += 1
            continue
        following = _next_record(chunk, position, limit)
        if following is None:
            break
        lost.append((position, "not the head of a record"))
        struct.pack_into("<4sIQ", chunk, position, RECORD_MAGIC, following - position, BRIDGE_ID)
        struct.pack_into("<I", chunk, following - 4, following - position)
        position = following
    struct.pack_into("<I", chunk, _FREE_SPACE_AT, position)
    if limit == CHUNK_BYTES and not lost:
        lost.append((position, "records end before the chunk says so"))
    return bytes(chunk), count, lost


def _next_record(chunk: bytearray, position: int, limit: int) -> int | None:
    """Where the next believable record begins: one whose size is repeated at its end."""
    found = position + LEAST_RECORD - 1
    while (found := chunk.find(RECORD_MAGIC, found + 1, limit)) >= 0:
        if found > limit - LEAST_RECORD:
            return None
        size = _head(chunk, found, limit)
        if size and chunk[found + size - 4 : found + size] == chunk[found + 4 : found + 8]:
            return found
    return None
