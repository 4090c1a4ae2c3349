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
        self._index: dict[str, dict[str, dict[str, Cell]]] = {}
        self._known: dict[tuple[str, str], Known | None] = {}  # facet and key -> what all hosts together show
        for facet, cells in counters.cells.items():
            by_key = self._index.setdefault(facet, {})
            for (key, host), cell in cells.items():
                by_key.setdefault(key, {})[host] = cell

    def known(self, facet: str, key: str, host: str) -> Known | None:
        """What the evidence holds of a key. Adding up its hosts is done once: a key such as "any" has all of them."""
        cells = self._index.get(facet, _NO_KEYS).get(key)
        if cells is None:
            return None
        asked = (facet, key)
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = known_of(iter(cells.items()), "")
        here = cells.get(host)
        return found if found is None or found.here is here else found._replace(here=here)

    def complete(self, facet: str) -> bool:
        """Whether no counter of the facet was given up."""
        return not self._evicted.get(facet)


_NO_KEYS: dict[str, dict[str, Cell]] = {}


def days(known: Known | None) -> float:
    """How many days lie between the first and the last time."""
    return 0.0 if known is None else (known.last - known.first) / DAY
