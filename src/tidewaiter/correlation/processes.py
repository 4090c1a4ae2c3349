"""Processes of one host: identity by GUID, or by pid and the time it started; lineage; what each did of late."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidewaiter.correlation.draft import Draft
from tidewaiter.schema.event import Event, EventKind

if TYPE_CHECKING:
    from tidewaiter.correlation.pending import Waiting

KEPT = 40_000
"""Processes remembered per host; the oldest are evicted and counted."""
RECENT = 48
"""File and connection events remembered per process."""


@dataclass(eq=False)
class Process:
    """One process, as far as the logs tell."""

    pid: int | None
    key: str | None
    path: str | None = None
    name: str | None = None
    command_line: str | None = None
    argv: tuple[str, ...] | None = None
    cwd: str | None = None
    user: str | None = None
    original_name: str | None = None
    parent: Process | None = None
    parent_path: str | None = None
    started: int = 0
    seen_start: bool = False
    previous: Process | None = None  # the program that the same pid ran before an exec
    files: list[Event] = field(default_factory=list)
    connections: list[Event] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)  # its children's fetches whose use is not known yet
    idle: list[Event] = field(default_factory=list)  # its children that are interpreters without a script
    unpacks: Draft | None = None  # it unpacks or copies the file of this transfer
    start_event: Event | None = None

    @property
    def program(self) -> str:
        """Base name in lower case without .exe."""
        text = (self.path or self.name or "").replace("\\", "/").rsplit("/", 1)[-1].lower()
        return text.removesuffix(".exe")

    def lineage(self, depth: int = 6) -> list[Process]:
        """The process and its ancestors, nearest first."""
        found: list[Process] = []
        at: Process | None = self
        while at is not None and len(found) < depth and at not in found:
            found.append(at)
            at = at.parent
        return found


class Processes:
    """All processes of a host that may still matter."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Process] = OrderedDict()
        self._by_pid: dict[int, Process] = {}
        self._recent: deque[Process] = deque(maxlen=64)
        self.evicted = 0

    def of(self, event: Event) -> Process | None:
        """The process that acts in an event; one that was never seen starting is made up from what the event says."""
        if event.kind is EventKind.PROCESS_START:
            return self._start(event)
        if event.process_key is None and event.pid is None:
            return None
        found = self._find(event.process_key, event.pid)
        if found is None:
            found = Process(event.pid, event.process_key, event.process_path, event.process_name, started=event.time)
            found.user = event.user
            found.parent = self._find(event.parent_key, event.parent_pid)  # a fork that never executed a program of its own
            self._keep(found)
        if found.path is None:
            found.path = event.process_path
        return found

    def _find(self, key: str | None, pid: int | None) -> Process | None:
        if key is not None and key in self._by_key:
            return self._by_key[key]
        found = self._by_pid.get(pid) if pid is not None else None
        if found is not None and key is not None and found.key is not None and found.key != key:
            return None
        return found

    def _start(self, event: Event) -> Process:
        known = self._find(event.process_key, event.pid) or self._told_without_id(event)
        if known is not None and known.seen_start and _same_start(known, event):
            known.key = known.key or event.process_key  # a second sensor saw the same start
            if known.pid is None and event.pid is not None:
                known.pid = event.pid
                self._by_pid[event.pid] = known
            known.original_name = known.original_name or event.original_name
            known.cwd = known.cwd or event.cwd
            if event.process_key:
                self._by_key[event.process_key] = known
            return known
        fresh = Process(
            event.pid, event.process_key, event.process_path, event.process_name, event.command_line, event.argv, event.cwd,
            event.user, event.original_name, started=event.time, seen_start=True, start_event=event,
        )  # fmt: skip
        fresh.parent_path = event.parent_path
        fresh.parent = self._find(event.parent_key, event.parent_pid)
        if fresh.parent is None and (event.parent_key or event.parent_pid is not None):
            fresh.parent = Process(
                event.parent_pid, event.parent_key, event.parent_path, command_line=event.parent_command_line
            )
            self._keep(fresh.parent)
        if known is not None and known.seen_start is False and not known.drafts and event.process_key == known.key:
            fresh.files, fresh.connections = known.files, known.connections  # its acts were logged before its start
        elif known is not None and event.process_key is None:
            fresh.previous = known
            known.previous = None  # one program back is enough, and a pid that is used again and again must not hold all
        self._keep(fresh)
        self._recent.append(fresh)
        return fresh

    def _told_without_id(self, event: Event) -> Process | None:
        """Exports that lose the pid of one sensor: the same command line, told by another sensor at the same time."""
        if not event.command_line:
            return None
        for process in reversed(self._recent):
            if (
                process.command_line == event.command_line
                and (process.pid is None or event.pid is None)
                and _same_start(process, event)
            ):
                return process
        return None

    def _keep(self, process: Process) -> None:
        key = process.key or f"pid:{process.pid}:{process.started}"
        self._by_key[key] = process
        if process.pid is not None:
            self._by_pid[process.pid] = process
        while len(self._by_key) > KEPT:
            _, old = self._by_key.popitem(last=False)
            self.evicted += 1
            if old.pid is not None and self._by_pid.get(old.pid) is old:
                del self._by_pid[old.pid]


def _same_start(known: Process, event: Event) -> bool:
    """Two sensors (Sysmon 1 and Security 4688) report one start: same pid, close in time, no other GUID, same program."""
    if abs(known.started - event.time) > 3_000_000 or (known.key and event.process_key and known.key != event.process_key):
        return False
    if known.start_event is not None and known.start_event.log_source == event.log_source:
        return False
    left = (known.path or "").replace("\\", "/").rsplit("/", 1)[-1].lower()
    right = (event.process_path or "").replace("\\", "/").rsplit("/", 1)[-1].lower()
    return left == right
