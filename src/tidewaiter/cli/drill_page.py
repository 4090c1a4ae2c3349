"""What `tidewaiter drill` shows a person: the plan, how it goes, and which method was seen at which stage."""

from __future__ import annotations

import tempfile
from typing import TextIO

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidewaiter.catalog.drill import DRILLED
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.summary import counted
from tidewaiter.drill import ground, ledger
from tidewaiter.drill.lookout import of_network
from tidewaiter.drill.plan import Plan
from tidewaiter.drill.report import MethodReport
from tidewaiter.output import printable

WIDTH = 140
"""Columns, where the output is no terminal."""
MARKS = {"seen": "yes", "not_seen": "no", "not_visible": "blind", "no_record": "-", "not_run": ""}
STYLES = {"seen": "green", "not_seen": "red", "not_visible": "yellow", "no_record": "red", "not_run": "dim"}
_GROUNDS = {
    "namespaces": "Two network namespaces are made, joined by the bridge twdrill0, where a sensor can listen",
    "own addresses": "Two free addresses of 10.99.0.0/16 are put on the loopback interface, and taken off again",
    "127.0.0.1": (
        "Everything happens on 127.0.0.1, as this is not run by root. Fetches from there count as harmless and mostly give no"
        " record: run it as root to prove a deployment"
    ),
}


def say(text: str) -> None:
    """One line on standard error about how it goes."""
    click.echo(printable(text), err=True)


def print_plan(plan: Plan, *, namespaces: bool, pause: float) -> None:
    """Say on standard error what would be done."""
    possible = [one for one in plan.methods if not one.missing]
    say(f"The drill would do this, in about {len(possible) * (pause + 0.5):.0f} s and the wait for the records:")
    say(f"  {_GROUNDS[ground.kind(namespaces=namespaces)]}.")
    say(f"  A private folder is made in {tempfile.gettempdir()}; programs get it as their home.")
    say("  These servers listen there, each on a free port of its own:")
    for server in plan.servers:
        port = f"; on port {server.port}{'' if server.must_have else ' if that is free'}" if server.port else ""
        say(f"    {server.kind}: {server.says}{port}")
    say("  These commands are run in turn, each followed by `sha256sum`, `chmod 700` and the marker, which prints a line:")
    for one in reversed(possible):  # as they are run
        say(f"    {one.method.id}: {one.shown}")
    for one in plan.methods:
        if one.missing:
            say(f"    {one.method.id}: left out ({one.missing})")
    say("  Everything is ended and removed: servers, addresses, files, keys. No account, setting or log is touched.")
    say("Nothing has been done. --yes does it.")


def print_cleaned() -> int:
    """Take away what dead drills left, and say what that was; the exit code."""
    done, going_on = ledger.clean()
    for line in (*done, *(f"left alone: {line}" for line in going_on)):
        say(line)
    if not done and not going_on:
        say("nothing is left of any drill")
    return ExitCode.OK


def write_page(reports: list[MethodReport], stream: TextIO, format_name: str) -> None:
    """Write the result as a table or as one JSON object a line."""
    if format_name == "jsonl":
        for report in reports:
            stream.write(msgspec.json.encode(report).decode() + "\n")
        return
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=stream, highlight=False, markup=False, emoji=False, width=WIDTH)
    console.print(_table(reports))
    for line in (*_reasons(reports), *_summary(reports)):
        console.print(Text(printable(line)))


def _table(reports: list[MethodReport]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("method", "brought in", "record", "delay", "seen by", *DRILLED):
        table.add_column(column, no_wrap=True)
    for report in reports:
        landed = "not run" if report.command is None else "yes" if report.landed else "no"
        delay = "" if report.delay is None else f"{report.delay:.1f} s"
        stages = [Text(MARKS[one.state], style=STYLES[one.state]) for one in report.stages.values()]
        joined = " + ".join(sorted({"network" if of_network(name) else "host" for name in report.log_sources}))
        table.add_row(report.method, landed, printable(report.record or "-")[:12], delay, joined, *stages)
    return table


def _reasons(reports: list[MethodReport]) -> list[str]:
    """Why something was not seen, each reason once with the methods that it holds for."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for report in reports:
        for stage, one in report.stages.items():
            if one.state not in ("seen", "not_run", "no_record"):
                grouped.setdefault((stage, one.state, one.why), []).append(report.method)
    lines = ["", "Not seen, and why:"] if grouped else []
    lines += [
        f"  {stage} ({state.replace('_', ' ')}) by {', '.join(methods)}: {why}"
        for (stage, state, why), methods in sorted(grouped.items(), key=lambda item: (DRILLED.index(item[0][0]), item[0]))
    ]
    silent = [report.method for report in reports if report.command is not None and report.record is None]
    lines += ["", f"No record at all: {', '.join(silent)}"] if silent else []
    failed = [report for report in reports if report.problem]
    lines += ["", "Not brought in, or not to the end:"] if failed else []
    return lines + [f"  {report.method}: {report.problem}" for report in failed]


def _summary(reports: list[MethodReport]) -> list[str]:
    run = [report for report in reports if report.command is not None]
    recorded = [report for report in run if report.record is not None]
    joined = sum(report.joined for report in recorded)
    delays = sorted(report.delay for report in recorded if report.delay is not None)
    text = f"{counted(len(run), 'method')} run, {len(recorded)} with a record, {joined} of them with host and network joined"
    if delays:
        text += f"; delay {delays[len(delays) // 2]:.1f} s (median), {delays[-1]:.1f} s at most"
    if run and not recorded:
        text += ". Do the logs grow, and does the watch run? `tidewaiter watch --status` says"
    return ["", text]
