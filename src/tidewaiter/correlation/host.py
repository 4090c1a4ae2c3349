"""The fold over one host's events in time order: step(events, watermark) -> transfers that can change no more.

Batch is one pass with the rows of a host and `finish`; a live engine calls `step` again and again on the same state. Missing
stages never prevent a transfer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidewaiter.catalog import roles
from tidewaiter.correlation import after, claims, pending
from tidewaiter.correlation.assemble import assemble
from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.processes import RECENT, Process, Processes
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
        self.inbound: list[Event] = []
        self.file_names: dict[str, Event] = {}  # recent files of services, by base name, for askers that come later
        self.roles = roles.load()
        self._swept = 0

    # ---------------------------------------------------------------- interface
    def step(self, rows: Sequence[tuple[Event, Sequence[Finding]]], watermark: int) -> list[Case]:
        """Take rows in time order; give up the transfers that no event after `watermark` can change.

        What is given up depends on the times alone, not on where the rows are cut: at every full SWEEP of log time.
        """
        done: list[Case] = []
        for event, findings in rows:
            if event.time // SWEEP > self._swept:
                done += self._sweep(event.time)
            self._take(event, findings)
        if watermark // SWEEP > self._swept:
            done += self._sweep(watermark)
        return done

    def _sweep(self, now: int) -> list[Case]:
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
    def _take(self, event: Event, findings: Iterable[Finding]) -> None:
        process = self.processes.of(event)
        claimed: list[Draft] = []
        for finding in findings:
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
            handler(self, event, process, claimed)

    def know(self, draft: Draft, path: str | None) -> None:
        """The transfer's content is (also) at this path."""
        key = paths.path_key(path)
        if not key:
            return
        draft.paths.add(key)
        self.by_path[key] = draft
        base = key.rsplit("/", 1)[-1]
        known = self.by_base.setdefault(base, [])
        if draft not in known:
            known.append(draft)
            del known[:-8]

    def on_process(self, event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """A program started: it may run, unpack, copy or check what landed, or be the child of a loader."""
        if process is not None:
            after.started(self, event, process, claimed)
            pending.shell_started(self, event, process)

    def on_typed(self, event: Event, _process: Process | None, claimed: list[Draft]) -> None:
        """A typed line: it may run what an earlier one fetched."""
        after.typed(self, event, claimed)

    def on_connection(self, event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """A connection: by the program that asked, by a child that carries for it, or an inbound one that may bring a file."""
        if event.initiated is False:
            self.inbound.append(event)
            del self.inbound[:-INBOUND_KEPT]
            claims.inbound(self, event)
            return
        if process is None or claimed:
            return
        process.connections.append(event)
        del process.connections[:-RECENT]
        claims.connected(event, process)

    def on_file(self, event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """A file appeared: it may be what somebody asked for."""
        if process is not None:
            process.files.append(event)
            del process.files[:-RECENT]
        after.file_appeared(self, event, process, claimed)

    def on_rename(self, event: Event, process: Process | None, _claimed: list[Draft]) -> None:
        """A file got another name: the transfer is known under both."""
        after.renamed(self, event, process)

    def on_stream(self, event: Event, _process: Process | None, claimed: list[Draft]) -> None:
        """A stream of a file: its hash, or where the browser says it came from."""
        draft = self.by_path.get(paths.path_key(event.file_path))
        if draft is not None and draft not in claimed:
            draft.take_hashes(event)
            draft.see("landed", event, f"stream {event.target or ''} of {event.file_path}")

    def on_load(self, event: Event, _process: Process | None, _claimed: list[Draft]) -> None:
        """A library or module was loaded."""
        draft = self.by_path.get(paths.path_key(event.file_path))
        if draft is not None and draft.time <= event.time + 2_000_000:
            draft.see("run", event, f"{event.process_path or 'the kernel'} loaded {event.file_path}")

    def on_service(self, event: Event, _process: Process | None, _claimed: list[Draft]) -> None:
        """A service was installed: its program may be a transfer."""
        after.service(self, event)

    def on_detection(self, event: Event, _process: Process | None, claimed: list[Draft]) -> None:
        """Another product judged a file or a command line."""
        after.detected(self, event, claimed)

    def on_blocked(self, event: Event, process: Process | None, claimed: list[Draft]) -> None:
        """The sensor prevented a write."""
        after.file_appeared(self, event, process, claimed, blocked=True)


_HANDLERS = {
    EventKind.PROCESS_START: HostFold.on_process,
    EventKind.SHELL_COMMAND: HostFold.on_typed,
    EventKind.CONNECTION: HostFold.on_connection,
    EventKind.FILE_CREATE: HostFold.on_file,
    EventKind.FILE_RENAME: HostFold.on_rename,
    EventKind.FILE_STREAM: HostFold.on_stream,
    EventKind.FILE_BLOCKED: HostFold.on_blocked,
    EventKind.IMAGE_LOAD: HostFold.on_load,
    EventKind.SERVICE_INSTALL: HostFold.on_service,
    EventKind.MALWARE_DETECTED: HostFold.on_detection,
}
