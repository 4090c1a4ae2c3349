"""`tidewaiter report`: one self-contained HTML page about everything that was brought in."""

from __future__ import annotations

from typing import Any

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import CONFINE, JOBS, PATHS, scope


@click.command(name="report", short_help="Write one HTML page about every transfer.")
@PATHS
@click.option(
    "-o", "--output", "target", type=click.Path(dir_okay=False), default="report.html", show_default=True, help="The page."
)
@scope
@JOBS
@CONFINE
def command(paths: tuple[str, ...], target: str, confine: bool, **narrowing: Any) -> int:
    """Scan PATH and write one HTML page: summary, timeline, every transfer with its stages, spread, and the account.

    The page needs no network, holds no script, and can be opened, printed and passed on as the one file that it is.
    """
    import contextlib
    from datetime import UTC, datetime

    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.streams import results
    from tidewaiter.cli.summary import print_summary
    from tidewaiter.engines.local import scan
    from tidewaiter.output import printable
    from tidewaiter.outputs.html_report import Contents, write_report
    from tidewaiter.pipeline.config import ScanOptions

    options = ScanOptions(**narrowing)
    with contextlib.ExitStack() as opened:
        if confine:
            from tidewaiter.engines.confinement import confined

            opened.enter_context(confined(paths, output=target, policies=narrowing["policies"]))
        progress = opened.enter_context(reporting())
        found = opened.enter_context(scan(paths, options=options, progress=progress))
        progress.finish()
        contents = Contents(
            transfers=found.transfers,
            accounts=found.accounts,
            unreadable=found.unreadable,
            paths=paths,
            made=datetime.now(UTC),
            narrowed=narrowed(options),
        )
        with results(target) as stream:
            write_report(contents, stream)
        print_summary(found.accounts, found.unreadable, found.counts, progress.seconds)
        print_notes(found.policy)
    if target != "-":
        click.echo(f"Report: {printable(target)}", err=True)
    return ExitCode.OK


def narrowed(options: Any) -> str | None:
    """What the options leave out, in words that follow "only"; None where they leave out nothing."""
    from tidewaiter.schema.moments import render_time

    parts = []
    if options.min_severity != "informational":
        parts.append(f"{options.min_severity} severity and higher")
    if options.hosts:
        parts.append(f"on {', '.join(options.hosts)}")
    if options.since is not None:
        parts.append(f"since {render_time(options.since)}")
    if options.until is not None:
        parts.append(f"until {render_time(options.until)}")
    return ", ".join(parts) or None
