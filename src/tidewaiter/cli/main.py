"""The `tidewaiter` program: finds the command, loads only that, and turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any, NoReturn

import click

from tidewaiter import __version__
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.errors import NothingReadableError, TidewaiterError, UsageError

COMMANDS: dict[str, str] = {
    "scan": "Find every transfer in logs, folders and archives.",
    "watch": "Write the records while they happen, from logs that grow.",
    "report": "Write one HTML page about every transfer.",
    "show": "Show one transfer with its stages, reasons and evidence lines.",
    "list": "List the transfers that a store holds.",
    "verdict": "Say what a transfer in a store turned out to be.",
    "baseline": "Learn what is usual here, and show it.",
    "doctor": "Say what the logs cannot show, and which setting would.",
    "sensors": "Print sensor configurations that make every stage visible.",
    "drill": "Prove a deployment: bring a harmless marker in and look for its records.",
    "policy": "Try out a policy: what its entries would silence and raise.",
    "explain": "Say what a command line or script brings in.",
}
"""The commands and what `--help` says of them. The modules in cli/commands/ are loaded when they are called."""


class ClosedPipe(Exception):  # noqa: N818 - the reader has seen enough; that is no error
    """Whoever read our output has gone away."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads a module only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tidewaiter.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without loading a single command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """As click does it; a closed pipe is told apart from other errors."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError as error:
            raise ClosedPipe from error

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it; a closed pipe is told apart from other errors."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipe from error


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 it ran, 1 it failed, 2 usage, 3 nothing readable in the input.",
)
@click.version_option(__version__, prog_name="tidewaiter")
def cli() -> None:
    """One record per file that was brought in, from the logs you already have."""


def run(args: list[str] | None = None) -> int:
    """Run one command line and return its exit code; every message goes to standard error."""
    try:
        result = cli.main(args=args, prog_name="tidewaiter", standalone_mode=False)
        sys.stdout.flush()
    except (ClosedPipe, BrokenPipeError):
        _drop_output()
        return ExitCode.OK
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
    except NothingReadableError as error:
        _say(str(error))
        return ExitCode.NOTHING_READABLE
    except UsageError as error:
        _say(str(error))
        return ExitCode.USAGE
    except (TidewaiterError, OSError) as error:
        _say(str(error))
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.OK


def _say(message: str) -> None:
    from tidewaiter.output import printable

    click.echo(f"tidewaiter: {printable(message)}", err=True)


def _drop_output() -> None:
    """Point standard output at nothing, so that the interpreter does not complain when it flushes at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def main() -> NoReturn:
    """Entry point of the installed program."""
    gc.set_threshold(50_000, 20, 20)  # what is imported and read is no garbage: looking for it costs more than it frees
    sys.exit(run())
