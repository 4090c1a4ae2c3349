"""What `tidewaiter doctor` shows a person: what is there, which stages each host shows, what would show more, the coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidewaiter.cli.summary import counted
from tidewaiter.output import printable
from tidewaiter.pipeline.doctor import AnalyticView, ComponentView, Diagnosis, HostView, LogKind
from tidewaiter.schema.transfer import STAGES

HOSTS_SHOWN = 40
"""Hosts that have a row of their own; `--format json` has all."""
WIDTH = 140
"""Columns, where the output is no terminal."""
LONGEST_HOST = 28
MARKS = {
    "visible": "yes",
    "partly": "part",
    "not_visible": "no",
    "covered": "covered",
    "not": "not covered",
    "no_logs": "no logs",
}
STYLES = {"visible": "green", "covered": "green", "partly": "yellow", "not_visible": "red", "not": "red", "no_logs": "dim"}


def write_page(diagnosis: Diagnosis, stream: TextIO) -> None:
    """Write the page. Nothing that logs say is taken as markup."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=stream, highlight=False, markup=False, emoji=False, width=WIDTH)
    for part in _parts(diagnosis):
        console.print(part)
        console.print()


def _parts(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    yield _inputs(diagnosis)
    if diagnosis.hosts:
        yield _hosts(diagnosis)
    yield _logs(diagnosis)
    if diagnosis.hosts:
        yield _unseen(diagnosis)
    yield _settings(diagnosis) if diagnosis.settings else Text("No setting that is known here would show more.")
    yield _coverage(diagnosis)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in STAGES)
    return table


def _short(host: str) -> str:
    """A host's name for a narrow column; logs that name no host are called by their file, of which the end tells most."""
    name = printable(host.replace("\\", "/").rsplit("/", 1)[-1] if "/" in host or "\\" in host else host)
    return name if len(name) <= LONGEST_HOST else f"...{name[3 - LONGEST_HOST :]}"


def _mark(state: str) -> Text:
    return Text(MARKS[state], style=STYLES[state])


def _inputs(diagnosis: Diagnosis) -> Text:
    lines = [counted(sum(diagnosis.inputs.values()), "input") + " recognised"]
    lines += [f"  {count:,} {name}" for name, count in diagnosis.inputs.items()]
    if diagnosis.unread:
        lines.append(counted(diagnosis.unread, "input") + " not read")
        lines += [f"  {name}" for name in diagnosis.unread_named[:5]]
    absent = [view.platform for view in diagnosis.platforms if not view.hosts and view.platform != "network"]
    if absent:
        lines.append(f"No host of these platforms is in the logs: {', '.join(absent)}")
    if not diagnosis.network:
        lines.append("No log of the network is there: no host can show what was carried")
    return Text("\n".join(map(printable, lines)))


def _hosts(diagnosis: Diagnosis) -> RenderableType:
    table = _table("Stages that the logs of each host can show", "host", "platform", "from", "to", *STAGES)
    order = sorted(diagnosis.hosts, key=lambda view: (view.platform, -view.events, view.host))
    for view in order[:HOSTS_SHOWN]:
        span = [(moment or "time unknown")[:16].replace("T", " ") for moment in (view.first, view.last)]
        table.add_row(_short(view.host), view.platform, *span, *(_mark(view.stages[stage]) for stage in STAGES))
    rest = len(order) - HOSTS_SHOWN
    table.add_section()
    table.add_row("all together", "", "", "", *(_mark(diagnosis.stages[stage]) for stage in STAGES))
    note = [Text(f"and {rest:,} more hosts: --format json has all", style="dim")] if rest > 0 else []
    return Group(table, *note)


def _logs(diagnosis: Diagnosis) -> RenderableType:
    table = _table("What is there", "of", "log source", "events by kind")
    for name, views in _by_platform(diagnosis).items():
        merged: dict[tuple[str, str], LogKind] = {}
        for view in views:
            for log in view.logs:
                _add(merged, log)
        _rows(table, f"{name} ({counted(len(views), 'host')})", list(merged.values()))
    _rows(table, "network", diagnosis.network)
    return table


def _add(merged: dict[tuple[str, str], LogKind], log: LogKind) -> None:
    known = merged.setdefault((log.log_source, log.kind), LogKind(log_source=log.log_source, kind=log.kind, events=0, held={}))
    known.events += log.events
    for what, count in log.held.items():
        known.held[what] = known.held.get(what, 0) + count


def _rows(table: Table, name: str, logs: list[LogKind]) -> None:
    by_source: dict[str, list[str]] = {}
    for log in sorted(logs, key=lambda one: (one.log_source, one.kind)):
        by_source.setdefault(log.log_source, []).append(_told(log))
    for log_source, told in by_source.items():
        table.add_row(name, log_source, ", ".join(told))
        name = ""


def _told(log: LogKind) -> str:
    held = [f"{_share(count, log.events)} with {what.replace('_', ' ')}" for what, count in log.held.items()]
    if log.kind == "process_start" and "command_line" not in log.held:
        held.append("none with command line")
    if log.kind == "file_on_wire" and "hash" not in log.held:
        held.append("none with hash")
    return f"{log.kind} {log.events:,}" + (f" ({', '.join(held)})" if held else "")


def _share(count: int, total: int) -> str:
    return "all" if count == total else f"{100 * count / total:.0f}%" if count * 100 >= total else f"{count:,}"


def _by_platform(diagnosis: Diagnosis) -> dict[str, list[HostView]]:
    found: dict[str, list[HostView]] = {}
    for view in sorted(diagnosis.hosts, key=lambda one: one.platform):
        found.setdefault(view.platform, []).append(view)
    return found


def _unseen(diagnosis: Diagnosis) -> RenderableType:
    table = _table("What hosts cannot show, or show in part", "platform", "what", "not on", "partly on", "utilities")
    for platform, views in _by_platform(diagnosis).items():
        states: dict[str, Counter[str]] = {}
        groups = {group.id: group for view in views for group in view.utilities}
        for view in views:
            for group in view.utilities:
                states.setdefault(group.id, Counter())[group.state] += 1
        for name, count in states.items():
            if count["visible"] == len(views):
                continue
            group = groups[name]
            more = f" and {group.utilities - 5:,} more" if group.utilities > 5 else ""
            named = ", ".join(group.names[:5]) + more
            table.add_row(platform, group.says, _number(count["not_visible"]), _number(count["partly"]), named)
    if not table.row_count:
        return Text("Every way of bringing something in that is known here can be seen on every host.")
    return table


def _number(count: int) -> str:
    return counted(count, "host") if count else ""


def _settings(diagnosis: Diagnosis) -> RenderableType:
    parts: list[RenderableType] = [Text("Settings that would show more", style="bold")]
    for advice in diagnosis.settings:
        hosts = f" on {counted(advice.hosts, 'host')}" if advice.hosts else ""
        parts.append(
            Text(f"  {advice.sensor}: {advice.title}", style="bold").append(f" ({advice.platform}{hosts})", style="dim")
        )
        parts.append(Padding(Text(f"shows {', '.join(advice.shows)}"), (0, 0, 0, 4)))
        parts.append(Padding(Text(advice.how, style="dim"), (0, 0, 0, 4)))
        if advice.configuration is not None:
            parts.append(Padding(Text(f"the whole configuration: tidewaiter sensors {advice.configuration}"), (0, 0, 0, 4)))
    return Group(*parts)


def _coverage(diagnosis: Diagnosis) -> RenderableType:
    table = _table(f"ATT&CK coverage of {diagnosis.strategy} (T1105)", "id", "", "state", "data components")
    for analytic in diagnosis.analytics:
        table.add_row(analytic.id, analytic.platform, _mark(analytic.state), _components(analytic))
    table.add_section()
    for component in diagnosis.components:
        table.add_row(component.id, component.name, _mark(component.state), "")
    return table


def _components(analytic: AnalyticView) -> Text:
    told = Text()
    for number, component in enumerate(analytic.components):
        told.append(", " if number else "").append(_component(component))
    return told


def _component(component: ComponentView) -> Text:
    return Text(f"{component.id} {component.name} {MARKS[component.state]}", style=STYLES[component.state])
