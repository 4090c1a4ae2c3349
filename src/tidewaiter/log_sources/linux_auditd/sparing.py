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

    def kept(self, events: list[Event], account: Account) -> list[Event]:
        """The events that are needed, and the first of each other kind of each node."""
        needed = self._needed
        if needed is None:
            return events
        kept = []
        left: dict[EventKind, list[int]] = {}
        for event in events:
            if event.kind not in needed:
                known = (event.host, event.kind)
                if known in self._told:
                    left.setdefault(event.kind, []).append(event.time)
                    continue
                self._told.add(known)
            kept.append(event)
        for kind, times in left.items():
            count_unseen("linux_auditd", kind, len(times), (min(times), max(times)), account)
        return kept
