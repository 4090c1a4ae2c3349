"""`tidewaiter scan`: find every transfer in logs, folders and archives."""

from __future__ import annotations

from typing import Any

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import CONFINE, JOBS, KEEP_FILES, PATHS, scope
from tidewaiter.cli.store_options import open_for, print_kept, store
from tidewaiter.output import REGISTER, named

FORMATS = [entry.name for entry in REGISTER]


@click.command(name="scan", short_help="Find every transfer in logs, folders and archives.")
@PATHS
@click.option("--format", "format_name", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print.")
@click.option("--output", "target", type=click.Path(dir_okay=False), help="Write the result to this file.")
@store(required=False, says="Keep all transfers there, and weigh by what it learned to be usual.")
@scope
@JOBS
@KEEP_FILES
@CONFINE
def command(
    paths: tuple[str, ...],
    format_name: str,
    target: str | None,
    place: str | None,
    confine: bool,
    keep_files: str | None,
    **narrowing: Any,
) -> int:
    """Find every transfer in PATH: files, folders and archives, recognised by their content.

    The result goes to standard output or to --output; progress, what was recognised as what, and the account of every
    record go to standard error. With --store, scanning the same logs again adds nothing, and a scan that was killed goes on
    where it was. With --keep-files, what captures carried is copied to a folder; it may be malware, and is never opened.
    """
    import contextlib

    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.streams import require_folder, results
    from tidewaiter.cli.summary import print_summary
    from tidewaiter.engines.kept_files import KeptFiles
    from tidewaiter.engines.local import scan
    from tidewaiter.pipeline.config import ScanOptions

    require_folder(target)
    with contextlib.ExitStack() as opened:
        kept_files = None if keep_files is None else opened.enter_context(KeptFiles(keep_files))
        if confine:
            from tidewaiter.engines.confinement import confined

            wanted = {"output": target, "store": place, "policies": narrowing["policies"], "keep_files": keep_files}
            opened.enter_context(confined(paths, **wanted))
        kept = opened.enter_context(open_for(place)) if place is not None else None
        report = opened.enter_context(reporting())
        found = opened.enter_context(
            scan(paths, options=ScanOptions(**narrowing), progress=report, store=kept, kept_files=kept_files)
        )
        report.finish()
        with results(target) as stream:
            output = named(format_name).load()
            if hasattr(output, "write_encoded"):
                output.write_encoded(found.encoded(), stream)
            else:
                output.write(found.transfers(), stream)
        print_summary(found.accounts, found.unreadable, found.counts, report.seconds)
        print_notes(found.policy)
        if found.keeping is not None:
            print_kept(found.keeping)
        if kept_files is not None:
            click.echo(kept_files.summary(), err=True)
    return ExitCode.OK
