"""Rows that a fold passes over without unpacking them, because nothing in them can have to do with a transfer.

That is so where nothing was found in them, no transfer was asked for in the last minutes, no file of it is known, and its
processes are known, unpack nothing, and did not ask for a transfer within half an hour, nor did those that started them. What
such rows leave behind in a fold is what each process did of late, and that is asked for only where a process turns out to have
asked for a transfer: then its rows of the last half hour are looked at after all. The result is the same as that of
`HostFold.advance`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from tidewaiter.correlation import after, claims, pending
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.outline import Stretch
from tidewaiter.correlation.passed import Passed, remember
from tidewaiter.correlation.processes import DEPTH, Process, Processes
from tidewaiter.schema.case import Case
from tidewaiter.schema.event import EventKind

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostFold

REACH = max(claims.ATTACH_WINDOW, after.CARRY_WINDOW)
"""So long after a process asked for a transfer, what it and its children do may belong to that; and so long before, what it did
(microseconds)."""
ANYBODY = max(after.AGENT_WINDOW, claims.RECEIVE_WINDOW)
"""So long after a transfer was asked for, what anybody does may belong to it."""
_time = attrgetter("time")
_START, _RENAME, _TYPED = EventKind.PROCESS_START, EventKind.FILE_RENAME, EventKind.SHELL_COMMAND


def advance(fold: HostFold, stretches: Sequence[Stretch], rows: Sequence[Glimpse]) -> list[Case]:
    """As `HostFold.advance` of the rows of these stretches in order: `rows` should unpack them when it is looked into."""
    last = max(stretch.times[-1] for stretch in stretches)
    singles = _singles(fold, stretches)
    if singles is None:
        return fold.advance(rows, watermark=last)
    done: list[Case] = []
    due = fold.due
    for one in singles:
        if one.time >= due:
            done += _swept(fold, stretches, one.time)
            due = fold.due
        matters = _look(fold, one)
        if matters is not None:  # from here on all rows are looked at
            place = next(place for place, row in enumerate(rows) if row is one)
            remember(fold.processes, rows[:place])
            matters()
            return done + fold.advance(rows[place + 1 :], watermark=last)
    if last >= due:
        done += _swept(fold, stretches, last)
    for stretch in stretches:
        if (outline := stretch.outline) is not None:
            fold.passed.append(Passed(stretch, stretch.times[-1], outline.keys, outline.pids))
        stretch.forget()
    while fold.passed[0].last < last - REACH:
        fold.passed.popleft()
    return done


def _singles(fold: HostFold, stretches: Sequence[Stretch]) -> list[Glimpse] | None:
    """The rows that are looked at one by one, in order, where the others can be passed over."""
    first = min(stretch.times[0] for stretch in stretches)
    if first <= fold.newest + ANYBODY:
        return None
    for stretch in stretches:
        outline = stretch.outline
        if outline is None or stretch.loud:
            return None
        if fold.by_path and not fold.names.path_sums(fold).isdisjoint(outline.path_sums):
            return None
    singles = [one for stretch in stretches for one in stretch.singles()]
    if len(stretches) > 1:
        singles.sort(key=_time)
        before = None
        for one in singles:
            if one.time == before:
                return None  # times do not tell their order
            before = one.time
    if not all(_acts_quietly(fold.processes, stretch, singles) for stretch in stretches):
        return None
    if first <= fold.newest + REACH and _asked_lately(fold.processes, stretches, singles, first):
        return None
    return singles


def _asked_lately(processes: Processes, stretches: Sequence[Stretch], singles: Sequence[Glimpse], now: int) -> bool:
    """Whether one that acts, or starts one, asked for a transfer within REACH, or one that started it did so."""
    by_key, by_pid, owners, since = processes.by_key, processes.by_pid, processes.owners, now - REACH
    found: list[Process | None] = []
    for stretch in stretches:
        if (outline := stretch.outline) is not None:
            found += map(by_key.get, outline.keys)
            found += map(by_pid.get, outline.pids)
    for one in singles:
        if one.kind is _START:
            found.append(by_pid.get(one.parent_pid))
            if one.parent_key is not None:
                found.append(by_key.get(one.parent_key))
    return any(
        process is not None and process.clear != owners and processes.asked_lately(process, DEPTH, since) for process in found
    )


def _acts_quietly(processes: Processes, stretch: Stretch, singles: Sequence[Glimpse]) -> bool:
    """Whether all processes that act in the other rows are known by then, and unpack nothing."""
    outline = stretch.outline
    if outline is None or processes.any_unusual(outline.keys, outline.pids):
        return False
    by_key, by_pid = processes.by_key, processes.by_pid
    unknown: list[tuple[str | int, int]] = [
        (key, place) for key, place in zip(outline.keys, outline.keys_at, strict=True) if key not in by_key
    ]
    unknown += [(pid, place) for pid, place in zip(outline.pids, outline.pids_at, strict=True) if pid not in by_pid]
    if not unknown:
        return True
    started: dict[str | int | None, int] = {}
    for one in reversed(singles):
        if one.kind is _START and one.path is not None:
            started[one.key] = started[one.pid] = one.time
    times, end = stretch.block_times, stretch.end
    return all(place >= end or ((time := started.get(actor)) is not None and time < times[place]) for actor, place in unknown)


def _swept(fold: HostFold, stretches: Sequence[Stretch], now: int) -> list[Case]:
    """Look for finished transfers when the rows up to `now` would have made the fold do so."""
    done: list[Case] = []
    while now >= (due := fold.due):
        if not fold.drafts:
            fold.sweep(now)
            break
        times = (stretch.times for stretch in stretches)
        done += fold.sweep(min(some[place] for some in times if (place := bisect_left(some, due)) < len(some)))
    return done


def _look(fold: HostFold, glimpse: Glimpse) -> Callable[[], None] | None:
    """Take a row that is looked at by itself. Where it may have to do with a transfer: what is left to do of it."""
    kind, processes = glimpse.kind, fold.processes
    if kind is _START:
        process = processes.start(glimpse)
        if (fold.by_path or fold.by_hash) and fold.names.may_mean(fold, glimpse, process):
            return lambda: fold.started_of_interest(glimpse, process)
        if glimpse.sign:
            if process.parent is not None and process.parent.waiting:
                return lambda: pending.shell_started(fold, glimpse, process)
            pending.shell_started(fold, glimpse, process)
        return None
    if kind is _RENAME:
        acting = processes.acting(glimpse)
        matters = glimpse.path in fold.by_path or (acting is not None and acting.has_drafts(3))
    else:
        matters = kind is _TYPED and bool(fold.by_base)
    if matters:
        return lambda: fold.skim(glimpse)
    if kind is not _RENAME:
        fold.skim(glimpse)
    return None
