"""Chunks of an EVTX file: counted, walked, thinned out and repaired, without decoding a record.

Format: [MS-EVEN6] BinXml and the descriptions of the file by Andreas Schuster and Joachim Metz. A chunk has 65536 bytes: a head
of 512, then records of magic, size, id, time, BinXml, size again. A record's BinXml names a template by its position in the
chunk and gives the values for it: of the usual template of events the first four are level, opcode, task and event id.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from typing import NamedTuple

CHUNK_MAGIC = b"ElfChnk\x00"
RECORD_MAGIC = b"**\x00\x00"
CHUNK_BYTES = 65_536
CHUNK_HEADER_BYTES = 512
LEAST_RECORD = 28
BRIDGE_ID = 0xFFFF_FFFF_FFFF_FFFF
"""Record id of what stands in place of records that are left out or cannot be read."""

_FREE_SPACE_AT = 48
_TABLES_AT = 128
_RECORD_HEAD = struct.Struct("<4sI8xQ")
_RECORD_ID = struct.Struct("<Q")
_CHUNK_NUMBERS = struct.Struct("<QQ")
_OFFSET = struct.Struct("<I")
_SHORT = struct.Struct("<H")
_LATEST = 2_650_467_743_990_000_000  # the end of the year 9999 as FILETIME: the decoder stops at later ones
_SOME_TIME = 116_444_736_000_000_000  # 1970
_MOST_RECORDS = (CHUNK_BYTES - CHUNK_HEADER_BYTES) // LEAST_RECORD

_INSTANCE = struct.Struct(
    "<4sI8xQ6s4xI"
)  # magic, size, id (skipped), time, start of BinXml, unused id, position of the template
_RECORD = struct.Struct(
    "<4sI8xQ6s4xI20s"
)  # the same, and of one without its template what its values begin with: their number and the first types
_INSTANCE_START = b"\x0f\x01\x01\x00\x0c\x01"  # fragment header, template instance
_DEFINITION_HEAD = 24  # next template, GUID, size
_VALUES = struct.Struct("<I16s")  # number of values, size and type of the first four
_USUAL_VALUES = bytes.fromhex("01000400 01000400 02000600 02000600")
_BEFORE_EVENT_ID = 4  # bytes of level, opcode and task
_MOST_VALUES = 512
_NONE_HERE = (b"none", 0)
_EVENT_ID_OF_TEMPLATE = (b"\x0e\x03\x00\x06", b"\x0d\x03\x00\x06")  # substitution of the fourth value, 16 bits
_BRIDGE = struct.Struct("<4sIQQB")
"""Magic, size, id, time, and an empty BinXml."""
_NO_TABLES = bytes(CHUNK_HEADER_BYTES - _TABLES_AT)
_END_OF_BINXML = 0


class Chunk(NamedTuple):
    """One chunk and the number of records in it; 0 where that has to be found out."""

    offset: int  # in the file
    data: bytes
    records: int
    left_out: tuple[tuple[int, int], ...] = ()  # from where to where records lie that `pieces` bridges and `records` leaves out


def _head(data: bytes | bytearray, position: int, limit: int) -> int:
    """The size of the record at this position, or 0 where there is none."""
    magic, size, _ = _RECORD_HEAD.unpack_from(data, position)
    return size if magic == RECORD_MAGIC and LEAST_RECORD <= size <= limit - position else 0


def _mend_time(chunk: bytearray, position: int) -> bool:
    """Replace a time that is none; the event has another one in its body."""
    if _RECORD_HEAD.unpack_from(chunk, position)[2] <= _LATEST:
        return False
    struct.pack_into("<Q", chunk, position + 16, _SOME_TIME)
    return True


def _is_bridge(data: bytes | bytearray, position: int) -> bool:
    (record_id,) = _RECORD_ID.unpack_from(data, position + 8)
    return bool(record_id == BRIDGE_ID)


def stated_records(data: bytes) -> int:
    """The number of records that the header of a chunk states; 0 where the chunk has to be walked to know."""
    if len(data) < CHUNK_BYTES or not data.startswith(CHUNK_MAGIC):
        return 0
    first, last = _CHUNK_NUMBERS.unpack_from(data, 8)
    (free,) = _OFFSET.unpack_from(data, _FREE_SPACE_AT)
    count = last - first + 1
    if not 0 < count <= _MOST_RECORDS or not CHUNK_HEADER_BYTES < free <= CHUNK_BYTES:
        return 0
    return 0 if data[free : free + 4] == RECORD_MAGIC else count


def walk(data: bytes) -> tuple[int, int, bool]:
    """The end and number of the records of a chunk, and whether nothing in it contradicts itself."""
    if len(data) < CHUNK_BYTES or not data.startswith(CHUNK_MAGIC):
        return 0, 0, False
    (free,) = _OFFSET.unpack_from(data, _FREE_SPACE_AT)
    position, count, last = CHUNK_HEADER_BYTES, 0, -1
    while position < CHUNK_BYTES - LEAST_RECORD:
        size = _head(data, position, CHUNK_BYTES)
        if not size:
            break
        (record_id,) = _RECORD_ID.unpack_from(data, position + 8)
        if position >= free >= CHUNK_HEADER_BYTES and record_id != last + 1:
            break  # left over from earlier use of the chunk; what counts on was only not yet stated in the header
        if _RECORD_HEAD.unpack_from(data, position)[2] > _LATEST:
            return 0, 0, False
        count += record_id != BRIDGE_ID
        position, last = position + size, record_id
    return position, count, position >= free or not CHUNK_HEADER_BYTES <= free <= CHUNK_BYTES


def positions(data: bytes) -> Iterator[tuple[int, int]]:
    """Position and record number of the records of a sound chunk."""
    position, (end,) = CHUNK_HEADER_BYTES, _OFFSET.unpack_from(data, _FREE_SPACE_AT)
    while position < min(end, CHUNK_BYTES - LEAST_RECORD) and (size := _head(data, position, CHUNK_BYTES)):
        (record_id,) = _RECORD_ID.unpack_from(data, position + 8)
        if record_id != BRIDGE_ID:
            yield position, record_id
        position += size


def with_free_space(data: bytes, end: int) -> bytes:
    """The chunk with the end of its records as its header should say it."""
    stated = _OFFSET.pack(end)
    if data[_FREE_SPACE_AT : _FREE_SPACE_AT + 4] == stated:
        return data
    return b"".join((data[:_FREE_SPACE_AT], stated, data[_FREE_SPACE_AT + 4 :]))


def pieces(chunk: Chunk) -> Iterator[bytes | memoryview]:
    """The bytes of a chunk for the decoder: with bridges over what is left out, without tables of strings and templates.

    The decoder finds both where they are used. It would follow the lists that begin in the tables, and for ever where damage
    made a list a ring.
    """
    whole, behind = memoryview(chunk.data), CHUNK_HEADER_BYTES
    yield chunk.data[:_TABLES_AT]
    yield _NO_TABLES
    for start, end in chunk.left_out:
        yield whole[behind:start]
        yield _BRIDGE.pack(RECORD_MAGIC, end - start, BRIDGE_ID, _SOME_TIME, _END_OF_BINXML)
        yield whole[start + _BRIDGE.size : end - _OFFSET.size]
        yield _OFFSET.pack(end - start)
        behind = end
    yield whole[behind:]


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
    position, count, mended = CHUNK_HEADER_BYTES, 0, False
    while position < limit - LEAST_RECORD:
        size = _head(chunk, position, limit)
        if size:
            mended |= _mend_time(chunk, position)
            count += not _is_bridge(chunk, position)
            position += size
            continue
        following = _next_record(chunk, position, limit)
        if following is None:
            break
        lost.append((position, "not the head of a record"))
        _bridge(chunk, position, following)
        position = following
    struct.pack_into("<I", chunk, _FREE_SPACE_AT, position)
    if not lost and not mended:
        lost.append((position, "records end before the chunk says so"))
    return bytes(chunk), count, lost


def _bridge(chunk: bytearray, start: int, end: int) -> None:
    """Put the head of one record over a stretch; what lies inside stays where it is."""
    struct.pack_into("<4sIQQ", chunk, start, RECORD_MAGIC, end - start, BRIDGE_ID, _SOME_TIME)
    _OFFSET.pack_into(chunk, end - 4, end - start)


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


def thin(chunk: Chunk, wanted: Container[int], templates: dict[bytes, bool]) -> tuple[Chunk, int] | None:
    """The chunk without the records whose event id is not wanted, and how many those are.

    None where anything contradicts the chunk's header: then it has to be walked and repaired. `templates` remembers by GUID
    and size which templates take the event id from the fourth value; records of others are kept.
    """
    data, position, dropped, run = chunk.data, CHUNK_HEADER_BYTES, 0, 0
    (free,) = _OFFSET.unpack_from(data, _FREE_SPACE_AT)
    runs: list[tuple[int, int]] = []
    records, last, unpack = 0, free - _RECORD.size, _RECORD.unpack_from
    here: dict[int, tuple[bytes, int]] = {}  # by a template's position: how values of its records begin, where their id is
    while position < free:
        event_id: int | None
        if position > last:  # too short for the usual form
            if position + _INSTANCE.size > free:
                return None
            magic, size, time, start, template = _INSTANCE.unpack_from(data, position)
            values = b""
        else:
            magic, size, time, start, template, values = unpack(data, position)
        if magic != RECORD_MAGIC or not LEAST_RECORD <= size <= free - position or time > _LATEST:
            return None
        records += 1
        known, at = here.get(template, _NONE_HERE)
        if start != _INSTANCE_START:
            event_id = None
        elif known == values and at + 2 <= size and template != position + _INSTANCE.size:
            event_id = data[position + at] | data[position + at + 1] << 8
        else:
            event_id = _event_id(data, position, size, template, templates)
            if event_id is not None and values[4:] == _USUAL_VALUES and template != position + _INSTANCE.size:
                here[template] = (values, _INSTANCE.size + 4 + 4 * _OFFSET.unpack_from(values)[0] + _BEFORE_EVENT_ID)
        if event_id is not None and event_id not in wanted:
            dropped += 1
            run = run or position
        elif run:
            runs.append((run, position))
            run = 0
        position += size
    if run:
        runs.append((run, position))
    if records != chunk.records:
        return None
    return (Chunk(chunk.offset, data, records - dropped, tuple(runs)) if runs else chunk), dropped


def _event_id(data: bytes, position: int, size: int, template: int, templates: dict[bytes, bool]) -> int | None:
    """The event id of a record that instantiates a template of the usual kind; None where that is not sure."""
    values, end = position + _INSTANCE.size, position + size
    if template > CHUNK_BYTES - _DEFINITION_HEAD:
        return None
    (length,) = _OFFSET.unpack_from(data, template + 20)
    if template == values:  # the first record that uses a template holds it
        values += _DEFINITION_HEAD + length
    if values + _VALUES.size > end:
        return None
    count, types = _VALUES.unpack_from(data, values)
    value = values + 4 + 4 * count + _BEFORE_EVENT_ID
    if types != _USUAL_VALUES or count > _MOST_VALUES or value + 2 > end:
        return None
    name = data[template + 4 : template + _DEFINITION_HEAD]
    usual = templates.get(name)
    if usual is None:
        body = data[template + _DEFINITION_HEAD : template + _DEFINITION_HEAD + length]
        usual = templates[name] = any(mark in body for mark in _EVENT_ID_OF_TEMPLATE)
    return int(_SHORT.unpack_from(data, value)[0]) if usual else None
