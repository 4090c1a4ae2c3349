"""Rows on their way from readers to correlation: an event with its findings, spilled to sorted run files and merged.

A run file holds rows sorted by (host key, time, place in the logs), in blocks of one host each. Merging all runs gives the
rows of each host in time order, while of each run only the head of its next block is in memory, and of those of the host that
it is at, one block. Events stay packed: correlation looks at few of them whole.
"""

from __future__ import annotations

import heapq
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import msgspec

from tidewaiter.correlation.glimpse import Glimpse, glimpse_of
from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Finding

_HEAD = struct.Struct("<IIIq")
"""Bytes of the host key, of the places and of the glimpses; time of the first row."""
BLOCK = 256
"""Rows of a block."""
FAN_IN = 64
"""Run files that are open at once while merging."""


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
    return Row(host, event.time, f"{event.log_file}#{event.record:0>15}.{event.seq:04}", event, findings)


_ENCODER = msgspec.msgpack.Encoder()
_PLACES = msgspec.msgpack.Decoder(list[str])
_GLIMPSES = msgspec.msgpack.Decoder(list[Glimpse])

Batch = tuple[Sequence[str], Sequence[Glimpse]]
"""Places and glimpses of rows of one host in order."""


def write_run(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as one sorted run."""
    with path.open("wb") as file:
        for host, group in groupby(sorted(rows, key=_order), key=_host):
            some = list(group)
            for start in range(0, len(some), BLOCK):
                block = some[start : start + BLOCK]
                _put(file, host, [row.place for row in block], [glimpse_of(row.event, row.findings) for row in block])


def _order(row: Row) -> tuple[str, int, str]:
    return row.order


def _host(row: Row) -> str:
    return row.host


def _put(file: BinaryIO, host: str, places: Sequence[str], glimpses: Sequence[Glimpse]) -> None:
    name, order, data = host.encode("utf-8", "surrogatepass"), _ENCODER.encode(places), _ENCODER.encode(glimpses)
    file.write(_HEAD.pack(len(name), len(order), len(data), glimpses[0].time))
    file.write(name)
    file.write(order)
    file.write(data)


class _Run:
    """One run that is being read: the host and first time of its next block, None at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=4_096)
        self.host: str | None = None
        self.first = 0
        self._sizes = (0, 0)
        self._next()

    def _next(self) -> None:
        head = self._file.read(_HEAD.size)
        if not head:
            self.host = None
            return
        length, places, glimpses, self.first = _HEAD.unpack(head)
        self._sizes = (places, glimpses)
        self.host = self._file.read(length).decode("utf-8", "surrogatepass")

    def take(self) -> Batch:
        """The rows of the block."""
        places, glimpses = self._sizes
        found = _PLACES.decode(self._file.read(places)), _GLIMPSES.decode(self._file.read(glimpses))
        self._next()
        return found

    def close(self) -> None:
        self._file.close()


def read_run(path: Path) -> Iterator[Row]:
    """The rows of one run in order."""
    for host, batches in _merged([path]):
        for places, glimpses in batches:
            for place, glimpse in zip(places, glimpses, strict=True):
                yield Row(host, glimpse.time, place, glimpse.read(), glimpse.findings)


def merge(paths: Sequence[Path], work_dir: Path) -> Iterator[tuple[str, Iterator[Sequence[Glimpse]]]]:
    """Each host of all runs with its rows in order, a few hundred at a time; to be taken before the next host is asked for.

    Many runs are first merged in groups, so that the number of open files is bounded.
    """
    paths = list(paths)
    generation = 0
    while len(paths) > FAN_IN:
        merged: list[Path] = []
        for start in range(0, len(paths), FAN_IN):
            group = paths[start : start + FAN_IN]
            target = work_dir / f"merge-{generation}-{start}.run"
            with target.open("wb") as file:
                for host, batches in _merged(group):
                    _rewrite(file, host, batches)
            if generation:  # what the readers wrote stays: a scan that is resumed reads it again
                for path in group:
                    path.unlink()
            merged.append(target)
        paths = merged
        generation += 1
    for host, batches in _merged(paths):
        yield host, map(itemgetter(1), batches)


def _rewrite(file: BinaryIO, host: str, batches: Iterable[Batch]) -> None:
    """Write the rows of one host as full blocks."""
    places: list[str] = []
    glimpses: list[Glimpse] = []
    for some, more in batches:
        places += some
        glimpses += more
        while len(glimpses) >= BLOCK:
            _put(file, host, places[:BLOCK], glimpses[:BLOCK])
            del places[:BLOCK], glimpses[:BLOCK]
    if glimpses:
        _put(file, host, places, glimpses)


def _merged(paths: Sequence[Path]) -> Iterator[tuple[str, Iterator[Batch]]]:
    with ExitStack() as opened:
        runs = [_Run(path) for path in paths]
        for run in runs:
            opened.callback(run.close)
        heads = [(run.host, number) for number, run in enumerate(runs) if run.host is not None]
        heapq.heapify(heads)
        while heads:
            host = heads[0][0]
            numbers = []
            while heads and heads[0][0] == host:
                numbers.append(heapq.heappop(heads)[1])
            several = [runs[number] for number in numbers]
            yield host, (_one(several[0]) if len(several) == 1 else _interleaved(several))
            for number in numbers:
                following = runs[number].host
                if following is not None:
                    heapq.heappush(heads, (following, number))


def _one(run: _Run) -> Iterator[Batch]:
    host = run.host
    while run.host == host:
        yield run.take()


def _interleaved(runs: Sequence[_Run]) -> Iterator[Batch]:
    """The rows of one host from several runs: each batch goes up to the nearest end of the blocks that are in memory."""
    host = runs[0].host
    held: dict[int, list[tuple[int, str, Glimpse]]] = {}
    while True:
        bound = min((rows[-1][:2] for rows in held.values()), default=None)
        for number in sorted(range(len(runs)), key=lambda one: runs[one].first):
            run = runs[number]
            if number in held or run.host != host:
                continue
            if bound is not None and run.first > bound[0]:
                break
            places, glimpses = run.take()
            rows = held[number] = [(glimpse.time, place, glimpse) for place, glimpse in zip(places, glimpses, strict=True)]
            bound = rows[-1][:2] if bound is None else min(bound, rows[-1][:2])
        if bound is None:
            return
        batch: list[tuple[int, str, Glimpse]] = []
        for number in sorted(held):
            rows = held[number]
            cut = bisect_right(rows, bound, key=_place)
            batch += rows[:cut]
            if cut == len(rows):
                del held[number]
            else:
                del rows[:cut]
        batch.sort(key=_place)
        yield [place for _, place, _ in batch], [glimpse for _, _, glimpse in batch]


_place = itemgetter(0, 1)
