"""Export packets of NetFlow v5, v9 and IPFIX, one after the other in a file, cut into the rows of their records.

Format: Cisco's "NetFlow Services Solutions Guide" (v5), RFC 3954 (v9), RFC 7011 (IPFIX). A packet of v9 does not say how long
it is: it ends where the id of the next set is 5, 9 or 10, which no set may have and every packet begins with. Memory is bounded
by one block, the templates, and the data kept for templates that have not been seen yet.

An own reader: the libraries for Python make an object a field and read some ten thousand flows in a second of processor time.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tidewaiter.formats.flow_templates import (
    MOST_TEMPLATES,
    Field,
    Layout,
    Row,
    compile_layout,
    parse_fields,
)
from tidewaiter.schema.account import Account

BLOCK = 4 << 20
LONGEST_PACKET = 1 << 16
KEPT_FOR_TEMPLATES = 8 << 20
"""Bytes of data sets that wait for their template."""

_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds
_HEADERS = {5: struct.Struct(">HHIIIIBBH"), 9: struct.Struct(">HHIIII"), 10: struct.Struct(">HHIII")}
_START = re.compile(rb"\x00(?:\x05\x00[\x01-\x1e]|[\x09\x0a])", re.DOTALL)
_SET = struct.Struct(">HH")
_V5_FIELDS = (
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (210, 1), (6, 1), (4, 1),
    (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
)  # fmt: skip
_V5_SIZE = 48
_V5_MOST = 30


class Exported(NamedTuple):
    """What the header of a packet says."""

    version: int
    time: int  # microseconds since 1970 UTC at which it was exported
    booted: int | None  # microseconds since 1970 at which the exporter started; None in IPFIX
    uptime: int  # milliseconds since then
    domain: int
    sampling: int  # v5: one packet of so many; 0 unknown


class Records(NamedTuple):
    """The records of one data set."""

    header: Exported
    layout: Layout
    rows: list[Row]


class _BrokenPacketError(Exception):
    """The bytes at a place are no packet."""

    def __init__(self, at: int, problem: str) -> None:
        super().__init__(problem)
        self.at, self.problem = at, problem


def version_of(head: bytes, size: int) -> int | None:
    """5, 9 or 10 where a file of `size` bytes begins with an export packet, else None. Never raises."""
    version = int.from_bytes(head[:2], "big")
    if version not in _HEADERS or len(head) < _HEADERS[version].size + 4:
        return None
    return version if _plausible(memoryview(head), 0, version, size) else None


def _plausible(data: memoryview, at: int, version: int, size: int) -> bool:
    """Whether a packet may begin here: its time is one, and what follows the header fits."""
    header = _HEADERS[version]
    if at + header.size + 4 > len(data):
        return False
    fields = header.unpack_from(data, at)
    if not _EARLIEST < fields[2 if version == 10 else 3] < _LATEST:
        return False
    if version == 5:
        end = at + header.size + fields[1] * _V5_SIZE
        if 0 < fields[1] <= _V5_MOST:
            return end + 2 > len(data) or int.from_bytes(data[end : end + 2], "big") in _HEADERS
        return at == 0 and size >= header.size + _V5_SIZE and (size - header.size) % _V5_SIZE == 0
    number, length = _SET.unpack_from(data, at + header.size)
    known = number > 255 or number in ((0, 1) if version == 9 else (2, 3))
    room = fields[1] - header.size if version == 10 else LONGEST_PACKET
    return bool(known and 4 <= length <= room and at + header.size + length <= max(size, len(data)))


class FlowReader:
    """Reads the packets of one file and counts every record that is not a flow."""

    def __init__(self, wanted: frozenset[int], raw: frozenset[int], account: Account) -> None:
        self._wanted, self._raw, self._account = wanted, raw, account
        self._layouts: dict[tuple[int, int, int], Layout] = {}
        self._waiting: dict[tuple[int, int, int], list[tuple[Exported, bytes]]] = {}
        self._waiting_bytes = 0
        layout = compile_layout([Field(*field) for field in _V5_FIELDS], wanted, raw)
        assert layout is not None
        self._v5 = layout

    def records(self, path: Path) -> Iterator[Records]:
        """The records of all data sets, in the order in which they can be read. Raises OSError."""
        with path.open("rb") as file:
            yield from self._blocks(file)
        for waiting in self._waiting.values():
            self._account.skip("data set whose template was not seen", len(waiting))

    def _blocks(self, file: BinaryIO) -> Iterator[Records]:
        data, offset, at = file.read(BLOCK), 0, 0
        while True:
            more = file.read(BLOCK) if len(data) - at < LONGEST_PACKET else b""
            if more:
                offset += at
                data, at = data[at:] + more, 0
            if at >= len(data):
                return
            view = memoryview(data)
            try:
                while at < len(data) and (not more or len(data) - at >= LONGEST_PACKET):
                    end, found = self._packet(view, at)
                    yield from found
                    at = end
                    if len(data) - at < LONGEST_PACKET:
                        break
            except _BrokenPacketError as broken:
                self._account.damage_at(f"byte {offset + broken.at}", broken.problem)
                at = self._resume(view, broken.at + 1)

    def _resume(self, data: memoryview, at: int) -> int:
        """The next place where a packet may begin; the end of the block where none does."""
        while (found := _START.search(data, at)) is not None:
            start = found.start()
            if len(data) - start < 28 or _plausible(data, start, data[start + 1], len(data)):
                return start
            at = start + 1
        return len(data)

    def _packet(self, data: memoryview, at: int) -> tuple[int, list[Records]]:
        version = int.from_bytes(data[at : at + 2], "big")
        header = _HEADERS.get(version)
        if header is None:
            raise _BrokenPacketError(at, f"no export packet: version {version}")
        if at + header.size > len(data):
            raise _BrokenPacketError(at, "the header of an export packet breaks off")
        fields = header.unpack_from(data, at)
        if version == 5:
            return self._packet_5(data, at, fields)
        if version == 9:
            time = fields[3] * 1_000_000
            booted = time - fields[2] * 1_000
            return self._sets(data, at + 20, len(data), Exported(9, time, booted, fields[2], fields[5], 0))
        end = at + fields[1]
        if fields[1] < 16 or end > len(data):
            raise _BrokenPacketError(at, f"an IPFIX message of {fields[1]} bytes where {len(data) - at} are left")
        _, found = self._sets(data, at + 16, end, Exported(10, fields[2] * 1_000_000, None, 0, fields[4], 0))
        return end, found

    def _packet_5(self, data: memoryview, at: int, fields: Row) -> tuple[int, list[Records]]:
        _, count, uptime, seconds, nanos, _, _, engine, sampling = fields
        if not 0 < count <= _V5_MOST:
            raise _BrokenPacketError(at, f"a v5 packet of {count} records (at most {_V5_MOST} fit)")
        start, end = at + 24, at + 24 + count * _V5_SIZE
        if end > len(data):
            whole = (len(data) - start) // _V5_SIZE
            self._account.damage_at(f"byte {start + whole * _V5_SIZE}", "a v5 packet breaks off", count - whole)
            end = start + whole * _V5_SIZE
        time = seconds * 1_000_000 + nanos // 1_000
        header = Exported(5, time, time - uptime * 1_000, uptime, engine, sampling & 0x3FFF)
        rows = list(self._v5.rows(data[start:end]))
        return (end if end == start + count * _V5_SIZE else len(data)), [Records(header, self._v5, rows)] if rows else []

    def _sets(self, data: memoryview, at: int, end: int, header: Exported) -> tuple[int, list[Records]]:
        found: list[Records] = []
        while end - at >= 4:
            number, length = _SET.unpack_from(data, at)
            if header.version == 9 and number in _HEADERS:
                return at, found
            if length < 4 or at + length > end:
                if header.version == 10 and not any(data[at:end]):
                    return end, found  # padding
                self._account.damage_at("a set", f"{length} bytes where {end - at} are left")
                return (self._resume(data, at) if header.version == 9 else end), found
            body = data[at + 4 : at + length]
            if number > 255:
                found += self._data(number, body, header)
            elif number in (0, 1, 2, 3) and (number < 2) == (header.version == 9):
                found += self._templates(body, header, options=number in (1, 3))
            else:
                self._account.skip("set of an unknown kind")
            at += length
        return end, found

    def _data(self, number: int, body: memoryview, header: Exported) -> list[Records]:
        key = (header.version, header.domain, number)
        layout = self._layouts.get(key)
        if layout is None:
            if self._waiting_bytes + len(body) > KEPT_FOR_TEMPLATES:
                self._account.skip("data set whose template was not seen")
            else:
                self._waiting_bytes += len(body)
                self._waiting.setdefault(key, []).append((header, bytes(body)))
            return []
        rows = layout.rows(body)
        if layout.options:
            self._account.skip("options record", max(len(rows), 1))
            return []
        return [Records(header, layout, list(rows))] if rows else []

    def _templates(self, body: memoryview, header: Exported, *, options: bool) -> list[Records]:
        """Learn the templates of a set; the records that waited for them."""
        found: list[Records] = []
        at = 0
        while len(body) - at >= 4:
            number, count = _SET.unpack_from(body, at)
            at += 4
            scopes = 0
            if number < 256:
                break  # padding
            if options:
                if len(body) - at < 2:
                    break
                (scopes,) = struct.unpack_from(">H", body, at)
                at += 2
                if header.version == 9:  # bytes of the scope and of the options, where IPFIX counts all fields and the scope's
                    count = count // 4 + scopes // 4
            key = (header.version, header.domain, number)
            if not count:
                self._layouts.pop(key, None)
                self._account.skip("template withdrawn")
                continue
            parsed = parse_fields(body[at:], count, enterprise=header.version == 10)
            if parsed is None:
                self._account.damage_at(f"template {number}", f"{count} fields do not fit into the set")
                break
            at += parsed[1]
            layout = compile_layout(parsed[0], self._wanted, self._raw, options=options)
            if layout is None:
                self._account.damage_at(f"template {number}", "its records have no bytes")
                continue
            self._account.skip("options template" if options else "template")
            if len(self._layouts) >= MOST_TEMPLATES and key not in self._layouts:
                del self._layouts[next(iter(self._layouts))]
            self._layouts[key] = layout
            for earlier, waiting in self._waiting.pop(key, ()):
                self._waiting_bytes -= len(waiting)
                found += self._data(number, memoryview(waiting), earlier)
        return found
