"""`tidewaiter drill`: would this deployment see it? A harmless marker is brought in, and its records are looked for."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.store_options import store

LONGEST = click.FloatRange(0, 3600)


@click.command(name="drill", short_help="Prove a deployment: bring a harmless marker in and look for its records.")
@store(required=False, says="Where a running `tidewaiter watch` keeps its transfers.")
@click.option(
    "--logs", multiple=True, type=click.Path(exists=True), help="Scan this log or folder afterwards instead; may be repeated."
)
@click.option("--yes", is_flag=True, help="Do it. Without this the plan is shown and nothing is done.")
@click.option("--dry-run", is_flag=True, help="Show the plan only, even with --yes.")
@click.option("--clean", "tidy", is_flag=True, help="Take away what a drill that was killed left behind, and do nothing else.")
@click.option("--namespaces", is_flag=True, help="Hold it between two network namespaces (root; a sensor listens on twdrill0).")
@click.option("--method", "methods", multiple=True, metavar="ID", help="Only this method; may be repeated.")
@click.option("--pause", type=LONGEST, default=1.0, show_default=True, help="Seconds between two methods.")
@click.option("--settle", type=LONGEST, default=0.0, help="Seconds before the first method, for a sensor to start.")
@click.option("--wait", type=LONGEST, help="Seconds to wait for records: at most 90 with --store, 5 before --logs are read.")
@click.option(
    "--format", "format_name", type=click.Choice(("table", "jsonl")), default="table", show_default=True, help="How to print."
)
@click.option("--output", "target", type=click.Path(dir_okay=False), help="Write the result to this file.")
def command(
    place: str | None,
    logs: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    tidy: bool,
    namespaces: bool,
    methods: tuple[str, ...],
    pause: float,
    settle: float,
    wait: float | None,
    format_name: str,
    target: str | None,
) -> int:
    """Bring a harmless text file in by every method that this machine has programs for, and say which stages the records show.

    Servers are started on addresses that only this machine has, the file is fetched, checked and run, and everything is taken
    away again. Nothing leaves the machine. Exit code 0: every method that could be run gave a record.
    """
    from tidewaiter.catalog import drill as knowledge
    from tidewaiter.cli.drill_page import print_cleaned, print_plan, say, write_page
    from tidewaiter.cli.streams import results
    from tidewaiter.drill import plan, report
    from tidewaiter.drill.hold import Options, hold
    from tidewaiter.errors import UsageError

    if tidy:
        return print_cleaned()
    if place is not None and logs:
        raise UsageError("give --store or --logs, not both")
    drill = knowledge.load()
    planned = plan.make(drill, methods)
    if dry_run or not yes:
        print_plan(planned, namespaces=namespaces, pause=pause)
        return ExitCode.USAGE
    if place is None and not logs:
        raise UsageError("say where the records will be: --store FILE of a running watch, or --logs PATH")
    if not planned.possible:
        raise UsageError("no program that a drill could use is installed: --dry-run names them")
    options = Options(
        store=place,
        logs=logs,
        namespaces=namespaces,
        pause=pause,
        settle=settle,
        wait=wait if wait is not None else 90.0 if place is not None else 5.0,
    )
    reports = hold(drill, planned, options, say)
    with results(target) as stream:
        write_page(reports, stream, format_name)
    return ExitCode.OK if report.proven(reports) else ExitCode.FAILED
