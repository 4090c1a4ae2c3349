"""The account of all inputs: grouped by what they were recognised as, added up, with every damaged place that was kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidewaiter.formats.archives import Unreadable
from tidewaiter.schema.account import Account

QUIET = ("unrecognised", "empty", "special file")
"""Kinds of unreadable inputs that come last: a folder of evidence is full of them."""

NAMED = 2000
"""Unreadable inputs that are named."""


@dataclass(slots=True)
class Group:
    """The inputs that were recognised as the same thing."""

    title: str
    accounts: list[Account] = field(default_factory=list)
    bytes: int = 0
    read: int = 0
    parsed: int = 0
    skipped: int = 0
    damaged: int = 0

    def add(self, account: Account) -> None:
        """Add one input."""
        self.accounts.append(account)
        self.bytes += account.bytes
        self.read += account.read
        self.parsed += account.parsed
        self.skipped += sum(account.skipped.values())
        self.damaged += account.damaged


@dataclass(slots=True)
class Books:
    """The whole account."""

    groups: list[Group]
    total: Group
    unreadable: Sequence[Unreadable]
    named: list[Unreadable]

    @property
    def balanced(self) -> bool:
        """Whether every record of every input is accounted for."""
        return all(account.balanced for group in self.groups for account in group.accounts)


def books(accounts: Iterable[Account], unreadable: Sequence[Unreadable]) -> Books:
    """Group and add up."""
    groups: dict[str, Group] = {}
    total = Group("all inputs")
    for account in accounts:
        title = account.recognised_as or "not recognised"
        groups.setdefault(title, Group(title)).add(account)
        total.add(account)
    named = sorted(unreadable, key=lambda item: item.kind in QUIET)[:NAMED]
    return Books(sorted(groups.values(), key=lambda group: -group.read), total, unreadable, named)
