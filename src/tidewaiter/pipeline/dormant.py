"""Flows that may tell nothing by themselves: most of them are never made events.

What a flow record says matters where the network shows more between the same two endpoints, or where it is out of the usual of
all the evidence; neither is known while a log is read. Until then flows are kept as columns, in run files sorted by group, and
go past the rows of the same groups in one pass. Memory is bounded by one block a run and HELD flows of one group.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from tidewaiter.baseline.flows import Sides
from tidewaiter.correlation import wire_sizes
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.pipeline import rows
from tidewaiter.pipeline.rows import Extent, place_of, row_of
from tidewaiter.schema.batch import FlowRow, flow_event
from tidewaiter.schema.event import Event

BLOCK = 512
"""Flows of a block, or of one group where it has more."""
FAN_IN = 64
"""Run files that are open at once."""
HELD = 10_000
"""Flows of one group that are held; further ones go to run files of rows."""

_LENGTH = struct.Struct("<I")


class Sleeper(NamedTuple):
    """A flow that waits. `service`: that of a flow which matters where it stands out, else None."""

    group: str
    log_source: str
    log_file: str
    service: str | None
    row: FlowRow


_Flow = tuple[str, str, str | None, list[Any]]
"""Log source, log file, service and row of a flow."""
_Group = tuple[str, list[_Flow]]
"""A group and its flows."""
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[_Group]).decode
_group_of = itemgetter(0)


def append_run(path: Path, flows: Iterable[Sleeper]) -> Extent:
    """Write flows as one run, sorted by group, behind those that a file holds; where there is none it is made."""
    grouped = groupby(sorted(flows, key=_group_of), key=_group_of)
    return _append(path, ((group, [one[1:] for one in several]) for group, several in grouped))


def _append(path: Path, groups: Iterable[tuple[str, list[Any]]]) -> Extent:
    with path.open("ab") as file:
        start = file.tell()
        block: list[tuple[str, list[Any]]] = []
        held = 0
        for group in groups:
            block.append(group)
            held += len(group[1])
            if held >= BLOCK:
                _put(file, block)
                block, held = [], 0
        if block:
            _put(file, block)
        return Extent(str(path), start, file.tell())


def _put(file: BinaryIO, block: list[tuple[str, list[Any]]]) -> None:
    data = _ENCODE(block)
    file.write(_LENGTH.pack(len(data)))
    file.write(data)


def _read(run: Extent) -> Iterator[_Group]:
    """The groups of one run in order."""
    with Path(run.path).open("rb") as file:
        place = file.seek(run.start)
        while place < run.end:
            length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
            yield from _DECODE(file.read(length))
            place += _LENGTH.size + length


class Asleep:
    """The flows of one group that wait."""

    def __init__(self, group: str, work_dir: Path, sides: Sides | None) -> None:
        self.group = group
        self._work_dir, self._sides = work_dir, sides
        self._runs: list[Path] = []
        self._held: list[_Flow] = []
        self.stand_out = sides is None  # one of them is out of the usual, or nobody can say

    def take(self, flows: list[_Flow]) -> None:
        """Take in flows of the group."""
        self._held += flows
        if not self.stand_out and self._sides is not None:
            for _, _, service, row in flows:
                if service is not None:
                    one = FlowRow._make(row)
                    side = (one.bytes_in or 0).bit_length() - (one.bytes_out or 0).bit_length()
                    self.stand_out = self.stand_out or wire_sizes.stands_out(one.src_ip, service, side, self._sides)
        if len(self._held) > HELD:
            self._put()

    def _put(self) -> None:
        folder = self._work_dir / "woken"  # merging them makes files that must not be in the way of others
        folder.mkdir(exist_ok=True)
        self._runs.append(folder / f"{len(self._runs)}.run")
        rows.write_run(self._runs[-1], [row_of(self.group, event, ()) for event in self._woken()])
        self._held = []

    def _woken(self) -> list[Event]:
        return [flow_event(log_source, log_file, row) for log_source, log_file, _, row in self._held]

    def events(self) -> Iterator[Event]:
        """All of them in the order of rows; to be taken before the next group is asked for."""
        if not self._runs:
            yield from sorted(self._woken(), key=_order)
            return
        self._put()
        for _, batches in rows.merge(self._runs, self._work_dir / "woken"):
            for batch in batches:
                for glimpse in batch:
                    yield glimpse.read()


def _order(event: Event) -> tuple[int, str]:
    return (event.time, place_of(event))


Batches = Iterator[Sequence[Glimpse]]


def beside(
    hosts: Iterable[tuple[str, Batches]], runs: Sequence[Extent], work_dir: Path, sides: Callable[[], Sides | None]
) -> Iterator[tuple[str, Batches, Asleep | None]]:
    """The rows of each host with the flows that wait in it, and before it the groups that only such flows are of.

    `sides` says what is usual, and is asked for where there is such a flow at all. Both come in the order of their names.
    """
    if not runs:
        yield from ((host, batches, None) for host, batches in hosts)
        return
    sleepers = _groups(_few(runs, work_dir), work_dir, sides())
    waiting = next(sleepers, None)
    for host, batches in hosts:
        while waiting is not None and waiting.group < host:
            yield waiting.group, iter(()), waiting
            waiting = next(sleepers, None)
        if waiting is not None and waiting.group == host:
            yield host, batches, waiting
            waiting = next(sleepers, None)
        else:
            yield host, batches, None
    while waiting is not None:
        yield waiting.group, iter(()), waiting
        waiting = next(sleepers, None)


def _groups(runs: Sequence[Extent], work_dir: Path, sides: Sides | None) -> Iterator[Asleep]:
    asleep: Asleep | None = None
    for group, flows in _merged(runs):
        if asleep is None or asleep.group != group:
            if asleep is not None:
                yield asleep
            asleep = Asleep(group, work_dir, sides)
        asleep.take(flows)
    if asleep is not None:
        yield asleep


def _merged(runs: Sequence[Extent]) -> Iterator[_Group]:
    return heapq.merge(*map(_read, runs), key=_group_of)


def _few(runs: Sequence[Extent], work_dir: Path) -> list[Extent]:
    """The same flows in so few runs that all can be open. What the readers wrote stays: a scan may be resumed."""
    few, generation = list(runs), 0
    while len(few) > FAN_IN:
        target = work_dir / f"dormant-{generation}.merged"
        target.unlink(missing_ok=True)
        few = [_append(target, _merged(few[start : start + FAN_IN])) for start in range(0, len(few), FAN_IN)]
        generation += 1
    return few


def woven(batches: Batches, asleep: Asleep | None) -> Iterator[list[Event]]:
    """The events of a group in order, those that waited at their places."""
    sleepers = iter(()) if asleep is None else asleep.events()
    waiting = next(sleepers, None)
    for batch in batches:
        events = [glimpse.read() for glimpse in batch]
        if waiting is not None and waiting.time <= batch[-1].time:
            end, woken = _order(events[-1]), []
            while waiting is not None and _order(waiting) < end:
                woken.append(waiting)
                waiting = next(sleepers, None)
            events = sorted([*events, *woken], key=_order) if woken else events
        yield events
    while waiting is not None:
        rest = [waiting]
        waiting = None
        for event in sleepers:
            if len(rest) == BLOCK:
                waiting = event
                break
            rest.append(event)
        yield rest
