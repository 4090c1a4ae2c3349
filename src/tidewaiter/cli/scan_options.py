"""The options that say what to scan, shared by the commands that scan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
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


def networks(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Networks such as 10.0.0.0/8, as spelled. Raises click.BadParameter on what is none."""
    for value in values:
        try:
            ip_network(value.strip(), strict=False)
        except ValueError:
            raise click.BadParameter(f"{value!r} is no network such as 10.0.0.0/8", ctx, param) from None
    return values


PATHS = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
JOBS = click.option("--jobs", type=click.IntRange(min=1), help="Processes to use. Default: all cores.")
CONFINE = click.option(
    "--confine/--no-confine",
    default=False,
    envvar="TIDEWAITER_CONFINE",
    help="Let the kernel (Landlock, Linux) keep the scan to its inputs and its output's folder, without network. Default: no.",
)
KEEP_FILES = click.option(
    "--keep-files",
    "keep_files",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Keep what captures carried in this folder, by SHA-256, with an index. New, empty, or of an earlier scan.",
)
POLICY = click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A TOML file of what is trusted, allowed and known to be bad here. May be repeated.",
)

NARROWING = (
    click.option("--min-severity", type=click.Choice(SEVERITIES), default="informational", help="Leave out what is below."),
    click.option("--since", metavar="TIME", callback=moment, help="Only transfers at or after this time (ISO 8601, UTC)."),
    click.option("--until", metavar="TIME", callback=moment, help="Only transfers at or before this time."),
    click.option("--host", "hosts", multiple=True, help="Only transfers on this host. May be repeated."),
)
SCOPE = (
    *NARROWING,
    click.option(
        "--internal",
        multiple=True,
        metavar="CIDR",
        callback=networks,
        help="A network that is inside. May be repeated. Default: private and link-local addresses.",
    ),
    POLICY,
)


def scope(function: Function) -> Function:
    """Add the options that narrow a scan."""
    for option in reversed(SCOPE):
        function = option(function)
    return function


def narrowing(function: Function) -> Function:
    """Add the options that narrow what is shown."""
    for option in reversed(NARROWING):
        function = option(function)
    return function
