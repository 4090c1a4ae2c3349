"""The fold over one host's events in time order: step(events, watermark) -> transfers that can change no more.

Batch is one pass with the rows of a host and `finish`; a live engine calls `step` again and again on the same state. Missing
stages never prevent a transfer.

Hardly any event has to do with a transfer. Each is therefore first skimmed: what acts in it is remembered, and by its glimpse
alone it is decided whether the whole event has to be looked at. Skimming may let too much through, never too little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tidewaiter.catalog import roles
from tidewaiter.correlation import after, claims, pending
from tidewaiter.correlation.assemble import assemble
from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.glimpse import Glimpse, glimpse_of
from tidewaiter.correlation.names import Names
from tidewaiter.correlation.outline import COMPILED
from tidewaiter.correlation.passed import Passed
from tidewaiter.correlation.processes import MOST, RECENT, Process, Processes
from tidewaiter.reading import paths
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

LIFETIME = 24 * 3_600 * 1_000_000
"""A transfer may still gain stages for so long (microseconds)."""
SWEEP = 300 * 1_000_000
"""How often finished transfers are looked for (microseconds of log time)."""
INBOUND_KEPT = 200
_FILE_CREATE = EventKind.FILE_CREATE
_ATTACH, _CARRY, _AGENT = claims.ATTACH_WINDOW, after.CARRY_WINDOW, after.AGENT_WINDOW


@dataclass
class HostView:
    """What the logs of a host can show at all."""

    kinds: set[str] = field(default_factory=set)
    name: str | None = None


class HostFold:
    """State of one host. Rows must come in time order; late rows are used where their partners are still known."""

    def __init__(self, host: str, view: HostView) -> None:
        self.host = host
        self.view = view
        self.processes = Processes()
        self.drafts: list[Draft] = []
        self.by_path: dict[str, Draft] = {}
        self.by_base: dict[str, list[Draft]] = {}
        self.by_hash: dict[str, Draft] = {}
        self.inbound: list[Glimpse] = []
        self.newest = 0  # time of the latest draft
        self.roles = roles.load()
        self.passed: deque[Passed] = deque()  # rows of late that were passed over (`correlation.quiet`)
        self.names = Names()
        self._swept = 0

    # ---------------------------------------------------------------- interface
    def step(self, rows: Sequence[tuple[Event, Sequence[Finding]]], watermark: int) -> list[Case]:
        """Take rows in time order; give up the transfers that no event after `watermark` can change.

        What is given up depends on the times alone, not on where the rows are cut: at every full SWEEP of log time.
        """
        return self.advance([glimpse_of(event, findings) for event, findings in rows], watermark)

    def advance(self, glimpses: Iterable[Glimpse], watermark: int) -> list[Case]:
        """As `step`, of rows that are packed."""
        done: list[Case] = []
        due = self.due
        skims = _SKIMS
        for glimpse in glimpses:
            if glimpse.time >= due:
                done += self.sweep(glimpse.time)
                due = self.due
            if glimpse.findings:
                self._take(glimpse)
            else:
                skim = skims.get(glimpse.kind)
                if skim is None:
                    self._take(glimpse)
                else:
                    skim(self, glimpse)
        if watermark >= due:
            done += self.sweep(watermark)
        return done

    @property
    def due(self) -> int:
        """From which time on finished transfers are looked for again."""
        return (self._swept + 1) * SWEEP

    def sweep(self, now: int) -> list[Case]:
        """Give up the transfers that are finished at this time."""
        self._swept = now // SWEEP
        return self._release(self._swept * SWEEP - LIFETIME)

    def finish(self) -> list[Case]:
        """Give up everything that is left."""
        return self._release(None)

    def _release(self, before: int | None) -> list[Case]:
        done = [draft for draft in self.drafts if before is None or max(draft.last, draft.time) < before]
        if not done:
            return []
        gone = set(map(id, done))
        for draft in done:
            draft.released = True
        self.names.forget()
        self.drafts = [draft for draft in self.drafts if id(draft) not in gone]
        self.by_path = {path: draft for path, draft in self.by_path.items() if id(draft) not in gone}
        self.by_hash = {value: draft for value, draft in self.by_hash.items() if id(draft) not in gone}
        for base in list(self.by_base):
            kept = [draft for draft in self.by_base[base] if id(draft) not in gone]
            if kept:
                self.by_base[base] = kept
            else:
                del self.by_base[base]
        return [assemble(draft, self.view.kinds, self.view.name) for draft in done]

    # ------------------------------------------------------------------- events
    def _take(self, glimpse: Glimpse) -> None:
        """Look at a whole event, with what was found in it."""
        event = glimpse.read()
        process = self.processes.of(glimpse)
        claimed: list[Draft] = []
        for finding in glimpse.findings:
            action = finding.action
            if action is None:
                continue
            if action.kind is ActionKind.VERIFY_HASH:
                after.checked(self, event, action, process)
            elif action.kind in (ActionKind.INGRESS, ActionKind.LATERAL):
                claimed.append(claims.claim(self, event, finding, process))
            elif action.kind is ActionKind.UPLOAD:
                after.sent(self, event, action, process)
            elif action.kind is ActionKind.BENIGN:
                pending.offer(self, event, finding, process)
        handler = _HANDLERS.get(event.kind)
        if handler is not None:
            handler(self, glimpse, event, process, claimed)

    def begin(self, draft: Draft) -> None:
        """Take in a new transfer."""
        self.drafts.append(draft)
        self.newest = max(self.newest, draft.time)

    def know(self, draft: Draft, path: str | None) -> None:
        """The transfer's content is (also) at this path."""
        key = paths.path_key(path)
        if not key:
            return
        draft.paths.add(key)
        self.by_path[key] = draft
        base = key.rsplit("/", 1)[-1]
        self.names.add(key, base)
        known = self.by_base.setdefault(base, [])
        if draft not in known:
            known.append(draft)
            del known[:-8]

    # ------------------------------------------------------- events that nothing was found in
    def skim_start(self, glimpse: Glimpse) -> None:
        """A program started: it may run what landed, or be the child of a loader."""
        processes = self.processes
        process = processes.start(glimpse)
        parent = process.parent
        if (
            parent is not None
            and parent.clear != processes.owners
            and processes.asked_lately(parent, 1, glimpse.time - _CARRY)  # it may be a loader
        ) or ((self.by_path or self.by_hash) and self.names.may_mean(self, glimpse, process)):
            after.started(self, glimpse.read(), process, [])
        if glimpse.sign:
            pending.shell_started(self, glimpse, process)

    def skim(self, glimpse: Glimpse) -> None:
        """Any event that nothing was found in."""
        _SKIMS[glimpse.kind](self, glimpse)

    def started_of_interest(self, glimpse: Glimpse, process: Process) -> None:
        """A program started that names what was brought in, or reads what a sibling brings."""
        after.started(self, glimpse.read(), process, [])
        if glimpse.sign:
            pending.shell_started(self, glimpse, process)

    def skim_typed(self, glimpse: Glimpse) -> None:
        """A typed line."""
        self.processes.acting(glimpse)
        if self.by_base:
            after.typed(self, glimpse.read(), [])

    def skim_connection(self, glimpse: Glimpse) -> None:
        """A connection."""
        processes, key = self.processes, glimpse.key
        process = processes.by_pid.get(glimpse.pid) if key is None else processes.by_key.get(key)
        if process is None or process.path is None:
            process = processes.acting(glimpse)
        if glimpse.sign:
            self._came_in(glimpse)
        elif process is not None:
            process.connected(glimpse)
            if process.clear != processes.owners and processes.asked_lately(process, 5, glimpse.time - _ATTACH):
                claims.connected(glimpse.read(), process)

    def _came_in(self, glimpse: Glimpse) -> None:
        self.inbound.append(glimpse)
        del self.inbound[:-INBOUND_KEPT]
        if glimpse.time <= self.newest + claims.RECEIVE_WINDOW:
            claims.inbound(self, glimpse.read())

    def skim_file(self, glimpse: Glimpse) -> None:
        """A file appeared, or its writing was prevented. Written out, as hardly anything is as frequent."""
        processes = self.processes
        key, path = glimpse.key, glimpse.path
        process = processes.by_pid.get(glimpse.pid) if key is None else processes.by_key.get(key)
        if process is None or process.path is None:
            process = processes.acting(glimpse)
        if path in self.by_path:
            self._appeared(glimpse, process, [])
        elif process is not None:
            if (
                process.clear != processes.owners
                or process.unpacks is not None
                or glimpse.time <= self.newest + _AGENT
                or (path is not None and path.endswith(COMPILED))
            ) and self._writes_for_somebody(process, glimpse):
                self._appeared(glimpse, process, [])
            elif glimpse.kind is _FILE_CREATE:
                files = process.files
                if files is None:
                    process.files = [glimpse]
                else:
                    files.append(glimpse)
                    if len(files) > MOST:
                        del files[:-RECENT]

    def _writes_for_somebody(self, process: Process, glimpse: Glimpse) -> bool:
        """Whether a process may write what it, one of its ancestors or somebody else asked for."""
        if process.unpacks is not None or self.processes.asked_lately(process, 4, glimpse.time - _CARRY):
            return True
        program = process.program
        if glimpse.time <= self.newest + _AGENT and program in self.roles.agents:
            return True
        return program in self.roles.web_workers

    def _appeared(self, glimpse: Glimpse, process: Process | None, claimed: list[Draft]) -> None:
        if process is not None and glimpse.kind is EventKind.FILE_CREATE:
            process.wrote(glimpse)
        blocked = glimpse.kind is EventKind.FILE_BLOCKED
        after.file_appeared(self, glimpse.read(), process, claimed, blocked=blocked)

    def skim_rename(self, glimpse: Glimpse) -> None:
        """A file got another name."""
        process = self.processes.acting(glimpse)
        if glimpse.path in self.by_path or (process is not None and process.has_drafts(3)):
            after.renamed(self, glimpse.read(), process)

    def skim_stream(self, glimpse: Glimpse) -> None:
        """A stream of a file."""
        self.processes.acting(glimpse)
        if glimpse.path in self.by_path:
            self.on_stream(glimpse, glimpse.read(), None, [])

    def skim_load(self, glimpse: Glimpse) -> None:
        """A library or module was loaded."""
        self.processes.acting(glimpse)
        if glimpse.path in self.by_path:
            self.on_load(glimpse, glimpse.read(), None, [])

    # ----------------------------------------------------------------- whole events
    def on_process(self, glimpse: Glimpse, event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """A program started: it may run, unpack, copy or check what landed, or be the child of a loader."""
        if process is not None:
            after.started(self, event, process, claimed)
            pending.shell_started(self, glimpse, process)

    def on_typed(self, _glimpse: Glimpse, event: Event, _process: Process | None, claimed: list[Draft]) -> None:
        """A typed line: it may run what an earlier one fetched."""
        after.typed(self, event, claimed)

    def on_connection(self, glimpse: Glimpse, event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """A connection: by the program that asked, by a child that carries for it, or an inbound one that may bring a file."""
        if glimpse.sign:
            self._came_in(glimpse)
        elif process is not None and not claimed:
            process.connected(glimpse)
            claims.connected(event, process)

    def on_file(self, glimpse: Glimpse, _event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """A file appeared, or its writing was prevented: it may be what somebody asked for."""
        self._appeared(glimpse, process, claimed)

    def on_rename(self, _glimpse: Glimpse, event: Event, process: Process | None, _claimed: list[Draft]) -> None:
        """A file got another name: the transfer is known under both."""
        after.renamed(self, event, process)

    def on_stream(self, _glimpse: Glimpse, event: Event, _process: Process | None, claimed: list[Draft]) -> None:
        """A stream of a file: its hash, or where the browser says it came from."""
        draft = self.by_path.get(paths.path_key(event.file_path))
        if draft is not None and draft not in claimed:
            draft.take_hashes(event)
            draft.see("landed", event, f"stream {event.target or ''} of {event.file_path}")

    def on_load(self, _glimpse: Glimpse, event: Event, _process: Process | None, _claimed: list[Draft]) -> None:
        """A library or module was loaded."""
        draft = self.by_path.get(paths.path_key(event.file_path))
        if draft is not None and draft.time <= event.time + 2_000_000:
            draft.see("run", event, f"{event.process_path or 'the kernel'} loaded {event.file_path}")

    def on_service(self, _glimpse: Glimpse, event: Event, _process: Process | None, _claimed: list[Draft]) -> None:
        """A service was installed: its program may be a transfer."""
        after.service(self, event)

    def on_detection(self, _glimpse: Glimpse, event: Event, _process: Process | None, claimed: list[Draft]) -> None:
        """Another product judged a file or a command line."""
        after.detected(self, event, claimed)


_Handler = Callable[[HostFold, Glimpse, Event, Process | None, list[Draft]], None]
_HANDLERS: dict[EventKind, _Handler] = {
    EventKind.PROCESS_START: HostFold.on_process,
    EventKind.SHELL_COMMAND: HostFold.on_typed,
    EventKind.CONNECTION: HostFold.on_connection,
    EventKind.FILE_CREATE: HostFold.on_file,
    EventKind.FILE_RENAME: HostFold.on_rename,
    EventKind.FILE_STREAM: HostFold.on_stream,
    EventKind.FILE_BLOCKED: HostFold.on_file,
    EventKind.IMAGE_LOAD: HostFold.on_load,
    EventKind.SERVICE_INSTALL: HostFold.on_service,
    EventKind.MALWARE_DETECTED: HostFold.on_detection,
}
_SKIMS: dict[EventKind, Callable[[HostFold, Glimpse], None]] = {
    EventKind.PROCESS_START: HostFold.skim_start,
    EventKind.SHELL_COMMAND: HostFold.skim_typed,
    EventKind.CONNECTION: HostFold.skim_connection,
    EventKind.FILE_CREATE: HostFold.skim_file,
    EventKind.FILE_RENAME: HostFold.skim_rename,
    EventKind.FILE_STREAM: HostFold.skim_stream,
    EventKind.FILE_BLOCKED: HostFold.skim_file,
    EventKind.IMAGE_LOAD: HostFold.skim_load,
}
"""What of an event with no finding is looked at first; those of other kinds are looked at whole."""
