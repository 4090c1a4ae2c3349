"""`tidewaiter baseline`: what is usual here, learned from logs into a store."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import JOBS, PATHS
from tidewaiter.cli.store_options import store


@click.group(name="baseline", short_help="Learn what is usual here, and show it.")
def command() -> None:
    """Learn what is usual here, and show it. Scans with the same store then weigh how usual a transfer is."""


@command.command(name="learn", short_help="Learn from logs what is usual.")
@PATHS
@store(required=True, says="The store.")
@click.option(
    "--half-life", type=click.FloatRange(min=0.5, max=3650), help="Days after which an observation counts half. Default: 30."
)
@JOBS
def learn_command(paths: tuple[str, ...], place: str, half_life: float | None, jobs: int | None) -> int:
    """Add what the logs under PATH show to the baseline. A log that was learned from before adds nothing."""
    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.summary import counted, print_summary
    from tidewaiter.engines.learning import learn
    from tidewaiter.pipeline.config import ScanOptions
    from tidewaiter.store.store import open_store

    with open_store(place) as opened, reporting() as report:
        told = learn(paths, opened, half_life=half_life, options=ScanOptions(jobs=jobs), progress=report)
        report.finish()
    print_summary(told.accounts, told.unreadable, None, report.seconds)
    known = f"; {counted(told.known, 'input')} known already" if told.known else ""
    late = f"; {counted(told.late, 'event')} without a usable time left out" if told.late else ""
    click.echo(f"Learned from {counted(told.inputs, 'input')}{known}{late}", err=True)
    return ExitCode.OK


@command.command(name="show", short_help="Show what was learned.")
@store(required=True, says="The store.")
@click.option("--top", type=click.IntRange(min=0), default=5, show_default=True, help="How many of each to name.")
def show_command(place: str, top: int) -> int:
    """Say what the baseline holds, since when, what was given up, and what is most usual."""
    from tidewaiter.cli.baseline_page import baseline_page
    from tidewaiter.store.store import open_store

    with open_store(place, create=False) as opened:
        for line in baseline_page(opened.history, top):
            click.echo(line)
    return ExitCode.OK
