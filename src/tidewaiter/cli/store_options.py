"""The options of the commands that work on a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tidewaiter.engines.keeping import Keeping
    from tidewaiter.store.store import Store

Function = TypeVar("Function", bound=Callable[..., Any])

SAYS = "A file (SQLite), or a URL such as postgresql://user@host/database."
VERDICTS = ("true_positive", "benign", "unsure")


def store(*, required: bool, says: str) -> Callable[[Function], Function]:
    """The --store option."""
    return click.option("--store", "place", metavar="FILE|URL", required=required, help=f"{says} {SAYS}")


def open_for(place: str) -> Store:
    """The store to write to, made where there is none."""
    from tidewaiter.store.store import open_store

    return open_store(place)


def print_kept(keeping: Keeping) -> None:
    """Say on standard error what a scan changed in its store."""
    from tidewaiter.cli.summary import counted
    from tidewaiter.output import printable

    changes = keeping.store.changes
    told = f"{changes.added:,} added, {changes.updated:,} updated, {changes.unchanged:,} unchanged"
    click.echo(f"Kept in {printable(keeping.store.database.shown)}: {told}", err=True)
    if keeping.resumed:
        click.echo(f"Resumed: {counted(keeping.resumed, 'input')} had been read by a scan that did not end", err=True)
    if keeping.learned_from:
        seen = counted(keeping.learned_from, "input")
        click.echo(f"The baseline was learned from {seen} of these: what is in them counts as usual", err=True)
