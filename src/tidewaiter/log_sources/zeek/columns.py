"""Columns of Zeek records, checked and converted at once, whether they came as tab-separated text or as JSON.

Every getter returns one value a record, None where the record does not say, and raises ValueError when a value does not
convert: the caller then reads smaller blocks until the bad record stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.formats.zeek_tsv import Layout, unescape
from tidewaiter.schema.event import Event

NAME = "zeek"
LARGEST = (1 << 63) - 1
MILLISECONDS = 100_000_000_000
"""Seconds since 1970 stay below this for three thousand years; a larger `ts` counts milliseconds."""
EARLIEST = -10_000_000_000
MOST_ITEMS = 1_000
"""Members of one set or vector that are kept."""

_FLAGS = {"T": True, "F": False, "true": True, "false": False}

Texts = Sequence[str | None]
Counts = Sequence[int | None]
Built = Sequence[Event | None]


class Columns:
    """The records of one log, by columns of raw values. `layout` is None for JSON."""

    def __init__(self, numbers: list[int], column: Callable[[str], list[Any] | None], layout: Layout | None) -> None:
        self.numbers, self.layout = numbers, layout
        self._column = column
        self._kept: dict[str, list[Any] | None] = {}
        self._none: list[None] = [None] * len(numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, start: int, end: int) -> Columns:
        """The records from `start` to before `end`."""

        def column(name: str) -> list[Any] | None:
            if name not in self._kept:
                self._kept[name] = self._column(name)
            whole = self._kept[name]
            return None if whole is None else whole[start:end]

        return Columns(self.numbers[start:end], column, self.layout)

    def _raw(self, name: str) -> list[Any] | None:
        """The column with None for what is unset; None where no record has it."""
        column = self._column(name)
        if column is None:
            return None
        layout = self.layout
        if layout is None:
            return None if column.count(None) == len(column) else column
        unset, empty = layout.unset, layout.empty
        if unset in column:
            if column.count(unset) == len(column):
                return None
            column = [None if value == unset else value for value in column]
        return [None if value == empty else value for value in column] if empty in column else column

    def texts(self, name: str) -> Texts:
        """Texts, unescaped; the empty text is None."""
        column = self._raw(name)
        if column is None:
            return self._none
        if self.layout is None:
            return [value if type(value) is str and value else _text(value) for value in column]
        if "\\x" in "".join(filter(None, column)):
            return [value and (unescape(value) or None) for value in column]
        return [value or None for value in column] if "" in column else column

    def counts(self, name: str) -> Counts:
        """Counts and ports."""
        column = self._raw(name)
        if column is None:
            return self._none
        if self.layout is None:
            values = [value if value is None or type(value) is int else int(value) for value in column]
        else:
            values = [None if value is None else int(value) for value in column]
        if max(filter(None, values), default=0) > LARGEST or min(filter(None, values), default=0) < -LARGEST:
            raise ValueError(f"{name} out of range")
        return values

    def micros(self, name: str) -> Counts:
        """Times and intervals in microseconds."""
        column = self._raw(name)
        if column is None:
            return self._none
        if self.layout is not None:
            values = [None if value is None else round(float(value) * 1_000_000) for value in column]
            if max(filter(None, values), default=0) > LARGEST:
                raise ValueError(f"{name} out of range")
            return values
        return [None if value is None else _micros(value) for value in column]

    def times(self) -> list[int]:
        """The time of each record. Raises ValueError where one has none."""
        column = self._column("ts")
        if column is None:
            raise ValueError("no time")
        if self.layout is not None and set(map(len, column)) == {17} and {value[10] for value in column} == {"."}:
            # "1700000000.123456", the form of all logs of this century: the digits are the microseconds
            return list(map(int, "\n".join(column).replace(".", "").split("\n")))
        times = [_micros(value) for value in column]
        if None in times:
            raise ValueError("no time")
        return times

    def flags(self, name: str) -> Sequence[bool | None]:
        """Truth values: JSON's, or T and F."""
        column = self._raw(name)
        if column is None:
            return self._none
        return [value if isinstance(value, bool) else _FLAGS.get(str(value)) for value in column]

    def lists(self, name: str) -> Sequence[tuple[str, ...] | None]:
        """Sets and vectors of texts; the empty one is None."""
        column = self._raw(name)
        if column is None:
            return self._none
        return [None if value is None else self._list(value) for value in column]

    def _list(self, value: Any) -> tuple[str, ...] | None:
        layout = self.layout
        if isinstance(value, list):
            return tuple(str(item) for item in value[:MOST_ITEMS] if item is not None) or None
        if layout is None:
            return (str(value),)
        if layout.set_separator not in value and "\\x" not in value:
            return (value,) if value else None
        parts = value.split(layout.set_separator, MOST_ITEMS)[:MOST_ITEMS]
        return tuple(unescape(part) for part in parts if part not in ("", layout.unset, layout.empty)) or None

    def extras(self, **columns: Sequence[Any]) -> Sequence[dict[str, Any] | None]:
        """One mapping a record of the values that are there."""
        present = {name: column for name, column in columns.items() if column is not self._none and any_value(column)}
        if not present:
            return self._none
        names = tuple(present)
        if len(names) == 1:
            name = names[0]
            return [None if value is None else {name: value} for value in present[name]]
        return [
            {name: value for name, value in zip(names, values, strict=True) if value is not None} or None
            for values in zip(*present.values(), strict=True)
        ]


def any_value(column: Sequence[Any]) -> bool:
    """True where some record has a value."""
    return column.count(None) != len(column)


def first_of(*columns: Sequence[Any]) -> Sequence[Any]:
    """The first value that each record has among the columns."""
    result = columns[0]
    for column in columns[1:]:
        if any_value(column):
            result = [new if old is None else old for old, new in zip(result, column, strict=True)]
    return result


def _text(value: Any) -> str | None:
    """Text of a JSON value that is none; an object or a list is no text."""
    if value is None or value == "":
        return None
    if isinstance(value, (dict, list)):
        raise ValueError("text expected")
    return str(value)


def ends_of(columns: Columns) -> tuple[Sequence[Any], ...]:
    """Record, time, source address and port, destination address and port, uid."""
    return (
        list(map(str, columns.numbers)),
        columns.times(),
        columns.texts("id.orig_h"),
        columns.counts("id.orig_p"),
        columns.texts("id.resp_h"),
        columns.counts("id.resp_p"),
        columns.texts("uid"),
    )


_TIMES = IsoTimes()


def _micros(value: Any) -> int:
    """Seconds, milliseconds or an ISO 8601 time as microseconds."""
    if type(value) is str and "T" in value:
        time = _TIMES.read(value)
        if time is None:
            raise ValueError("no time")
        return time
    if value is None or isinstance(value, (dict, list, bool)):
        raise ValueError("no time")
    seconds = float(value)
    if seconds > MILLISECONDS:
        seconds /= 1000
    if not EARLIEST < seconds < MILLISECONDS:
        raise ValueError("time out of range")
    return round(seconds * 1_000_000)
