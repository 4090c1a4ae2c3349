"""One page per transfer: what it was, the seven stages, why it was judged so, and the evidence lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from msgspec import UnsetType
from rich.console import Console
from rich.text import Text

from tidewaiter.catalog.attack import context
from tidewaiter.output import printable
from tidewaiter.schema.transfer import STAGES, StageRecord, Transfer

LABEL = 14
"""Columns for the names on the left."""

MARKS = {"seen": "[x]", "not_seen": "[ ]", "not_visible": "[?]"}
ABSENT = {
    "not_seen": "not seen; the logs that would show it were there",
    "not_visible": "not visible; no log given would have shown it",
}


def facts(transfer: Transfer) -> Iterator[tuple[str, str]]:
    """What is known of the transfer, by name; unknown things are left out."""
    process, src, dst, file = transfer.process, transfer.src, transfer.dst, transfer.file
    hashes = [f"{name} {value}" for name, value in (("sha256", file.sha256), ("sha1", file.sha1), ("md5", file.md5)) if value]
    parts = {
        "when": transfer.time,
        "host": _joined(transfer.device.hostname, transfer.device.ip),
        "user": transfer.user,
        "what": _joined(transfer.direction, transfer.outcome, transfer.protocol),
        "utility": transfer.utility,
        "process": _joined(process.path or process.name, f"pid {process.pid}" if process.pid is not None else None),
        "command": process.command_line,
        "parent": process.parent,
        "from": _joined(src.url, src.path, src.hostname, f"{src.ip or ''}:{src.port}" if src.port else src.ip),
        "to": dst.path or ("memory" if dst.in_memory else None),
        "file": _joined(file.name, f"{file.size:,} bytes" if file.size is not None else None, file.type),
        "hash": "  ".join(hashes) or None,
        "verdict": _verdict(transfer),
    }
    for name, value in parts.items():
        if value:
            yield name, printable(value)


def _verdict(transfer: Transfer) -> str | None:
    """What an analyst said, who, when and why; None where nobody said anything."""
    said = transfer.verdict
    return None if isinstance(said, UnsetType) else _joined(said.verdict, said.by, said.at, said.note)


def _joined(*parts: str | None) -> str | None:
    """The parts that are known."""
    return "  ".join(part for part in parts if part) or None


def stage_line(name: str, record: StageRecord | None) -> str:
    """One stage: its mark, its time and the numbers of its evidence lines, or why it is empty."""
    state = record.state if record else "not_visible"
    if record is None or state != "seen":
        return f"{MARKS[state]} {name:<{LABEL - 4}} {ABSENT[state]}"
    numbers = ", ".join(f"#{index}" for index in record.evidence)
    return f"{MARKS[state]} {name:<{LABEL - 4}} {record.time or 'time unknown'}  {numbers}".rstrip()


def attack_lines(transfer: Transfer) -> Iterator[Text]:
    """Techniques by name, the analytics that apply, and whom ATT&CK documents for the same; nothing without a technique."""
    around = context(transfer)
    if not around.techniques:
        return
    yield Text("ATT&CK", style="bold")
    for technique in around.techniques:
        yield Text(f"  {printable(technique.id):<{LABEL}}{technique.name}".rstrip())
    if around.strategy is not None:
        parts = [f"{analytic.id} {analytic.kind}" for analytic in around.analytics]
        yield Text(f"  {around.strategy.id:<{LABEL}}{around.strategy.name}" + (f" ({', '.join(parts)})" if parts else ""))
    if around.components:
        shown = ", ".join(f"{component.id} {component.name}" for component in around.components)
        yield Text(f"  {'seen in':<{LABEL}}{shown}")
    for item in around.documented:
        names = ", ".join(f"{by.name} ({by.id})" for by in item.by)
        yield Text(f"  {'others did so':<{LABEL}}{item.procedure}: {names}", style="dim")
    if around.documented:
        yield Text(f"  {'':<{LABEL}}This is context: it does not say who did this.", style="dim")
    yield Text()


def page(transfer: Transfer) -> Iterator[Text]:
    """The lines of one transfer. Nothing in them is taken as markup."""
    title = f"{transfer.severity} {transfer.score} of 100, confidence {transfer.confidence}"
    yield Text(f"Transfer {printable(transfer.id)}: {title}", style="bold")
    for name, value in facts(transfer):
        yield Text(f"  {name:<{LABEL}}").append(value)
    yield Text()
    yield Text("Stages", style="bold")
    for name in STAGES:
        record = transfer.stages.get(name)
        yield Text("  " + stage_line(name, record), style="" if record and record.state == "seen" else "dim")
    yield Text()
    yield Text("Reasons", style="bold")
    for reason in transfer.reasons:
        yield Text(f"  {reason.weight:>+5}  {printable(reason.text)} ({printable(reason.id)})")
    total = sum(reason.weight for reason in transfer.reasons)
    yield Text(f"  {total:>+5}  in all" + ("" if total == transfer.score else f", held to a score of {transfer.score}"))
    yield Text()
    yield from attack_lines(transfer)
    yield Text("Evidence", style="bold")
    for index, item in enumerate(transfer.evidence):
        where = printable(f"{item.log_file}  record {item.record}")
        yield Text(f"  #{index:<3} {item.time or '':<28} {printable(item.log_source)}: {printable(item.summary)}")
        yield Text(f"       {where}", style="dim")


class Output:
    """`--format detail`, and what `tidewaiter show` prints."""

    def write(self, transfers: Iterable[Transfer], stream: TextIO) -> None:
        """Write one page per transfer, an empty line between two; long lines are left to the terminal to wrap."""
        console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        for number, transfer in enumerate(transfers):
            if number:
                console.print()
            for line in page(transfer):
                console.print(line)
