"""How often something was seen, on which host, since when: bounded counters that workers fill and the engine adds up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from tidewaiter.baseline.decay import DAY, HALF_LIFE, NOTHING, added, level_of

KEPT = 10_000
"""Counters of one facet that are kept in memory; twice as many are let grow before the weakest are given up."""

FACETS: dict[str, str] = {
    "host": "a host is in the logs",
    "program": "a program was started",
    "network_program": "a program used the network",
    "program_domain": "a program spoke to a domain",
    "domain": "a domain was spoken to",
    "address": "an address was spoken to",
    "service": "a port and protocol was spoken to",
    "hash": "a file of this hash was written, carried or started",
    "utility": "a utility was used to transfer a file",
    "landing": "a file of this type appeared in this folder",
}
"""What is counted, and how a person would say it."""


ANY = ""
"""The key that stands for all keys of a facet: which hosts show the facet at all."""


class Cell(msgspec.Struct, array_like=True, gc=False):
    """What is known of one key on one host: level of the faded count, beginning of the first and last day in microseconds."""

    level: float
    first: int
    last: int


class Known(NamedTuple):
    """What is known of one key over all hosts."""

    hosts: frozenset[str]  # those that name themselves
    level: float
    first: int
    last: int
    here: Cell | None  # on the host that was asked for
    unnamed: bool  # whether logs without a host show it too

    def only(self, host: str) -> bool:
        """Whether no host but this one can have done it."""
        return not self.unnamed and self.hosts <= {host}


Key = tuple[str, str]
"""Key and host; the host is empty where the logs do not say."""


class Counters(msgspec.Struct):
    """Counters by facet. `evicted` says how many were given up, by facet."""

    half_life: float = HALF_LIFE
    cells: dict[str, dict[Key, Cell]] = {}
    evicted: dict[str, int] = {}
    late: int = 0  # observations that were not taken because their time is unknown or in the future

    def merge(self, other: Counters) -> None:
        """Add what another worker counted, with the same half-life."""
        for facet, theirs in other.cells.items():
            mine = self.cells.setdefault(facet, {})
            for key, cell in theirs.items():
                known = mine.get(key)
                mine[key] = cell if known is None else sum_of(known, cell)
            self.prune(facet)
        for facet, count in other.evicted.items():
            self.evicted[facet] = self.evicted.get(facet, 0) + count
        self.late += other.late

    def prune(self, facet: str, kept: int = KEPT) -> None:
        """Give up the weakest counters of a facet where it holds more than twice `kept`, and count them."""
        cells = self.cells.get(facet, {})
        if len(cells) <= 2 * kept:
            return
        weakest = sorted([cell.level for cell in cells.values()], reverse=True)[kept - 1]  # of those that stay
        left = {key: cell for key, cell in cells.items() if cell.level > weakest}
        equal = sorted([(-cell.last, key) for key, cell in cells.items() if cell.level == weakest])
        left.update((key, cells[key]) for _, key in equal[: kept - len(left)])
        self.cells[facet] = left
        self.evicted[facet] = self.evicted.get(facet, 0) + len(cells) - kept

    def all(self) -> Iterator[tuple[str, Key, Cell]]:
        """Every counter in a fixed order."""
        for facet in sorted(self.cells):
            for key in sorted(self.cells[facet]):
                yield facet, key, self.cells[facet][key]


def sum_of(one: Cell, other: Cell) -> Cell:
    """Two counts of the same thing as one."""
    return Cell(added(one.level, other.level), min(one.first, other.first), max(one.last, other.last))


def known_of(rows: Iterator[tuple[str, Cell]], host: str) -> Known | None:
    """What the counters of one key, by host, amount to; None where there are none."""
    level, first, last, here, hosts, unnamed = NOTHING, 0, 0, None, set(), False
    for name, cell in rows:
        level = added(level, cell.level)
        first = cell.first if last == 0 else min(first, cell.first)
        last = max(last, cell.last)
        if name:
            hosts.add(name)
        else:
            unnamed = True
        if name == host:
            here = cell
    return None if last == 0 else Known(frozenset(hosts), level, first, last, here, unnamed)


class Tallies:
    """Counters while they are filled, in one process: plain lists, one dictionary access for an observation."""

    def __init__(self, half_life: float = HALF_LIFE, kept: int = KEPT) -> None:
        self.half_life = half_life
        self._kept = kept
        self._open: dict[str, dict[Key, list[int]]] = {facet: {} for facet in FACETS}  # day, count, first, last
        self._done = Counters(half_life)
        self.generation = 0

    def cell(self, facet: str, key: str, host: str, day: int) -> list[int]:
        """The open counter, day and count, to which observations of a day (days since 1970) are added.

        It stays open until `generation` changes.
        """
        cells = self._open[facet]
        pair = (key, host)
        cell = cells.get(pair)
        if cell is not None and cell[0] == day:
            return cell
        if cell is not None:
            self._close(facet, pair, cell)
            self.generation += 1
        elif len(cells) >= 2 * self._kept:
            self._settle(facet)
            cells = self._open[facet]
        opened = cells[pair] = [day, 0]
        return opened

    def add(self, facet: str, counts: Mapping[Key, int], day: int) -> None:
        """Add observations of one day by key and host."""
        cells, room = self._open[facet], 2 * self._kept
        for pair, count in counts.items():
            cell = cells.get(pair)
            if cell is not None and cell[0] == day:
                cell[1] += count
            elif cell is None and len(cells) < room:
                cells[pair] = [day, count]
            else:
                self.cell(facet, *pair, day)[1] += count
                cells = self._open[facet]

    def late(self, count: int = 1) -> None:
        """Count observations whose time cannot be right."""
        self._done.late += count

    def take(self) -> Counters:
        """What was counted since the last time."""
        for facet in self._open:
            self._settle(facet)
        done, self._done = self._done, Counters(self.half_life)
        return done

    def _settle(self, facet: str) -> None:
        """Move what is open of a facet to the counters, and bound them."""
        cells = self._open[facet]
        if cells:
            self._open[facet] = {}
            self.generation += 1
            done = self._done.cells.setdefault(facet, {})
            levels: dict[tuple[int, int], float] = {}  # most counts are small
            for pair, (day, count) in cells.items():
                level = levels.get((day, count))
                if level is None:
                    level = levels[day, count] = level_of(count, day, self.half_life)
                if count:
                    closed = Cell(level, day * DAY, day * DAY)
                    known = done.get(pair)
                    done[pair] = closed if known is None else sum_of(known, closed)
            self._done.prune(facet, self._kept)

    def _close(self, facet: str, pair: Key, cell: list[int]) -> None:
        day, count = cell
        if not count:
            return
        closed = Cell(level_of(count, day, self.half_life), day * DAY, day * DAY)
        done = self._done.cells.setdefault(facet, {})
        known = done.get(pair)
        done[pair] = closed if known is None else sum_of(known, closed)
