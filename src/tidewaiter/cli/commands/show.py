"""`tidewaiter show`: one transfer with its stages, reasons and evidence lines."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import JOBS, POLICY
from tidewaiter.cli.store_options import store


@click.command(name="show", short_help="Show one transfer with its stages, reasons and evidence lines.")
@click.argument("identity", metavar="ID")
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path(exists=True))
@store(required=False, says="Show it from there instead of scanning PATH again.")
@POLICY
@JOBS
def command(identity: str, paths: tuple[str, ...], place: str | None, policies: tuple[str, ...], jobs: int | None) -> int:
    """Show the transfer whose id starts with ID (the table shows the first eight characters), from PATH or from a store."""
    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.streams import results
    from tidewaiter.output import named

    if (place is None) == (not paths):
        raise click.UsageError("give either PATH or --store")
    if place is not None:
        from tidewaiter.policy.policy import load
        from tidewaiter.store.store import open_store, single

        policy = load(policies)
        print_notes(policy)
        with open_store(place, create=False) as opened:
            kept = policy.applied(single(opened.find(identity), identity, "in the store"))
        with results(None) as stream:
            named("detail").load().write([kept], stream)
        return ExitCode.OK
    from tidewaiter.cli.progress import reporting
    from tidewaiter.engines.local import scan
    from tidewaiter.pipeline.config import ScanOptions

    with reporting() as report, scan(paths, options=ScanOptions(jobs=jobs, policies=policies), progress=report) as found:
        report.finish()
        print_notes(found.policy)
        matching = [transfer for transfer in found.transfers() if transfer.id.startswith(identity)]
    if not matching:
        raise click.UsageError(f"no transfer in these logs has an id that starts with {identity!r}")
    if len(matching) > 1:
        ids = ", ".join(transfer.id for transfer in matching[:5])
        raise click.UsageError(f"{len(matching)} transfers have an id that starts with {identity!r}: {ids}")
    with results(None) as stream:
        named("detail").load().write(matching, stream)
    return ExitCode.OK
