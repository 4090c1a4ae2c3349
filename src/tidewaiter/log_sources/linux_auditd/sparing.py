"""Events of which one is enough: that a host's log shows such events is all that anybody needs to know."""

from __future__ import annotations

from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.tally import count_unseen


class Spared:
    """Leaves out, and counts, the events of one input that are of other kinds than those needed one by one (None: all are)."""

    def __init__(self, needed: frozenset[EventKind] | None = None) -> None:
        self._needed = needed
        self._told: set[tuple[str | None, EventKind]] = set()
        self._left: dict[EventKind, list[int]] = {}  # times of those left out since they were counted last

    def leaves(self, host: str | None, kind: EventKind, time: int) -> bool:
        """Whether an event need not be made, for nobody needs it. It is then counted."""
        if (host, kind) not in self._told:
            return False
        self._left.setdefault(kind, []).append(time)
        return True

    def kept(self, events: list[Event], account: Account) -> list[Event]:
        """The events that are needed, and the first of each other kind of each node; all others so far are counted."""
        needed = self._needed
        if needed is None:
            return events
        kept = []
        for event in events:
            if event.kind not in needed:
                if self.leaves(event.host, event.kind, event.time):
                    continue
                self._told.add((event.host, event.kind))
            kept.append(event)
        for kind, times in self._left.items():
            count_unseen("linux_auditd", kind, len(times), (min(times), max(times)), account)
        self._left.clear()
        return kept
