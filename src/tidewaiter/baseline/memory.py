"""Asking what is usual: the same questions to the evidence at hand and to the history in a store."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Protocol

from tidewaiter.baseline.counters import FACETS, KEPT, Cell, Counters, Known, known_of, sum_of
from tidewaiter.baseline.decay import DAY, HALF_LIFE

ASKED_OF_EVIDENCE = ("host", "utility", "domain", "hash", "program_domain")
"""The facets that judgement asks about where there is no history."""
HOSTS_KEPT = 100_000
"""Names of hosts that are held before those of no counter are forgotten."""
_CELL = struct.Struct("<Idii")
"""Number of the host, level, first and last day."""
_HOST = struct.Struct("<I")


class Memory(Protocol):
    """Something that can be asked what is usual."""

    @property
    def half_life(self) -> float:
        """Days after which an observation counts half."""
        ...

    @property
    def is_history(self) -> bool:
        """Whether it reaches beyond the evidence that is being judged."""
        ...

    def known(self, facet: str, key: str, host: str) -> Known | None:
        """What is known of a key; None where it was never seen. `host` says whose counter is wanted by itself."""
        ...

    def complete(self, facet: str) -> bool:
        """Whether nothing of the facet was given up, so that what is not known was not seen."""
        ...


class Evidence:
    """What the evidence at hand shows to be usual, for scans without a history. Counters are kept packed, and bounded."""

    is_history = False

    def __init__(
        self, counters: Counters | None = None, half_life: float = HALF_LIFE, facets: Iterable[str] = tuple(FACETS)
    ) -> None:
        self.half_life = counters.half_life if counters is not None else half_life
        self._packed: dict[str, dict[int, bytes]] = {facet: {} for facet in facets}  # facet -> key -> its counters by host
        self._held = dict.fromkeys(self._packed, 0)
        self._evicted: dict[str, int] = {}
        self._hosts: dict[str, int] = {}
        self._names: list[str] = []
        if counters is not None:
            self.add(counters)

    def add(self, counters: Counters) -> None:
        """Add what a worker counted, with the same half-life."""
        for facet, packed in self._packed.items():
            for (key, host), cell in counters.cells.get(facet, {}).items():
                number = _number(key)
                known = packed.get(number, b"")
                packed[number] = joined = self._joined(known, self._host(host), cell)
                self._held[facet] += len(joined) != len(known)
            if counters.evicted.get(facet):
                self._evicted[facet] = self._evicted.get(facet, 0) + counters.evicted[facet]
            if self._held[facet] > 2 * KEPT:
                self._prune(facet)
        if len(self._names) > HOSTS_KEPT:
            self._renumber()

    def _host(self, name: str) -> int:
        number = self._hosts.get(name)
        if number is None:
            number = self._hosts[name] = len(self._names)
            self._names.append(name)
        return number

    @staticmethod
    def _joined(known: bytes, host: int, cell: Cell) -> bytes:
        """The counters of a key with one more."""
        name = _HOST.pack(host)
        place = known.find(name)
        while place >= 0 and place % _CELL.size:
            place = known.find(name, place + 1)
        if place >= 0:
            _, level, first, last = _CELL.unpack_from(known, place)
            cell = sum_of(Cell(level, first * DAY, last * DAY), cell)
            known = known[:place] + known[place + _CELL.size :]
        return known + _CELL.pack(host, cell.level, cell.first // DAY, cell.last // DAY)

    def _prune(self, facet: str) -> None:
        """Give up the weakest counters of a facet, and count them."""
        packed = self._packed[facet]
        ranked = sorted(
            (-level, -last, key, place * _CELL.size)
            for key, cells in packed.items()
            for place, (_, level, _, last) in enumerate(_CELL.iter_unpack(cells))
        )
        kept: dict[int, bytes] = {}
        for _, _, key, place in ranked[:KEPT]:
            kept[key] = kept.get(key, b"") + packed[key][place : place + _CELL.size]
        self._packed[facet], self._held[facet] = kept, KEPT
        self._evicted[facet] = self._evicted.get(facet, 0) + len(ranked) - KEPT

    def _renumber(self) -> None:
        """Forget the names of hosts that no counter is of any more."""
        names, self._hosts, self._names = self._names, {}, []
        for packed in self._packed.values():
            for key, cells in packed.items():
                packed[key] = b"".join(
                    _CELL.pack(self._host(names[number]), *rest) for number, *rest in _CELL.iter_unpack(cells)
                )

    def known(self, facet: str, key: str, host: str) -> Known | None:
        """What the evidence holds of a key. Raises KeyError for a facet that is not kept."""
        cells = self._packed[facet].get(_number(key), b"")
        rows = (
            (self._names[number], Cell(level, first * DAY, last * DAY))
            for number, level, first, last in _CELL.iter_unpack(cells)
        )
        return known_of(rows, host)

    def complete(self, facet: str) -> bool:
        """Whether no counter of the facet was given up."""
        return not self._evicted.get(facet)


def _number(key: str) -> int:
    """A key as a number: of so many bits that two keys do not share one by chance."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def days(known: Known | None) -> float:
    """How many days lie between the first and the last time."""
    return 0.0 if known is None else (known.last - known.first) / DAY
