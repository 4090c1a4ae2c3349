"""Rows on their way from readers to correlation: an event with its findings, spilled to sorted run files and merged.

A run holds rows sorted by (host key, time, place in the logs), in blocks of one host each; its end says what its last row
is. It is a file or, because making very many files is slow, a part of one. Merging all runs gives the rows of each host in
time order, while only runs that overlap are open, and of each of them one block is in memory. Events stay packed: correlation
looks at few of them whole.
"""

from __future__ import annotations

import heapq
import os
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, repeat
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from tidewaiter.correlation.glimpse import Glimpse, glimpse_of
from tidewaiter.correlation.wire_keys import PREFIX
from tidewaiter.pipeline.batches import Block, Keyed, Part, RowBatch, Sizes, packed
from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Finding

_HEAD = struct.Struct("<IIIIq")
"""Bytes of the host key, of the outline, of the other rows and of the places; time of the first row."""
_END = struct.Struct("<qI")
"""Time of the last row, bytes of its host key; the key is before it."""
BLOCK = 256
"""Rows of a block."""
FAN_IN = 64
"""Run files that are open at once while merging."""
_FEW_RUNS = 8
"""Runs of which a block each is taken at once."""


class Row(msgspec.Struct, array_like=True, gc=False):
    """One event that may matter, with what the analytics found in it."""

    host: str  # comparison key of the host: short name in lower case, address, or the log file where neither is known
    time: int
    place: str  # log file, record and place in the record, so spelled that texts sort as the records come
    event: Event
    findings: tuple[Finding, ...] = ()

    @property
    def order(self) -> tuple[str, int, str]:
        """The one order of all rows; of rows of one time, those of one log come as they were logged."""
        return (self.host, self.time, self.place)


def row_of(host: str, event: Event, findings: tuple[Finding, ...]) -> Row:
    """The row of an event on the host with this comparison key."""
    return Row(host, event.time, place_of(event), event, findings)


def place_of(event: Event) -> str:
    """The place of an event in the logs, as rows have it."""
    seq = event.seq
    return f"{event.log_file}#{event.record.rjust(15, '0')}.{format(seq, '04') if seq else '0000'}"


class Extent(NamedTuple):
    """A run that is a part of a file: its bytes from `start` to before `end`."""

    path: str
    start: int
    end: int


Run = Path | Extent
"""Where a run lies: a file of its own, or a part of one."""


def write_run(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as one sorted run."""
    with path.open("wb") as file:
        _write(file, rows)


def append_run(path: Path, rows: Iterable[Row]) -> Extent:
    """Write rows as one sorted run behind those that a file holds; where there is none it is made."""
    with path.open("ab") as file:
        start = file.tell()
        _write(file, rows)
        return Extent(str(path), start, file.tell())


def _write(file: BinaryIO, rows: Iterable[Row]) -> None:
    writer = _Writer(file)
    for host, group in groupby(sorted(rows, key=_order), key=_host):
        writer.add_all(host, list(group))
    writer.end()


_order, _host = attrgetter("host", "time", "place"), attrgetter("host")


class _Writer:
    """Fills blocks with rows that come in their order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._host = ""
        self._places: list[str] = []
        self._glimpses: list[Glimpse] = []
        self._last = 0

    def add(self, host: str, place: str, glimpse: Glimpse) -> None:
        if host != self._host or len(self._glimpses) >= BLOCK:
            self._put()
            self._host = host
        self._places.append(place)
        self._glimpses.append(glimpse)

    def add_all(self, host: str, rows: Sequence[Row]) -> None:
        """All rows of a host."""
        self._put()
        self._host = host
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            self._places = [row.place for row in some]
            self._glimpses = [glimpse_of(row.event, row.findings) for row in some]
            self._put()

    def end(self) -> None:
        """Write what is left, and what the last row is."""
        self._put()
        name = self._host.encode("utf-8", "surrogatepass")
        self._file.write(name + _END.pack(self._last, len(name)))

    def _put(self) -> None:
        if not self._glimpses:
            return
        name = self._host.encode("utf-8", "surrogatepass")
        data, sizes = packed(self._glimpses, self._places, outline=not self._host.startswith(PREFIX))
        self._file.write(_HEAD.pack(len(name), *sizes, self._glimpses[0].time))
        self._file.write(name)
        self._file.write(data)
        self._last = self._glimpses[-1].time
        self._places, self._glimpses = [], []


class _Run:
    """One run that is being read: host and first time of its next block, host None at the end. Open while it is in use."""

    def __init__(self, run: Run, number: int) -> None:
        self.number = number
        self.host: str | None = None
        self.first = 0
        self.path, self._place, end = (run, 0, None) if isinstance(run, Path) else (Path(run.path), run.start, run.end)
        self._file: BinaryIO | None = None
        self._sizes: Sizes = (0, 0, 0)
        with self.path.open("rb") as file:
            self._end = file.seek(-_END.size, os.SEEK_END) if end is None else file.seek(end - _END.size)
            last, length = _END.unpack(file.read(_END.size))
            self._end = file.seek(self._end - length)
            self.end = (file.read(length).decode("utf-8", "surrogatepass"), last)
            file.seek(self._place)
            if self._place < self._end:
                self._next(file, file.read(_HEAD.size))
        self.start = (self.host or "", self.first)

    def _next(self, file: BinaryIO, head: bytes) -> None:
        length, *sizes, self.first = _HEAD.unpack(head)
        self._sizes = (sizes[0], sizes[1], sizes[2])
        self.host = file.read(length).decode("utf-8", "surrogatepass")
        self._place += _HEAD.size + length

    def take(self) -> Block:
        """The next block."""
        if self._file is None:
            self._file = self.path.open("rb", buffering=16_384)
            self._file.seek(self._place)
        file, sizes, place = self._file, self._sizes, self._place
        outline, whole = sizes[0], sum(sizes)
        block = Block(self, place, sizes, file.read(outline or whole))
        self._place += whole
        if self._place >= self._end:
            self.host = None
            self.close()
        else:
            if outline:
                file.seek(self._place)
            self._next(file, file.read(_HEAD.size))
        return block

    def read(self, place: int, size: int) -> bytes:
        """Bytes of its file."""
        if self._file is not None and hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size, place)
        with self.path.open("rb") as file:
            file.seek(place)
            return file.read(size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_run(whole: Run) -> Iterator[Row]:
    """The rows of one run in order."""
    run = _Run(whole, 0)
    while run.host is not None:
        host = run.host
        for time, place, _, glimpse in run.take().keyed:
            yield Row(host, time, place, glimpse.read(), glimpse.findings)


def merge(places: Sequence[Run], work_dir: Path) -> Iterator[tuple[str, Iterator[Sequence[Glimpse]]]]:
    """Each host of all runs with its rows in order, a few hundred at a time; to be taken before the next host is asked for.

    Where many runs overlap they are first merged in groups, so that the number of open files is bounded.
    """
    runs = [_Run(place, number) for number, place in enumerate(places)]
    generation = 0
    while _overlap(runs) > FAN_IN:
        runs.sort(key=_start)
        merged: list[Path] = []
        for start in range(0, len(runs), FAN_IN):
            group = runs[start : start + FAN_IN]
            merged.append(work_dir / f"merge-{generation}-{start}.run")
            _merge_into(merged[-1], group)
            if generation:  # what the readers wrote stays: a scan that is resumed reads it again
                for run in group:
                    run.path.unlink()
        runs = [_Run(path, number) for number, path in enumerate(merged)]
        generation += 1
    for host, several in _by_host(runs):
        yield host, (_one(several[0]) if len(several) == 1 else _without_keys(several))


def all_below(runs: Iterable[Run], prefix: str) -> bool:
    """Whether the keys of all rows of these runs begin so."""
    return all(run.start[0].startswith(prefix) and run.end[0].startswith(prefix) for run in map(_Run, runs, repeat(0)))


def _start(run: _Run) -> tuple[str, int]:
    return run.start


def _overlap(runs: Sequence[_Run]) -> int:
    """How many runs have to be open at once."""
    most = 0
    ends: list[tuple[str, int]] = []
    for run in sorted(runs, key=_start):
        while ends and ends[0] < run.start:
            heapq.heappop(ends)
        heapq.heappush(ends, run.end)
        most = max(most, len(ends))
    return most


def _merge_into(target: Path, runs: Sequence[_Run]) -> None:
    with target.open("wb") as file:
        writer = _Writer(file)
        for host, several in _by_host(runs):
            for batch in _interleaved(several):
                for _, place, _, glimpse in batch:
                    writer.add(host, place, glimpse)
        writer.end()


def _by_host(runs: Sequence[_Run]) -> Iterator[tuple[str, list[_Run]]]:
    """Each host in order, with the runs that have rows of it."""
    heads = [(run.host, run.number) for run in runs if run.host is not None]
    numbered = {run.number: run for run in runs}
    heapq.heapify(heads)
    try:
        while heads:
            host = heads[0][0]
            several = []
            while heads and heads[0][0] == host:
                several.append(numbered[heapq.heappop(heads)[1]])
            yield host, several
            for run in several:
                if run.host is not None:
                    heapq.heappush(heads, (run.host, run.number))
    finally:
        for run in runs:
            run.close()


def _one(run: _Run) -> Iterator[RowBatch]:
    host = run.host
    while run.host == host:
        block = run.take()
        yield RowBatch([Part(block, 0, len(block.times))])


def _without_keys(runs: Sequence[_Run]) -> Iterator[RowBatch]:
    """The rows of one host from several runs, as `_interleaved` gives them: by time, by place only where times are equal."""
    host = runs[0].host
    waiting = [(run.first, run.number, run) for run in runs]  # those that have no block in memory
    heapq.heapify(waiting)
    owners = {run.number: run for run in runs}
    held: list[Block] = []
    if len(runs) <= _FEW_RUNS:  # most pairs of addresses have a few rows: then one block of each run is all
        held = [run.take() for run in runs]
        if all(block.run.host != host for block in held):
            yield _in_order(held, [len(block.times) for block in held])
            return
        waiting = []
    while waiting or held:
        bound = min((block.times[-1] for block in held), default=None)
        while waiting and (bound is None or waiting[0][0] <= bound):
            held.append(heapq.heappop(waiting)[2].take())
            bound = held[-1].times[-1] if bound is None else min(bound, held[-1].times[-1])
        if bound is None:
            return
        if any(block.times[-1] == bound and block.goes_on_at(host, bound) for block in held):
            last = min(block.keyed[-1] for block in held)
            cuts = [bisect_right(block.keyed, last) for block in held]
        else:
            cuts = [bisect_right(block.times, bound) for block in held]
        yield _in_order(held, cuts)
        rest = []
        for block, cut in zip(held, cuts, strict=True):
            block.given = cut
            if cut < len(block.times):
                rest.append(block)
            elif (run := owners[block.run.number]).host == host:
                heapq.heappush(waiting, (run.first, run.number, run))
        held = rest


def _in_order(blocks: Sequence[Block], cuts: Sequence[int]) -> RowBatch:
    """The rows of the blocks that were not given yet, up to these places, in order."""
    return RowBatch([Part(block, block.given, cut) for block, cut in zip(blocks, cuts, strict=True)])


def _interleaved(runs: Sequence[_Run]) -> Iterator[list[Keyed]]:
    """The rows of one host from several runs: each batch goes up to the nearest end of the blocks that are in memory."""
    host = runs[0].host
    waiting = [(run.first, run.number, run) for run in runs]  # those that have no block in memory
    heapq.heapify(waiting)
    held: list[list[Keyed]] = []
    owners = {run.number: run for run in runs}
    while waiting or held:
        bound = min((rows[-1] for rows in held), default=None)
        while waiting and (bound is None or waiting[0][0] <= bound[0]):
            rows = heapq.heappop(waiting)[2].take().keyed
            held.append(rows)
            bound = rows[-1] if bound is None else min(bound, rows[-1])
        if bound is None:
            return
        batch: list[Keyed] = []
        rest: list[list[Keyed]] = []
        for rows in held:
            cut = bisect_right(rows, bound)
            batch += rows[:cut]
            if cut < len(rows):
                rest.append(rows[cut:])
            elif (run := owners[rows[0][2]]).host == host:
                heapq.heappush(waiting, (run.first, run.number, run))
        held = rest
        batch.sort()
        yield batch
