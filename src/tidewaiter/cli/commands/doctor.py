"""`tidewaiter doctor`: what can these logs not show, and which setting would?"""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import JOBS, PATHS


@click.command(name="doctor", short_help="Say what the logs cannot show, and which setting would.")
@PATHS
@click.option(
    "--format", "format_name", type=click.Choice(("table", "json")), default="table", show_default=True, help="How to print."
)
@click.option("--output", "target", type=click.Path(dir_okay=False), help="Write the result to this file.")
@JOBS
def command(paths: tuple[str, ...], format_name: str, target: str | None, jobs: int | None) -> int:
    """Say which stages, platforms and utilities the logs in PATH cannot show, and which sensor setting would show them.

    The logs are read as `scan` reads them, and only counted. The table at the end says how far ATT&CK's analytics for T1105
    and their data components are covered.
    """
    import msgspec

    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.streams import results
    from tidewaiter.engines.diagnosing import examine
    from tidewaiter.pipeline.config import ScanOptions

    with reporting() as report:
        diagnosis = examine(paths, options=ScanOptions(jobs=jobs), progress=report)
        report.finish()
    with results(target) as stream:
        if format_name == "json":
            stream.write(msgspec.json.format(msgspec.json.encode(diagnosis), indent=2).decode() + "\n")
        else:
            from tidewaiter.cli.doctor_page import write_page

            write_page(diagnosis, stream)
    return ExitCode.OK
