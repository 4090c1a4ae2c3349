"""The account of one input: read = parsed + skipped (by reason) + damaged (with place). Nothing is lost silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

PLACES_KEPT = 20
"""How many damaged places are named per input; all are counted."""


class Damage(msgspec.Struct, frozen=True):
    """One damaged record: where, and what is wrong."""

    place: str  # "byte 4096", "line 12", "record 77"
    problem: str


class Account(msgspec.Struct, kw_only=True):
    """What became of every record of one input. A reader counts each record exactly once, as one of the three."""

    log_file: str
    recognised_as: str | None = None  # "EVTX", "Suricata EVE (JSON lines)" ...
    why: str | None = None  # what in the content said so
    bytes: int = 0
    read: int = 0
    parsed: int = 0
    skipped: dict[str, int] = msgspec.field(default_factory=dict)
    damaged: int = 0
    damage: list[Damage] = msgspec.field(default_factory=list)
    kinds: dict[str, int] = msgspec.field(default_factory=dict)  # events made, by log source and kind
    notes: list[str] = msgspec.field(default_factory=list)
    first: int | None = None  # times of the earliest and latest event, microseconds
    last: int | None = None

    def parse(self, count: int = 1) -> None:
        """Count records that became events (or were joined into one)."""
        self.read += count
        self.parsed += count

    def skip(self, reason: str, count: int = 1) -> None:
        """Count records that are well-formed and of no use, by reason."""
        self.read += count
        self.skipped[reason] = self.skipped.get(reason, 0) + count

    def damage_at(self, place: str, problem: str, count: int = 1) -> None:
        """Count damaged records and name the place."""
        self.read += count
        self.damaged += count
        if len(self.damage) < PLACES_KEPT:
            self.damage.append(Damage(place, problem[:300]))

    def made(self, log_source: str, kinds: Iterable[str]) -> None:
        """Count the events that a log source made, by kind."""
        for kind, count in Counter(kinds).items():
            name = f"{log_source}:{kind}"
            self.kinds[name] = self.kinds.get(name, 0) + count

    @property
    def balanced(self) -> bool:
        """The accounting invariant."""
        return self.read == self.parsed + sum(self.skipped.values()) + self.damaged
