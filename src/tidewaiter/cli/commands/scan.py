"""`tidewaiter scan`: find every transfer in logs, folders and archives."""

from __future__ import annotations

from typing import Any

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import JOBS, PATHS, scope
from tidewaiter.output import REGISTER, named

FORMATS = [entry.name for entry in REGISTER]


@click.command(name="scan", short_help="Find every transfer in logs, folders and archives.")
@PATHS
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print.")
@click.option("--output", "target", type=click.Path(dir_okay=False), help="Write the result to this file.")
@scope
@JOBS
def command(paths: tuple[str, ...], format_name: str, target: str | None, **narrowing: Any) -> int:
    """Find every transfer in PATH: files, folders and archives, recognised by their content.

    The result goes to standard output or to --output; progress, what was recognised as what, and the account of every
    record go to standard error.
    """
    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.streams import results
    from tidewaiter.cli.summary import print_summary
    from tidewaiter.engines.local import scan
    from tidewaiter.pipeline.config import ScanOptions

    with reporting() as report, scan(paths, options=ScanOptions(**narrowing), progress=report) as found:
        report.finish()
        with results(target) as stream:
            named(format_name).load().write(found.transfers(), stream)
        print_summary(found.accounts, found.unreadable, found.counts, report.seconds)
        print_notes(found.policy)
    return ExitCode.OK
