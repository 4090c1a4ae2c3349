"""`tidewaiter list`: the transfers that a store holds."""

from __future__ import annotations

from typing import Any

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import POLICY, narrowing
from tidewaiter.cli.store_options import VERDICTS, store
from tidewaiter.output import REGISTER, named
from tidewaiter.schema.transfer import SEVERITIES

FORMATS = [entry.name for entry in REGISTER]


@click.command(name="list", short_help="List the transfers that a store holds.")
@store(required=True, says="The store.")
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print.")
@click.option("--output", "target", type=click.Path(dir_okay=False), help="Write the result to this file.")
@narrowing
@click.option("--utility", help="Only transfers by this utility.")
@click.option("--verdict", type=click.Choice((*VERDICTS, "none")), help="Only transfers with this verdict, or without any.")
@POLICY
def command(
    place: str, format_name: str, target: str | None, policies: tuple[str, ...], min_severity: str, **filters: Any
) -> int:
    """List what earlier scans kept, in time order, with the verdicts. A policy weighs in now, whenever the scan was."""
    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.streams import results
    from tidewaiter.policy.policy import load
    from tidewaiter.store.store import Filters, open_store

    policy = load(policies)
    print_notes(policy)
    lowest = SEVERITIES.index(min_severity)
    with open_store(place, create=False) as opened, results(target) as stream:
        asked = Filters(min_severity=SEVERITIES[0] if policies else min_severity, **filters)
        found = map(policy.applied, opened.transfers(asked))
        shown = (one for one in found if SEVERITIES.index(one.severity) >= lowest)
        named(format_name).load().write(shown, stream)
    return ExitCode.OK
