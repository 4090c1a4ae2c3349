"""What processes did of late in rows that a fold passed over (`correlation.quiet`), for the few that turn out to matter."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.outline import Stretch
from tidewaiter.correlation.processes import MOST, RECENT, Process, Processes
from tidewaiter.schema.event import EventKind

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostFold

_CREATE, _CONNECTION = EventKind.FILE_CREATE, EventKind.CONNECTION
_time = attrgetter("time")


class Passed(NamedTuple):
    """Rows that were passed over."""

    stretch: Stretch
    last: int  # time of the last of them
    keys: list[str]  # of the processes that act in their block, beside those in its outline
    pids: list[int]


def recall(fold: HostFold, process: Process) -> None:
    """Remember what a process did of late in rows that were passed over: it asked for a transfer."""
    if not fold.passed:
        return
    rest: list[Passed] = []
    held: list[Glimpse] = []
    for passed in fold.passed:
        if process.pid in passed.pids or process.key in passed.keys:
            held += passed.stretch.glimpses()
            passed.stretch.forget()
        else:
            rest.append(passed)
    if held:
        fold.passed = deque(rest)
        held.sort(key=_time)
        remember(fold.processes, held)


def remember(processes: Processes, rows: Sequence[Glimpse]) -> None:
    """What processes did, in rows of before those that started last."""
    for one in rows:
        kind = one.kind
        if kind is not _CREATE and (kind is not _CONNECTION or one.sign):
            continue
        process = processes.by_pid.get(one.pid) if one.key is None else processes.by_key.get(one.key)
        if process is not None and one.key is None and process.seen_start and one.time < process.started:
            before = process.previous
            if before is not None:  # the pid was that of another program then
                process = before if not before.seen_start or one.time >= before.started else None
        if process is None:
            continue
        if kind is _CREATE:
            process.files = _with(process.files, one)
        else:
            process.connections = _with(process.connections, one)


def _with(held: list[Glimpse] | None, one: Glimpse) -> list[Glimpse]:
    """Events of one process, in order, with another one."""
    if held is None:
        return [one]
    insort(held, one, key=_time)
    if len(held) > MOST:
        del held[:-RECENT]
    return held
