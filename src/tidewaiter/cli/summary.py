"""What a scan says at its end: what was recognised as what, the account of every record, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from tidewaiter.output import printable
from tidewaiter.schema.account import Account
from tidewaiter.schema.transfer import SEVERITIES

if TYPE_CHECKING:
    from tidewaiter.pipeline.inputs import Unreadable

NAMED = 10
"""How many damaged places and unreadable inputs are named; the rest is counted."""


QUIET = ("unrecognised", "empty", "special file")
"""Kinds of unreadable inputs that are named last: a folder of evidence is full of them."""


class Group:
    """The accounts of all inputs that were recognised as the same thing, added up."""

    def __init__(self) -> None:
        self.inputs = self.bytes = self.read = self.parsed = self.damaged = 0
        self.skipped: dict[str, int] = {}

    def add(self, account: Account) -> None:
        """Add one input."""
        self.inputs += 1
        self.bytes += account.bytes
        self.read += account.read
        self.parsed += account.parsed
        self.damaged += account.damaged
        for reason, count in account.skipped.items():
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def lines(self, title: str) -> Iterator[str]:
        """The line of the group, and one line per reason for skipping."""
        skipped = sum(self.skipped.values())
        yield (
            f"  {printable(title)}: {counted(self.inputs, 'input')}, {size(self.bytes)}; read {counted(self.read, 'record')}"
            f" = {self.parsed:,} parsed + {skipped:,} skipped + {self.damaged:,} damaged"
        )
        for reason, count in sorted(self.skipped.items(), key=lambda pair: -pair[1]):
            yield f"      skipped {count:,}: {printable(reason)}"


def counted(number: int, noun: str) -> str:
    """ "1 record", "2,000 records"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(number: float) -> str:
    """Bytes in the unit that keeps the number short."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def summary(
    accounts: Iterable[Account], unreadable: Sequence[Unreadable], counts: Mapping[str, int] | None, seconds: float
) -> Iterator[str]:
    """The lines of the summary, free of control characters. Without counts nothing is said of transfers."""
    groups: dict[str, Group] = {}
    places: list[str] = []
    damaged = 0
    for account in accounts:
        if account.recognised_as is not None:
            groups.setdefault(account.recognised_as, Group()).add(account)
        damaged += account.damaged
        places.extend(
            f"{account.log_file}: {item.place}: {item.problem}" for item in account.damage[: max(0, NAMED - len(places))]
        )
    inputs = sum(group.inputs for group in groups.values())
    total = sum(group.bytes for group in groups.values())
    yield f"Read {counted(inputs, 'input')}, {size(total)}, in {seconds:.1f} s"
    for title, group in sorted(groups.items(), key=lambda pair: -pair[1].inputs):
        yield from group.lines(title)
    yield from _listed("Damaged: " + counted(damaged, "record"), damaged, places)
    loudest = sorted(unreadable, key=lambda item: item.kind in QUIET)
    yield from _listed(
        "Not read: " + counted(len(unreadable), "input"),
        len(unreadable),
        [f"{item.log_file}: {item.place}: {item.problem}" for item in loudest[:NAMED]],
    )
    if counts is None:
        return
    found = ", ".join(f"{counts[name]:,} {name}" for name in reversed(SEVERITIES) if counts.get(name))
    yield f"Found {counted(sum(counts.values()), 'transfer')}" + (f": {found}" if found else "")


def _listed(title: str, total: int, examples: Sequence[str]) -> Iterator[str]:
    """A heading with examples and the number of those that are not named; nothing where there are none."""
    if not total:
        return
    yield title
    for example in examples:
        yield f"  {printable(example)}"
    if total > len(examples):
        yield f"  and {total - len(examples):,} more"


def print_summary(
    accounts: Iterable[Account], unreadable: Sequence[Unreadable], counts: Mapping[str, int] | None, seconds: float
) -> None:
    """Write the summary to standard error."""
    for line in summary(accounts, unreadable, counts, seconds):
        click.echo(line, err=True)
