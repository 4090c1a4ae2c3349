"""Asking what is usual: the same questions to the evidence at hand and to the history in a store."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Protocol

from tidewaiter.baseline.counters import FACETS, KEPT, Cell, Counters, Known, known_of, sum_of
from tidewaiter.baseline.decay import DAY, HALF_LIFE

ASKED_OF_EVIDENCE = ("host", "utility", "domain", "hash", "program_domain")
"""The facets that judgement asks about where there is no history."""
HOSTS_KEPT = 100_000
"""Names of hosts that are held before those of no counter are forgotten."""
ANSWERS_KEPT = 2_048
"""Answers that are remembered."""
_CELL = struct.Struct("<Idii")
"""Number of the host, level, first and last day."""
_HOST = struct.Struct("<I")
FEW_HOSTS, HOSTS_SUMMED = 16, 200_000
"""Hosts of a key beyond which it is added up once for all questions, and how many hosts such sums may hold together."""


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


def _place_of(cells: bytes, host: int) -> int:
    """Where the counter of a host begins among those of a key; -1 where there is none."""
    name = _HOST.pack(host)
    place = cells.find(name)
    while place >= 0 and place % _CELL.size:
        place = cells.find(name, place + 1)
    return place


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
        self._sums: dict[tuple[str, str], Known | None] = {}  # facet and key -> what all hosts show, where they are many
        self._summed = 0  # hosts in these sums
        self._answers: dict[tuple[str, str, str], Known] = {}  # what was asked of late
        if counters is not None:
            self.add(counters)

    def add(self, counters: Counters) -> None:
        """Add what a worker counted, with the same half-life."""
        self._sums.clear()
        self._answers.clear()
        self._summed = 0
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
        place = _place_of(known, host)
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
        asked = (facet, key, host)
        answer = self._answers.get(asked)
        if answer is None:
            cells = self._packed[facet].get(_number(key))
            if not cells:
                return None
            answer = self._worked_out(facet, key, host, cells)
            if answer is not None:
                if len(self._answers) >= ANSWERS_KEPT:
                    self._answers.clear()
                self._answers[asked] = answer
        return answer

    def _worked_out(self, facet: str, key: str, host: str, cells: bytes) -> Known | None:
        if len(cells) <= FEW_HOSTS * _CELL.size:
            return known_of(self._by_host(cells), host)
        if (facet, key) not in self._sums:
            self._summed += len(cells) // _CELL.size
            if self._summed > HOSTS_SUMMED:
                self._sums.clear()
                self._summed = len(cells) // _CELL.size
            self._sums[facet, key] = known_of(self._by_host(cells), "")
        found = self._sums[facet, key]
        number = self._hosts.get(host)
        place = -1 if number is None else _place_of(cells, number)
        here = next(self._by_host(cells[place : place + _CELL.size]))[1] if place >= 0 else None
        return None if found is None else found._replace(here=here)

    def _by_host(self, cells: bytes) -> Iterator[tuple[str, Cell]]:
        return (
            (self._names[number], Cell(level, first * DAY, last * DAY))
            for number, level, first, last in _CELL.iter_unpack(cells)
        )

    def complete(self, facet: str) -> bool:
        """Whether no counter of the facet was given up."""
        return not self._evicted.get(facet)


@functools.lru_cache(maxsize=8_192)
def _number(key: str) -> int:
    """A key as a number: of so many bits that two keys do not share one by chance."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def days(known: Known | None) -> float:
    """How many days lie between the first and the last time."""
    return 0.0 if known is None else (known.last - known.first) / DAY
