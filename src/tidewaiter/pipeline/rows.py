"""Rows on their way from readers to correlation: an event with its findings, spilled to sorted run files and merged.

A run file holds rows sorted by (host key, time, place in the logs); merging all runs gives the rows of each host in time order
while only one row per run is in memory.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Finding

_LENGTH = struct.Struct("<I")
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
_DECODER = msgspec.msgpack.Decoder(Row)


def write_run(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as one sorted run."""
    with path.open("wb") as file:
        for row in sorted(rows, key=_order):
            _put(file, row)


def _order(row: Row) -> tuple[str, int, str]:
    return row.order


def _put(file: BinaryIO, row: Row) -> None:
    data = _ENCODER.encode(row)
    file.write(_LENGTH.pack(len(data)))
    file.write(data)


def read_run(path: Path) -> Iterator[Row]:
    """The rows of one run in order."""
    with path.open("rb", buffering=65_536) as file:
        while header := file.read(_LENGTH.size):
            yield _DECODER.decode(file.read(_LENGTH.unpack(header)[0]))


def merge(paths: Sequence[Path], work_dir: Path) -> Iterator[Row]:
    """All rows of all runs in order. Many runs are first merged in groups, so that the number of open files is bounded."""
    paths = list(paths)
    generation = 0
    while len(paths) > FAN_IN:
        merged: list[Path] = []
        for start in range(0, len(paths), FAN_IN):
            group = paths[start : start + FAN_IN]
            target = work_dir / f"merge-{generation}-{start}.run"
            with target.open("wb") as file:
                for row in heapq.merge(*(read_run(path) for path in group), key=_order):
                    _put(file, row)
            if generation:  # what the readers wrote stays: a scan that is resumed reads it again
                for path in group:
                    path.unlink()
            merged.append(target)
        paths = merged
        generation += 1
    yield from heapq.merge(*(read_run(path) for path in paths), key=_order)
