"""The options that say what to scan, shared by the commands that scan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from tidewaiter.schema.transfer import SEVERITIES

Function = TypeVar("Function", bound=Callable[..., Any])


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """An ISO 8601 date or time as microseconds since 1970 UTC; without an offset it is UTC. Raises click.BadParameter."""
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        since = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        problem = f"{value!r} is no date or time such as 2026-03-01 or 2026-03-01T12:00:00Z"
        raise click.BadParameter(problem, ctx, param) from None
    return since // timedelta(microseconds=1)


PATHS = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Processes to use. Default: all cores.")

SCOPE = (
    click.option("--min-severity", type=click.Choice(SEVERITIES), default="informational", help="Leave out what is below."),
    click.option("--since", metavar="TIME", callback=moment, help="Only transfers at or after this time (ISO 8601, UTC)."),
    click.option("--until", metavar="TIME", callback=moment, help="Only transfers at or before this time."),
    click.option("--host", "hosts", multiple=True, help="Only transfers on this host. May be repeated."),
)


def scope(function: Function) -> Function:
    """Add the options that narrow a scan."""
    for option in reversed(SCOPE):
        function = option(function)
    return function
