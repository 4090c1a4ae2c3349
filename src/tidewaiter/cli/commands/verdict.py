"""`tidewaiter verdict`: say what a transfer in a store turned out to be."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.store_options import VERDICTS, store


@click.command(name="verdict", short_help="Say what a transfer in a store turned out to be.")
@click.argument("identity", metavar="ID")
@click.argument("verdict", type=click.Choice(VERDICTS))
@store(required=True, says="The store.")
@click.option("--note", default="", help="Why.")
@click.option("--by", default=None, help="Who says so. Default: the user who runs this.")
def command(identity: str, verdict: str, place: str, note: str, by: str | None) -> int:
    """Keep VERDICT on the transfer whose id starts with ID. The latest verdict stands; scanning again keeps it."""
    from tidewaiter.store.store import open_store, single

    with open_store(place, create=False) as opened:
        transfer = single(opened.find(identity), identity, "in the store")
        opened.judge(transfer.id, verdict, note[:2_000], (by if by is not None else _user())[:200])
    click.echo(f"{transfer.id}: {verdict}", err=True)
    return ExitCode.OK


def _user() -> str:
    """The name of the user, or nothing where the system does not say."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without an entry, a system without users
        return ""
