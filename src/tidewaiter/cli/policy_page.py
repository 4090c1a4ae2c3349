"""What is said of policies: entries that are ignored, lists that are not wholly usable, and what a trial showed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tidewaiter.cli.summary import counted
from tidewaiter.output import printable

if TYPE_CHECKING:
    from tidewaiter.policy.policy import Policy
    from tidewaiter.policy.trial import Effect, Trial


def notes(policy: Policy) -> Iterator[str]:
    """A line per ignored entry and per list of which something cannot be used."""
    for passed in policy.passed:
        yield printable(f"Policy {passed.file}: entry {passed.entry.id} is ignored: {passed.why} (owner {passed.entry.owner})")
    for rule in policy.rules:
        for why, count in rule.unused:
            yield printable(f"Policy {rule.file}: entry {rule.entry.id}: {counted(count, 'value')} cannot be used: {why}")


def print_notes(policy: Policy) -> None:
    """Write the notes to standard error."""
    for line in notes(policy):
        click.echo(line, err=True)


def trial_page(trial: Trial) -> Iterator[str]:
    """The lines of a trial for a person: entries that change something first, then those that match nothing."""
    yield f"Tried {counted(len(trial.entries), 'entry').replace('entrys', 'entries')} on {counted(trial.transfers, 'transfer')}"
    for effect in sorted(trial.entries, key=lambda one: not one.matched):
        yield from _effect(effect)
    for ignored in trial.ignored:
        yield printable(f"{ignored.id} ({ignored.table}, {ignored.file}): ignored, {ignored.why}")


def _effect(effect: Effect) -> Iterator[str]:
    what = (
        f"speaks of {counted(effect.matched, 'transfer')}: silences {effect.silenced:,}, lowers {effect.lowered:,},"
        f" raises {effect.raised:,}"
        if effect.matched
        else "matches nothing"
    )
    values = f" of {counted(effect.values, 'value')}" if effect.table == "known_bad" else ""
    yield ""
    yield printable(f"{effect.id} ({effect.table}{values}, {effect.file}): {what}")
    yield printable(f"  {effect.reason} (owner {effect.owner}, until {effect.expires})")
    for why, count in effect.unused.items():
        yield printable(f"  {counted(count, 'value')} cannot be used: {why}")
    for change in effect.examples:
        where = f"{change.time or 'time unknown'} {change.host or 'host unknown'} {change.utility or ''}".rstrip()
        yield printable(f"  {change.id[:8]}  {change.before} -> {change.after}  {where}: {change.matched}")
    more = effect.lowered + effect.raised - len(effect.examples)
    if more > 0:
        yield f"  and {more:,} more"
