"""One row per transfer for a terminal, with the seven stages as a strip."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TextIO

from msgspec import UnsetType
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidewaiter.output import printable
from tidewaiter.schema.transfer import STAGES, Transfer

PAGE = 200
"""Rows that are laid out at a time, so that memory does not grow with the number of transfers."""

WIDE = 160
"""Columns where the output is no terminal and $COLUMNS is not set."""

ROOMY = {"id": 8, "time (UTC)": 19, "host": 12, "severity": 17, "utility": 12, "stages": 7}
NARROW = {"id": 8, "time (UTC)": 10, "host": 8, "severity": 8, "utility": 8, "stages": 7}
"""Columns of the narrow cells; source and destination share what is left."""

LETTERS = dict(zip(STAGES, "CNWLHRS", strict=True))
LEGEND = "C commanded  N connected  W carried on the wire  L landed  H hash checked  R run  S spread"
STATES = "letter: seen   .: not seen, though the logs that would show it were there   ?: not visible in these logs"
COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}


def source(transfer: Transfer) -> str:
    """Where the bytes came from, as short as it is still telling."""
    src = transfer.src
    if src.url or src.path:
        return src.url or src.path or ""
    host = src.hostname or src.ip or ""
    if ":" in host and src.port:
        host = f"[{host}]"
    return f"{host}:{src.port}" if host and src.port else host


def destination(transfer: Transfer) -> str:
    """Where they landed."""
    if transfer.dst.path:
        return transfer.dst.path
    return "(in memory)" if transfer.dst.in_memory else transfer.file.name or ""


def strip(transfer: Transfer) -> Text:
    """The seven stages in seven characters."""
    drawn = Text()
    for name, letter in LETTERS.items():
        record = transfer.stages.get(name)
        state = record.state if record else "not_visible"
        if state == "seen":
            drawn.append(letter, style="bold green")
        else:
            drawn.append("." if state == "not_seen" else "?", style="dim")
    return drawn


def row(transfer: Transfer) -> list[Text]:
    """The cells of one transfer. Nothing in them is taken as markup."""
    colour = COLOURS[transfer.severity]
    moment = (transfer.time or "").replace("T", " ")[:19]
    who = transfer.utility or transfer.process.name or transfer.protocol or ""
    return [
        Text(printable(transfer.id[:8]), style="dim"),
        Text(printable(moment)),
        Text(printable(transfer.device.hostname or transfer.device.ip or "")),
        Text(f"{transfer.severity} {transfer.score}{_verdict(transfer)}", style=colour),
        Text(printable(who)),
        strip(transfer),
        Text(printable(source(transfer))),
        Text(printable(destination(transfer))),
    ]


def _verdict(transfer: Transfer) -> str:
    """An analyst's verdict on a line of its own, where there is one."""
    return "" if isinstance(transfer.verdict, UnsetType) else f"\n{transfer.verdict.verdict}"


def _table(width: int, *, header: bool) -> Table:
    """An empty page. Widths are fixed by the terminal, so that all pages line up."""
    table = Table(box=None, show_header=header, header_style="bold underline", pad_edge=False, padding=(0, 2, 0, 0))
    fixed = ROOMY if width >= 120 else NARROW
    left = max(16, width - sum(fixed.values()) - 2 * 7)
    for name, size in {**fixed, "from": left * 3 // 5, "to": left - left * 3 // 5}.items():
        table.add_column(name, width=size, overflow="fold", no_wrap=name in ("id", "stages"))
    return table


def _pages(transfers: Iterable[Transfer]) -> Iterator[list[Transfer]]:
    rest = iter(transfers)
    while page := list(islice(rest, PAGE)):
        yield page


class Output:
    """`--format table`."""

    def write(self, transfers: Iterable[Transfer], stream: TextIO) -> None:
        """Write a header, the rows page by page, and the legend; or one line where there is nothing to show."""
        told = os.environ.get("COLUMNS", "").isdigit() or stream.isatty()
        console = Console(file=stream, width=None if told else WIDE, highlight=False, markup=False, emoji=False)
        header = True
        for page in _pages(transfers):
            table = _table(console.width, header=header)
            for transfer in page:
                table.add_row(*row(transfer))
            console.print(table)
            header = False
        if header:
            console.print("No transfers.")
            return
        console.print()
        console.print(Text(LEGEND, style="dim"))
        console.print(Text(STATES, style="dim"))
