"""Processes of one host: identity by GUID, or by pid and the time it started; lineage; what each did of late."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from tidewaiter.catalog import roles
from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.schema.event import EventKind

if TYPE_CHECKING:
    from tidewaiter.correlation.pending import Waiting

KEPT = 40_000
"""Processes remembered per host; the oldest are evicted and counted."""
RECENT = 48
"""File and connection events remembered per process."""
MOST = 2 * RECENT
"""So many are let grow before the earliest are given up."""
SAME_START = 3_000_000
"""Two sensors report one start within this time (microseconds)."""
_RECENT_STARTS = 64
"""Starts among which the same one, told by another sensor, is looked for."""
DEPTH = 5
"""Ancestors, itself included, that are looked at for transfers that an event may belong to."""


class Told(msgspec.Struct):
    """What the logs tell of a process that only a transfer of it asks for."""

    name: str | None = None
    command_line: str | None = None
    cwd: str | None = None
    user: str | None = None
    original_name: str | None = None
    parent_path: str | None = None
    log_source: str | None = None  # that told of its start


class Process(msgspec.Struct, eq=False):
    """One process, as far as the logs tell. Lists that hold nothing are None: most processes never need them."""

    pid: int | None
    key: str | None
    path: str | None = None
    parent: Process | None = None
    started: int = 0
    seen_start: bool = False
    record: Glimpse | None = None  # the event that tells the rest, until somebody asks
    known: Told | None = None
    previous: Process | None = None  # the program that the same pid ran before an exec
    files: list[Glimpse] | None = None
    connections: list[Glimpse] | None = None
    drafts: list[Draft] | None = None
    waiting: list[Waiting] | None = None  # its children's fetches whose use is not known yet
    idle: list[Glimpse] | None = None  # its children that are interpreters without a script
    unpacks: Draft | None = None  # it unpacks or copies the file of this transfer
    clear: int = -1  # as of so many owners of transfers, none of them was it or one of its ancestors

    @property
    def told(self) -> Told:
        """What else is known of it."""
        if self.known is None:
            self.known = Told()
            if self.record is not None:
                event, self.record = self.record.read(), None
                self.known = Told(event.process_name, event.command_line, event.cwd, event.user, event.original_name,
                                  event.parent_path, event.log_source)  # fmt: skip
        return self.known

    @property
    def program(self) -> str:
        """Base name in lower case without .exe."""
        return _program_name(self.path or self.told.name or "")

    def lineage(self, depth: int = 6) -> list[Process]:
        """The process and its ancestors, nearest first."""
        found: list[Process] = []
        at: Process | None = self
        while at is not None and len(found) < depth and at not in found:
            found.append(at)
            at = at.parent
        return found

    def has_drafts(self, depth: int) -> bool:
        """Whether it, or one of its ancestors, asked for a transfer."""
        at: Process | None = self
        while at is not None and depth:
            if at.drafts is not None:
                return True
            at = at.parent
            depth -= 1
        return False

    def asked_lately(self, depth: int, since: int) -> bool:
        """Whether it, or one of its ancestors, asked for a transfer after a time (microseconds)."""
        at: Process | None = self
        while at is not None and depth:
            if at.drafts is not None:
                for draft in at.drafts[-8:]:
                    if draft.time >= since:
                        return True
            at = at.parent
            depth -= 1
        return False

    def wrote(self, glimpse: Glimpse) -> None:
        """Remember a file of late."""
        if self.files is None:
            self.files = [glimpse]
            return
        self.files.append(glimpse)
        if len(self.files) > MOST:
            del self.files[:-RECENT]

    def connected(self, glimpse: Glimpse) -> None:
        """Remember a connection of late."""
        if self.connections is None:
            self.connections = [glimpse]
            return
        self.connections.append(glimpse)
        if len(self.connections) > MOST:
            del self.connections[:-RECENT]

    @property
    def recent_files(self) -> list[Glimpse]:
        """The files of late, the earliest first."""
        return self.files[-RECENT:] if self.files is not None else []

    @property
    def recent_connections(self) -> list[Glimpse]:
        """The connections of late, the earliest first."""
        return self.connections[-RECENT:] if self.connections is not None else []


_program_name = functools.lru_cache(maxsize=8_192)(roles.program_name)


class Processes:
    """All processes of a host that may still matter."""

    def __init__(self) -> None:
        self.most = KEPT
        self.by_key: dict[str, Process] = {}
        self.by_pid: dict[int | None, Process] = {}  # asked for None, it has nothing
        self._kept: deque[Process] = deque()  # in the order in which they became known
        self._nameless = False  # whether a sensor told of a start without a pid
        self.unusual: set[str | int] = set()  # keys and pids of those that unpack, or whose program is not known
        self.owners = 0  # processes that asked for a transfer
        self.evicted = 0

    def of(self, glimpse: Glimpse) -> Process | None:
        """The process that acts in an event; one that was never seen starting is made up from what the event says."""
        return self.start(glimpse) if glimpse.kind is EventKind.PROCESS_START else self.acting(glimpse)

    def acting(self, glimpse: Glimpse) -> Process | None:
        """The process that acts in an event that is no start."""
        key = glimpse.key
        found = self.by_pid.get(glimpse.pid) if key is None else self.by_key.get(key)
        if found is None:
            return self._made_up(glimpse)
        if found.path is None:
            found.path = glimpse.read().process_path
        return found

    def _made_up(self, glimpse: Glimpse) -> Process | None:
        if glimpse.key is None and glimpse.pid is None:
            return None
        found = self._find(glimpse.key, glimpse.pid)
        if found is None:
            event = glimpse.read()
            told = Told(event.process_name, user=event.user)
            found = Process(event.pid, event.process_key, event.process_path, started=event.time, known=told)
            found.parent = self._find(event.parent_key, event.parent_pid)  # a fork that never executed a program of its own
            self._keep(found)
        elif found.path is None:
            found.path = glimpse.read().process_path
        return found

    def note_unusual(self, process: Process) -> None:
        """What it does is looked at, until its program is known and it unpacks nothing."""
        self.unusual.update(one for one in (process.key, process.pid) if one is not None)

    def any_unusual(self, keys: Iterable[str], pids: Iterable[int]) -> bool:
        """Whether one of these processes is such a one."""
        if not self.unusual or self.unusual.isdisjoint((*keys, *pids)):
            return False
        found = [(key, self.by_key.get(key)) for key in keys] + [(pid, self.by_pid.get(pid)) for pid in pids]
        over = {one for one, process in found if process is None or (process.path is not None and process.unpacks is None)}
        self.unusual -= over
        return any(one in self.unusual for one, _ in found)

    def own(self, process: Process, draft: Draft) -> None:
        """The process asked for this transfer, or what it says belongs to it."""
        if process.drafts is None:
            process.drafts = [draft]
            self.owners += 1
        elif draft not in process.drafts:
            process.drafts.append(draft)

    def asked_lately(self, process: Process, depth: int, since: int) -> bool:
        """Whether it, or one of its ancestors, asked for a transfer after a time (microseconds)."""
        if process.clear == self.owners:
            return False
        at: Process | None = process
        owned = False
        for level in range(DEPTH):
            if at is None:
                break
            if at.drafts is not None:
                owned = True
                if level < depth and any(draft.time >= since for draft in at.drafts[-8:]):
                    return True
            at = at.parent
        if not owned:
            process.clear = self.owners
        return False

    def _find(self, key: str | None, pid: int | None) -> Process | None:
        if key is not None:
            found = self.by_key.get(key)
            if found is not None:
                return found
        if pid is None:
            return None
        found = self.by_pid.get(pid)
        if found is not None and key is not None and found.key is not None and found.key != key:
            return None
        return found

    def start(self, glimpse: Glimpse) -> Process:
        """The process that an event tells the start of."""
        key, pid = glimpse.key, glimpse.pid
        known = self.by_key.get(key) if key is not None else None  # as _find, which costs a call
        if known is None and pid is not None:
            known = self.by_pid.get(pid)
            if known is not None and key is not None and known.key is not None and known.key != key:
                known = None
        if known is None and (pid is None or self._nameless):
            known = self._told_without_id(glimpse)
        if known is not None and known.seen_start and _same_start(known, glimpse):
            self._again(known, glimpse)
            return known
        above = glimpse.parent_key
        parent = self.by_pid.get(glimpse.parent_pid) if above is None else self.by_key.get(above)
        if parent is None and (above or glimpse.parent_pid is not None):
            parent = self._find(above, glimpse.parent_pid) or self._parent_of(glimpse)
        fresh = Process(pid, key, glimpse.path, parent, glimpse.time, True, glimpse)
        fresh.clear = parent.clear if parent is not None else self.owners
        if known is not None:
            if not known.seen_start and known.drafts is None and key == known.key:
                fresh.files, fresh.connections = known.files, known.connections  # its acts were logged before its start
            elif key is None:
                fresh.previous = known
                known.previous = None  # one program back is enough, and a pid that is used again and again must not hold all
        if pid is None:
            self._nameless = True
            self._keep(fresh)
            return fresh
        if glimpse.path is None:
            self.note_unusual(fresh)
        if key:  # as _keep, which costs a call
            self.by_key[key] = fresh
        self.by_pid[pid] = fresh
        kept = self._kept
        kept.append(fresh)
        if len(kept) > self.most:
            self._forget(kept.popleft())
        return fresh

    def _parent_of(self, glimpse: Glimpse) -> Process:
        """A parent that was never seen, as its child's start tells it."""
        event = glimpse.read()
        told = Told(command_line=event.parent_command_line)
        parent = Process(event.parent_pid, event.parent_key, event.parent_path, known=told)
        self._keep(parent)
        return parent

    def _again(self, known: Process, glimpse: Glimpse) -> None:
        """A second sensor saw the same start."""
        event = glimpse.read()
        known.key = known.key or event.process_key
        if known.pid is None and event.pid is not None:
            known.pid = event.pid
            self.by_pid[event.pid] = known
        told = known.told
        told.original_name = told.original_name or event.original_name
        told.cwd = told.cwd or event.cwd
        if event.process_key:
            self.by_key[event.process_key] = known

    def _told_without_id(self, glimpse: Glimpse) -> Process | None:
        """Exports that lose the pid of one sensor: the same command line, told by another sensor at the same time."""
        line = None
        for process in islice((one for one in reversed(self._kept) if one.seen_start), _RECENT_STARTS):
            if (process.pid is None or glimpse.pid is None) and abs(process.started - glimpse.time) <= SAME_START:
                line = line or glimpse.read().command_line
                if not line:
                    return None
                if process.told.command_line == line and _same_start(process, glimpse):
                    return process
        return None

    def _keep(self, process: Process) -> None:
        if process.path is None:
            self.note_unusual(process)
        if process.key:
            self.by_key[process.key] = process
        if process.pid is not None:
            self.by_pid[process.pid] = process
        self._kept.append(process)
        if len(self._kept) > self.most:
            self._forget(self._kept.popleft())

    def __len__(self) -> int:
        return len(self._kept)

    def forget_oldest(self, most: int) -> None:
        """Keep so many, those that became known last."""
        while len(self._kept) > most:
            self._forget(self._kept.popleft())

    def _forget(self, old: Process) -> None:
        self.evicted += 1
        if old.key and self.by_key.get(old.key) is old:
            del self.by_key[old.key]
        if old.pid is not None and self.by_pid.get(old.pid) is old:
            del self.by_pid[old.pid]


def _same_start(known: Process, glimpse: Glimpse) -> bool:
    """Two sensors (Sysmon 1 and Security 4688) report one start: same pid, close in time, no other GUID, same program."""
    if abs(known.started - glimpse.time) > SAME_START or (known.key and glimpse.key and known.key != glimpse.key):
        return False
    if (known.path or "").replace("\\", "/").rsplit("/", 1)[-1].lower() != (
        (glimpse.path or "").replace("\\", "/").rsplit("/", 1)[-1].lower()
    ):
        return False
    return known.told.log_source is None or known.told.log_source != glimpse.read().log_source
