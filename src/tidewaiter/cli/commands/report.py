"""`tidewaiter report`: one self-contained HTML page about everything that was brought in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import CONFINE, JOBS, scope
from tidewaiter.cli.store_options import store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidewaiter.policy.policy import Policy
    from tidewaiter.schema.transfer import Transfer


@click.command(name="report", short_help="Write one HTML page about every transfer.")
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path(exists=True))
@click.option(
    "-o", "--output", "target", type=click.Path(dir_okay=False), default="report.html", show_default=True, help="The page."
)
@store(required=False, says="Report what it holds instead of scanning PATH.")
@scope
@JOBS
@CONFINE
def command(paths: tuple[str, ...], target: str, place: str | None, confine: bool, **narrowing: Any) -> int:
    """Scan PATH, or take what a store holds, and write one HTML page: summary, timeline, every transfer with its stages,
    spread, and the account.

    The page needs no network, holds no script, and can be opened, printed and passed on as the one file that it is.
    """
    from tidewaiter.cli.streams import require_folder
    from tidewaiter.output import printable

    if (place is None) == (not paths):
        raise click.UsageError("give either PATH or --store")
    require_folder(target)
    if place is None:
        _of_scan(paths, target, confine, narrowing)
    elif confine or narrowing["internal"] or narrowing["jobs"]:
        raise click.UsageError("--confine, --internal and --jobs are for a scan: leave them out with --store")
    else:
        _of_store(place, target, narrowing)
    if target != "-":
        click.echo(f"Report: {printable(target)}", err=True)
    return ExitCode.OK


def _of_scan(paths: tuple[str, ...], target: str, confine: bool, narrowing: dict[str, Any]) -> None:
    import contextlib
    from datetime import UTC, datetime

    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.streams import results
    from tidewaiter.cli.summary import print_summary
    from tidewaiter.engines.local import scan
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


def _of_store(place: str, target: str, narrowing: dict[str, Any]) -> None:
    import tempfile
    from datetime import UTC, datetime

    import msgspec

    from tidewaiter.cli.policy_page import print_notes
    from tidewaiter.cli.streams import results
    from tidewaiter.cli.summary import counted
    from tidewaiter.output import printable
    from tidewaiter.outputs.html_report import Contents, write_report
    from tidewaiter.pipeline.config import ScanOptions
    from tidewaiter.policy.policy import load
    from tidewaiter.schema.transfer import SEVERITIES, Transfer
    from tidewaiter.store.store import Filters, open_store

    options = ScanOptions(**narrowing)
    policy = load(options.policies)
    print_notes(policy)
    with open_store(place, create=False) as opened, tempfile.TemporaryFile() as spool:
        # a page takes several passes over one state, and a store may be written to meanwhile
        asked = Filters(
            min_severity=SEVERITIES[0] if options.policies else options.min_severity,
            since=options.since,
            until=options.until,
            hosts=options.hosts,
        )
        count = 0
        for transfer in _shown(opened.transfers(asked), policy, options.min_severity):
            spool.write(msgspec.json.encode(transfer) + b"\n")
            count += 1
        accounts = [account for one in opened.inputs() for account in one.accounts]
        decoder = msgspec.json.Decoder(Transfer)

        def transfers() -> Iterator[Transfer]:
            spool.seek(0)
            yield from map(decoder.decode, spool)

        contents = Contents(
            transfers=transfers,
            accounts=accounts,
            paths=(opened.database.shown,),
            made=datetime.now(UTC),
            narrowed=narrowed(options),
        )
        with results(target) as stream:
            write_report(contents, stream)
        click.echo(f"{counted(count, 'transfer')} in {printable(opened.database.shown)}", err=True)


def _shown(transfers: Iterable[Transfer], policy: Policy, lowest: str) -> Iterator[Transfer]:
    """The transfers with what the policy says of them now, without those of a lower severity."""
    from tidewaiter.schema.transfer import SEVERITIES

    for transfer in map(policy.applied, transfers):
        if SEVERITIES.index(transfer.severity) >= SEVERITIES.index(lowest):
            yield transfer


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
