"""One line per change for a person who watches: coloured columns in a terminal, plain lines where the output is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidewaiter import sink
from tidewaiter.errors import SinkError
from tidewaiter.output import printable
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import STAGES, Transfer
from tidewaiter.sink import Delivery, Surroundings

LETTERS = dict(zip(STAGES, "CNWLHRS", strict=True))
MARKS = {"new": " ", "update": "~", "withdrawn": "-"}
LEGEND = "~ changed  - withdrawn | C commanded  N connected  W on the wire  L landed  H hash checked  R run  S spread"
COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}
PAGE = 40
"""Rows after which the header is shown again: it has scrolled away."""
WIDTHS = {"": 1, "id": 8, "time (UTC)": 19, "severity": 17, "host": 12, "utility": 12, "stages": 7}
NARROW = {"": 1, "id": 8, "time (UTC)": 10, "severity": 8, "host": 8, "utility": 8, "stages": 7}
"""Columns of the cells in wide and narrow terminals; source and destination share what is left."""


class Settings(sink.Settings, frozen=True, kw_only=True):
    """`type = "terminal"`."""

    style: Literal["auto", "table", "lines"] = "auto"  # auto: a table where the output is a terminal


class Sink:
    """`type = "terminal"`."""

    batch = 50

    def __init__(self, settings: Settings, here: Surroundings) -> None:
        self.name = here.name
        self._stream = here.stream or sys.stdout
        self._style = settings.style
        self._left = 0  # rows until the next header

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Write and flush the lines. Raises SinkError (retry) where that fails."""
        try:
            if self._style == "table" or (self._style == "auto" and self._stream.isatty()):
                self._draw(batch)
            else:
                self._stream.write("".join(f"{line(delivery)}\n" for delivery in batch))
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            why = error.strerror if isinstance(error, OSError) else "it is closed"
            raise SinkError(f"standard output: {why or 'cannot be written'}", retry=True) from None

    def close(self) -> None:
        """The stream is not ours."""

    def _draw(self, batch: Sequence[Delivery]) -> None:
        console = Console(file=self._stream, highlight=False, markup=False, emoji=False)
        wide = console.width >= 120
        table = Table(
            box=None, show_header=self._left <= 0, header_style="bold underline", pad_edge=False, padding=(0, 2, 0, 0)
        )
        fixed = WIDTHS if wide else NARROW
        left = max(16, console.width - sum(fixed.values()) - 2 * 8)
        for name, size in {**fixed, "from": left * 3 // 5, "to": left - left * 3 // 5}.items():
            table.add_column(name, width=size, overflow="fold", no_wrap=name in ("", "id", "stages"))
        for delivery in batch:
            table.add_row(*_row(delivery))
        if self._left <= 0:
            console.print(Text(LEGEND, style="dim"))
            self._left = PAGE
        console.print(table)
        self._left -= len(batch)


def _source(transfer: Transfer) -> str:
    src = transfer.src
    host = src.hostname or src.ip or ""
    if ":" in host and src.port:
        host = f"[{host}]"
    return src.url or src.path or (f"{host}:{src.port}" if host and src.port else host)


def _destination(transfer: Transfer) -> str:
    return transfer.dst.path or ("(in memory)" if transfer.dst.in_memory else transfer.file.name or "")


def _stages(transfer: Transfer) -> str:
    """The seven stages in seven characters: a letter where seen, a dot where not, ? where no log would show it."""
    states = {name: record.state for name, record in transfer.stages.items()}
    shown = {"seen": "", "not_seen": ".", "not_visible": "?"}
    return "".join(shown[states.get(name, "not_visible")] or letter for name, letter in LETTERS.items())


def _cells(delivery: Delivery) -> list[str]:
    """The texts of a line, each escaped for a terminal: mark, id, time, severity, host, utility, stages, from, to."""
    transfer = delivery.transfer
    if transfer is None:
        went = f"now part of {delivery.superseded_by}" if delivery.superseded_by else "withdrawn"
        cells = [delivery.id[:8], (render_time(delivery.at) or "")[:19], "", "", "", "", went, ""]
    else:
        cells = [
            delivery.id[:8],
            (transfer.time or "")[:19],
            f"{transfer.severity} {transfer.score}",
            transfer.device.hostname or transfer.device.ip or "",
            transfer.utility or transfer.process.name or transfer.protocol or "",
            _stages(transfer),
            _source(transfer),
            _destination(transfer),
        ]
    cells[1] = cells[1].replace("T", " ")
    return [MARKS[delivery.change], *map(printable, cells)]


def _row(delivery: Delivery) -> list[Text]:
    """The same as cells of a table. Nothing in them is taken as markup."""
    cells = [Text(text) for text in _cells(delivery)]
    cells[1].stylize("dim")
    if delivery.transfer is not None:
        cells[3].stylize(COLOURS.get(delivery.transfer.severity, ""))
    return cells


def line(delivery: Delivery) -> str:
    """The same as one line of plain text, empty cells left out."""
    mark, identity, moment, severity, host, utility, stages, source, destination = _cells(delivery)
    parts = [mark, moment, identity, severity, host, utility, stages, source, f"-> {destination}" if destination else ""]
    return " ".join(part for part in parts if part)
