"""Blocks of run files, and batches of their rows in order: unpacked only where somebody asks for the rows themselves."""

from __future__ import annotations

import functools
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Protocol, overload

import msgspec

from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.outline import Outline, outlined

Keyed = tuple[int, str, int, Glimpse]
"""Time, place, number of the run and glimpse of a row. As they compare, rows come."""
Sizes = tuple[int, int, int]
"""Bytes of the outline, of the rows that are not in it, and of the places of all."""

_ENCODER = msgspec.msgpack.Encoder()
_PLACES = msgspec.msgpack.Decoder(list[str])
_GLIMPSES = msgspec.msgpack.Decoder(list[Glimpse])
_OUTLINE = msgspec.msgpack.Decoder(Outline)
_time = attrgetter("time")


def packed(glimpses: Sequence[Glimpse], places: Sequence[str], *, outline: bool) -> tuple[bytes, Sizes]:
    """A block as it stands in a run."""
    if not outline:
        parts = b"", _ENCODER.encode(glimpses), _ENCODER.encode(places)
    else:
        about, bulk = outlined(glimpses)
        parts = _ENCODER.encode(about), _ENCODER.encode(bulk), _ENCODER.encode(places)
    return b"".join(parts), (len(parts[0]), len(parts[1]), len(parts[2]))


class Run(Protocol):
    """The run that a block is of."""

    number: int

    @property
    def host(self) -> str | None:
        """Of its next block; None at its end."""
        ...

    @property
    def first(self) -> int:
        """Time of the first row of its next block."""
        ...

    def read(self, place: int, size: int) -> bytes:
        """Bytes of its file."""
        ...


class Block:
    """A block of a run. Without an outline it is unpacked at once."""

    def __init__(self, run: Run, place: int, sizes: Sizes, data: bytes) -> None:
        """`data`: the block, or as much of it as the outline."""
        self.run = run
        self._place, self._sizes = place, sizes
        self._data = data
        self.given = 0  # rows of it that were given already

    def _part(self, number: int) -> bytes:
        start, size = sum(self._sizes[:number]), self._sizes[number]
        if len(self._data) < start + size:
            self._data = self.run.read(self._place, sum(self._sizes))
        return self._data[start : start + size]

    @functools.cached_property
    def outline(self) -> Outline | None:
        """Its outline; None where it has none."""
        return _OUTLINE.decode(self._part(0)) if self._sizes[0] else None

    @functools.cached_property
    def times(self) -> Sequence[int]:
        """Of all its rows."""
        if self.outline is None:
            return [one.time for one in self.glimpses]
        times = array("q")
        times.frombytes(self.outline.times)
        return times

    @functools.cached_property
    def glimpses(self) -> list[Glimpse]:
        """All its rows."""
        bulk = _GLIMPSES.decode(self._part(1))
        outline = self.outline
        if outline is None:
            return bulk
        found: list[Glimpse] = []
        at = 0
        for place, single in zip(outline.alone, outline.singles, strict=True):
            between = place - len(found)
            found += bulk[at : at + between]
            found.append(single)
            at += between
        return found + bulk[at:]

    @functools.cached_property
    def keyed(self) -> list[Keyed]:
        """All its rows with what they are ordered by."""
        number = self.run.number
        return [(one.time, place, number, one) for place, one in zip(_PLACES.decode(self._part(2)), self.glimpses, strict=True)]

    def goes_on_at(self, host: str | None, time: int) -> bool:
        """Whether its run has more rows of the host, and the next of them is of this time."""
        return self.run.host == host and self.run.first == time

    def forget(self) -> None:
        """Keep nothing in memory but the times."""
        self._data = b""
        for name in ("outline", "glimpses", "keyed"):
            vars(self).pop(name, None)


class Part:
    """Some rows of one block."""

    def __init__(self, block: Block, start: int, end: int) -> None:
        self.block, self.start, self.end = block, start, end

    @property
    def outline(self) -> Outline | None:
        """Of its block."""
        return self.block.outline

    @property
    def block_times(self) -> Sequence[int]:
        """Of all rows of its block."""
        return self.block.times

    @functools.cached_property
    def times(self) -> Sequence[int]:
        """Of its rows."""
        times = self.block.times
        return times if self.start == 0 and self.end == len(times) else times[self.start : self.end]

    @property
    def loud(self) -> bool:
        """Whether one of its rows is always looked at."""
        outline = self.block.outline
        if outline is None:
            return True
        return bool(outline.loud) and bisect_left(outline.loud, self.start) < bisect_left(outline.loud, self.end)

    def singles(self) -> Sequence[Glimpse]:
        """Its rows that are looked at one by one."""
        outline = self.block.outline
        if outline is None:
            return self.glimpses()
        if self.start == 0 and self.end == len(self.block.times):
            return outline.singles
        return outline.singles[bisect_left(outline.alone, self.start) : bisect_left(outline.alone, self.end)]

    def glimpses(self) -> Sequence[Glimpse]:
        """Its rows."""
        return self.block.glimpses[self.start : self.end]

    def forget(self) -> None:
        """Keep nothing in memory, where these are the last rows of their block."""
        if self.end == len(self.block.times):
            self.block.forget()


class RowBatch(Sequence[Glimpse]):
    """Rows of one host in order, of a block of each of some runs."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = [part for part in parts if part.end > part.start]
        self.last = max(part.times[-1] for part in self.parts)

    @functools.cached_property
    def rows(self) -> Sequence[Glimpse]:
        """The rows, unpacked. Where times are equal their places tell the order."""
        if not self.apart:
            return [row[3] for row in sorted(row for part in self.parts for row in part.block.keyed[part.start : part.end])]
        batch = [one for part in self.parts for one in part.glimpses()]
        if len(self.parts) > 1:
            batch.sort(key=_time)
        return batch

    @functools.cached_property
    def apart(self) -> bool:
        """Whether no time is that of rows of two runs."""
        if len(self.parts) == 1:
            return True
        seen: set[int] = set()
        for part in self.parts:
            times = part.times
            if seen and not seen.isdisjoint(times):
                return False
            seen.update(times)
        return True

    @property
    def times(self) -> list[int]:
        """Of all rows, in order."""
        return sorted(time for part in self.parts for time in part.times)

    def __len__(self) -> int:
        return sum(part.end - part.start for part in self.parts)

    @overload
    def __getitem__(self, place: int) -> Glimpse: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Glimpse]: ...
    def __getitem__(self, place: int | slice) -> Glimpse | Sequence[Glimpse]:
        return self.rows[place]

    def __iter__(self) -> Iterator[Glimpse]:
        return iter(self.rows)
