"""Asking what is usual: the same questions to the evidence at hand and to the history in a store."""

from __future__ import annotations

from typing import Protocol

from tidewaiter.baseline.counters import Cell, Counters, Known, known_of
from tidewaiter.baseline.decay import DAY


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
    """What the evidence at hand shows to be usual, for scans without a history."""

    is_history = False

    def __init__(self, counters: Counters) -> None:
        self.half_life = counters.half_life
        self._evicted = counters.evicted
        self._index: dict[str, dict[str, list[tuple[str, Cell]]]] = {}
        for facet, cells in counters.cells.items():
            by_key = self._index.setdefault(facet, {})
            for (key, host), cell in cells.items():
                by_key.setdefault(key, []).append((host, cell))

    def known(self, facet: str, key: str, host: str) -> Known | None:
        """What the evidence holds of a key."""
        return known_of(iter(self._index.get(facet, {}).get(key, ())), host)

    def complete(self, facet: str) -> bool:
        """Whether no counter of the facet was given up."""
        return not self._evicted.get(facet)


def days(known: Known | None) -> float:
    """How many days lie between the first and the last time."""
    return 0.0 if known is None else (known.last - known.first) / DAY
