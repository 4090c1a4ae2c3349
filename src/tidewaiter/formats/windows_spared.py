"""Windows records of which nobody needs the events one by one: the first of each computer becomes one, others are counted."""

from __future__ import annotations

from tidewaiter.formats.windows_records import Route
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import EventKind
from tidewaiter.schema.tally import count_unseen

_TOLD = 100_000


class Spared:
    """The sums of one input."""

    def __init__(self) -> None:
        self._told: set[tuple[str, int, str | None]] = set()
        self._unseen: dict[tuple[str, int], tuple[str, EventKind, list[int]]] = {}  # how many, first and last time

    def takes(self, route: Route, provider: str, event_id: int, computer: str | None, time: int) -> bool:
        """Whether a record was counted, and has to become no event. `time` is that of its event, in microseconds."""
        known = (provider, event_id, computer)
        if known not in self._told:
            if len(self._told) < _TOLD:
                self._told.add(known)
            return False
        sums = self._unseen.get(known[:2])
        if sums is None:
            name = type(route.source).__module__.rpartition(".")[2]
            assert route.spared is not None
            self._unseen[known[:2]] = (name, route.spared, [1, time, time])
            return True
        counted = sums[2]
        counted[0] += 1
        if time < counted[1]:
            counted[1] = time
        elif time > counted[2]:
            counted[2] = time
        return True

    def knows(self, provider: str, event_id: int, computer: str | None) -> bool:
        """Whether such records are counted from now on."""
        return (provider, event_id, computer) in self._told

    def count(self, account: Account) -> None:
        """Note in the account what became no event."""
        for name, kind, (count, first, last) in self._unseen.values():
            account.parse(count)
            count_unseen(name, kind, count, (first, last), account)
