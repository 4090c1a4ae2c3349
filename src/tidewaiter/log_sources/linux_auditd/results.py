"""What became of the records of one block."""

from __future__ import annotations

from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

MOST_REASONS = 200
"""Reasons that are told apart: an audit log may hold calls of any name."""

Result = Event | list[Event] | str
"""What an event of the log becomes: events, or in words why none; an empty text where it is damaged."""


class Results:
    """Collects events and counts records."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.parsed = 0
        self._skipped: dict[str, int] = {}
        self._damaged: list[tuple[int, int]] = []

    def skip(self, reason: str, count: int) -> None:
        """Count records that are of no use."""
        self._skipped[reason] = self._skipped.get(reason, 0) + count

    def add(self, result: Result, line: int, count: int) -> None:
        """Take the result of the event whose first record is in this line and which has so many records."""
        if isinstance(result, Event):
            self.events.append(result)
            self.parsed += count
        elif not result:
            self._damaged.append((line, count))
        elif isinstance(result, str):
            self.skip(result, count)
        else:
            self.events += result
            self.parsed += count

    def count(self, account: Account) -> None:
        """Count all records into the account."""
        for line, count in self._damaged:
            account.damage_at(f"line {line}", "unreadable audit record", count)
        if self.parsed:
            account.parse(self.parsed)
        for reason, count in self._skipped.items():
            bounded = reason if reason in account.skipped or len(account.skipped) < MOST_REASONS else "other system calls"
            account.skip(bounded, count)
