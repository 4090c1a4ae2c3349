"""`tidewaiter sensors`: configurations that make the stages of a transfer visible."""

from __future__ import annotations

import click

from tidewaiter.cli.exit_codes import ExitCode


@click.command(name="sensors", short_help="Print sensor configurations that make every stage visible.")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--list", "listing", is_flag=True, help="List the configurations with the stages that they show.")
@click.option("--output", "target", type=click.Path(dir_okay=False), help="Write the result to this file.")
def command(name: str | None, listing: bool, target: str | None) -> int:
    """Print the configuration NAME: auditd, sysmon-windows, sysmon-linux, suricata, zeek, powershell or systemd.

    Its comments say where it goes, how it is loaded and undone, and for each part which stages it shows and what it costs.
    `doctor` says which of them the logs at hand lack. Nothing is changed on this machine.
    """
    from tidewaiter.cli.streams import results
    from tidewaiter.errors import UsageError
    from tidewaiter.prevention import configurations

    if listing and name is not None:
        raise UsageError("--list takes no NAME")
    text = _table() if name is None else configurations.render(configurations.named(name), _program())
    with results(target) as stream:
        stream.write(text)
    return ExitCode.OK


def _table() -> str:
    """One line for each configuration."""
    from tidewaiter.catalog.sensor_files import load
    from tidewaiter.prevention.configurations import stages_together

    rows = [(one.name, one.platform, ", ".join(stages_together(one)) or "-", one.title) for one in load()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
    return "\n".join(lines) + "\n"


def _program() -> str:
    """Where this program is installed, for services that start it."""
    import shutil
    import sys
    from pathlib import Path

    beside = Path(sys.executable).parent / "tidewaiter"
    return str(beside) if beside.is_file() else shutil.which("tidewaiter") or "/usr/bin/tidewaiter"
