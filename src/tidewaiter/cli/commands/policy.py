"""`tidewaiter policy test`: what the entries of a policy would do."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.scan_options import JOBS


@click.group(name="policy", short_help="Try out a policy: what its entries would silence and raise.")
def command() -> None:
    """Work with policies: TOML files of what is trusted, allowed and known to be bad here."""


@command.command(name="test", short_help="Show which transfers each entry would silence or raise.")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="The policy to try. May be repeated.",
)
@click.option("--store", "place", metavar="FILE|URL", help="Try it on the transfers of a store instead of on PATH.")
@click.option(
    "--format", "format_name", type=click.Choice(("text", "json")), default="text", show_default=True, help="How to print."
)
@JOBS
def test(paths: tuple[str, ...], policies: tuple[str, ...], place: str | None, format_name: str, jobs: int | None) -> int:
    """Show, for each entry by itself, which transfers it would silence (no longer medium) or raise, and what matches nothing.

    Nothing is changed: neither the logs nor the store.
    """
    if bool(paths) == bool(place):
        raise click.UsageError("give either PATH or --store")
    import msgspec

    from tidewaiter.cli.policy_page import trial_page
    from tidewaiter.cli.progress import reporting
    from tidewaiter.cli.streams import results
    from tidewaiter.policy.policy import load
    from tidewaiter.policy.trial import tried

    policy = load(policies)
    if place is not None:
        from tidewaiter.store.store import open_store

        with open_store(place, create=False) as store:
            trial = tried(policy, store.transfers())
    else:
        from tidewaiter.engines.local import inside, scan
        from tidewaiter.pipeline.config import ScanOptions

        options = ScanOptions(jobs=jobs, internal=inside(ScanOptions(), policy))
        with reporting() as report, scan(paths, options=options, progress=report) as found:
            report.finish()
            trial = tried(policy, found.transfers())
    with results(None) as stream:
        if format_name == "json":
            stream.write(msgspec.json.format(msgspec.json.encode(trial), indent=2).decode() + "\n")
        else:
            stream.writelines(f"{line}\n" for line in trial_page(trial))
    return ExitCode.OK
