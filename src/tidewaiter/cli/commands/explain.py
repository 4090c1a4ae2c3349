"""`tidewaiter explain`: what does this command line or script bring in?"""

from __future__ import annotations

import sys

import click

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.platforms import PLATFORMS


@click.command(name="explain", short_help="Say what a command line or script brings in.")
@click.argument("text", metavar="COMMAND", required=False)
@click.option("--platform", type=click.Choice(PLATFORMS), help="Whose command it is. Default: whichever reading says more.")
@click.option("--jsonl", is_flag=True, help='Read {"id","platform","command"} lines on standard input, print one object each.')
def command(text: str | None, platform: str | None, *, jsonl: bool) -> int:
    """Say what COMMAND does: what it fetches, from where, to where, and whether it runs it.

    Nothing is executed and nothing is contacted. COMMAND may be "-" for a script on standard input.
    """
    if jsonl:
        if text is not None or platform is not None:
            raise click.UsageError("--jsonl takes commands and platforms from standard input")
        from tidewaiter.cli.explain_lines import explain_lines

        explain_lines(sys.stdin.buffer, sys.stdout)
        return ExitCode.OK
    if text is None:
        raise click.UsageError("give a COMMAND, or --jsonl")
    from tidewaiter.cli.explain_page import explain_page

    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    for line in explain_page(text, platform):
        click.echo(line)
    return ExitCode.OK
