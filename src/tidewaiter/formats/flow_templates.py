"""Templates of NetFlow v9 and IPFIX: what the bytes of a data record mean, compiled once per template.

Format: RFC 3954 (v9), RFC 7011 (IPFIX, variable lengths in 7), RFC 5103 (reverse elements). Elements that nobody asked for are
stepped over without being read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

REVERSE = 1 << 16
"""Added to the number of an element that tells the direction back (enterprise 29305)."""
_REVERSE_ENTERPRISE = 29_305
_FOREIGN = -1
_VARIABLE = 0xFFFF
MOST_FIELDS = 1_000
MOST_TEMPLATES = 10_000
MOST_RECORDS = 70_000
_NUMBERS = {1: "B", 2: "H", 4: "I", 8: "Q"}

Row = tuple[Any, ...]


class Field(NamedTuple):
    """One field of a template: number of the element (or _FOREIGN), its length in bytes."""

    element: int
    length: int


class Layout(NamedTuple):
    """How to read the records of one template. `rows` takes the bytes of a data set."""

    places: dict[int, int]  # element -> place in a row
    size: int  # bytes of the shortest record
    options: bool
    rows: Callable[[memoryview], Sequence[Row]]


def parse_fields(data: memoryview, count: int, enterprise: bool) -> tuple[list[Field], int] | None:
    """(fields, bytes used) of `count` field specifiers; None where the bytes do not suffice."""
    fields: list[Field] = []
    at = 0
    if count > MOST_FIELDS:
        return None
    for _ in range(count):
        if at + 4 > len(data):
            return None
        element, length = struct.unpack_from(">HH", data, at)
        at += 4
        if enterprise and element & 0x8000:
            if at + 4 > len(data):
                return None
            (number,) = struct.unpack_from(">I", data, at)
            at += 4
            element = (element & 0x7FFF) | REVERSE if number == _REVERSE_ENTERPRISE else _FOREIGN
        fields.append(Field(element, length))
    return fields, at


def compile_layout(
    fields: Sequence[Field], wanted: frozenset[int], raw: frozenset[int], *, options: bool = False
) -> Layout | None:
    """The layout of a template; None where its records would have no bytes. Elements in `raw` stay bytes."""
    size = sum(1 if field.length == _VARIABLE else field.length for field in fields)
    if not size:
        return None
    if any(field.length == _VARIABLE for field in fields):
        return _variable(fields, wanted, raw, size, options)
    code, places, odd = [">"], dict[int, int](), list[int]()
    for field in fields:
        known = field.element in wanted and field.element not in places and field.length
        if not known:
            code.append(f"{field.length}x")
            continue
        places[field.element] = len(places)
        if field.element in raw or field.length not in _NUMBERS:
            code.append(f"{field.length}s")
            if field.element not in raw:
                odd.append(places[field.element])
        else:
            code.append(_NUMBERS[field.length])
    reader = struct.Struct("".join(code))

    def rows(data: memoryview) -> Sequence[Row]:
        whole = len(data) // size * size
        found = list(reader.iter_unpack(data[:whole])) if whole else []
        return [_with_numbers(row, odd) for row in found] if odd else found

    return Layout(places, size, options, rows)


def _with_numbers(row: Row, odd: list[int]) -> Row:
    """The row with numbers where fields had three, five, six or seven bytes."""
    values = list(row)
    for place in odd:
        values[place] = int.from_bytes(values[place][-8:], "big")
    return tuple(values)


def _variable(fields: Sequence[Field], wanted: frozenset[int], raw: frozenset[int], size: int, options: bool) -> Layout:
    places: dict[int, int] = {}
    for field in fields:
        if field.element in wanted:
            places.setdefault(field.element, len(places))

    def rows(data: memoryview) -> Sequence[Row]:
        return list(_variable_rows(data, fields, places, raw, size))

    return Layout(places, size, options, rows)


def _variable_rows(
    data: memoryview, fields: Sequence[Field], places: dict[int, int], raw: frozenset[int], size: int
) -> Iterator[Row]:
    """Records one by one, as their lengths are in them; ends where the rest is shorter than a record or breaks off."""
    at, end = 0, len(data)
    while end - at >= size:
        values: list[Any] = [None] * len(places)
        for element, fixed in fields:
            length = fixed
            if length == _VARIABLE:
                if at >= end:
                    return
                length = data[at]
                at += 1
                if length == 255:
                    if at + 2 > end:
                        return
                    length = data[at] << 8 | data[at + 1]
                    at += 2
            if at + length > end:
                return
            place = places.get(element)
            if place is not None and values[place] is None:
                value = bytes(data[at : at + length])
                values[place] = value if element in raw else int.from_bytes(value[-8:], "big")
            at += length
        yield tuple(values)
