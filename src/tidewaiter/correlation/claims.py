"""Findings become transfers: a new one, or more evidence for one that is already there. A wrong join is worse than none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidewaiter.catalog.roles import load, program_name
from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.passed import recall
from tidewaiter.correlation.processes import Process
from tidewaiter.reading import paths
from tidewaiter.reading.flow import RUN_LATER
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostFold

SECOND = 1_000_000
LINEAGE_WINDOW = 180 * SECOND
"""Parent and child say the same thing within this time."""
SENSOR_WINDOW = 90 * SECOND
"""Two sensors report one command within this time, where no process ties them."""
JOB_WINDOW = 3_600 * SECOND
"""A service's job belongs to the command that asked for it within this time."""
ATTACH_WINDOW = 1_800 * SECOND
"""A connection belongs to the command of its process for so long."""
RECEIVE_WINDOW = 15 * SECOND
"""An inbound connection and the file it brings."""
HISTORY_WINDOW = 20 * SECOND
"""A shell history notes the second in which a line was entered."""
SAME_FILE_WINDOW = 30 * SECOND

_JOINABLE_LATE = frozenset({EventKind.JOB, EventKind.FILE_STREAM, EventKind.DOWNLOAD})
_REPEATED = frozenset({EventKind.SCRIPT, EventKind.SCRIPT_CALL, EventKind.MALWARE_DETECTED})
"""Records that come several times for one act."""


def claim(fold: HostFold, event: Event, finding: Finding, process: Process | None) -> Draft:
    """The transfer that a finding belongs to; a new one where none fits."""
    action = finding.action
    if action is None:
        raise ValueError("a claim needs an action")
    draft = _existing(fold, event, action, process)
    if draft is None:
        draft = Draft(
            fold.host,
            event.time,
            action,
            process,
            finding.analytic,
            user=event.user or (process.told.user if process else None),
        )
        draft.add_urls(action.urls)
        fold.begin(draft)
        draft.see(finding.stage, event, summary(event))
        _look_back(fold, draft, process)
        for glimpse in reversed(fold.inbound):
            if abs(glimpse.time - draft.time) <= RECEIVE_WINDOW and received(fold, draft, glimpse.read()):
                break
    else:
        draft.see(finding.stage, event, summary(event))
        known = draft.process
        _strengthen(draft, action, process, finding)
        kinds = {kind for _, kind in draft.sources}
        if kinds == {"shell_command", event.kind.value} and len(kinds) == len(draft.evidence):
            draft.time = event.time  # a history notes only the second
            fold.newest = max(fold.newest, draft.time)
        if draft.process is not known:
            _look_back(fold, draft, draft.process)
    if process is not None:
        fold.processes.own(process, draft)
    _fill(draft, event, finding, action)
    if action.dest:
        fold.know(draft, paths.resolve(action.dest, event.cwd or (process.told.cwd if process else None)))
    if (action.runs or RUN_LATER in action.notes) and draft.outcome not in ("blocked", "failed"):
        draft.see("run", event, summary(event))
    return draft


def summary(event: Event) -> str:
    """One line about an event for people."""
    text = (
        event.command_line
        or event.content
        or event.url
        or event.file_path
        or event.target
        or event.dst_host
        or event.dst_ip
        or ""
    )
    text = " ".join(text.split())
    return f"{event.kind.value}: {text}"[:400]


def _fill(draft: Draft, event: Event, finding: Finding, action: Action) -> None:
    for reason in finding.reasons:
        draft.mark(reason, finding.note)
    draft.notes.update(action.notes)
    draft.user = draft.user or event.user
    if event.kind in (
        EventKind.FILE_CREATE,
        EventKind.FILE_STREAM,
        EventKind.DOWNLOAD,
        EventKind.SHARE_ACCESS,
        EventKind.FILE_BLOCKED,
    ):
        draft.take_hashes(event)
        draft.landed = draft.landed or event.file_path
    if event.src_ip and event.kind in (EventKind.SHARE_ACCESS, EventKind.FILE_CREATE):
        draft.src_ip = draft.src_ip or event.src_ip
    if event.outcome in ("completed", "failed", "blocked", "partial", "cancelled", "interrupted"):
        draft.outcome = "failed" if event.outcome in ("cancelled", "interrupted") else event.outcome
    if event.kind is EventKind.JOB:
        draft.size = draft.size if draft.size is not None else event.file_size
        if event.file_size and event.bytes_in is not None and event.bytes_in < event.file_size and event.outcome != "started":
            draft.outcome = "partial"
    if event.kind is EventKind.MALWARE_DETECTED:
        draft.mark("detected", event.target or "")


def _existing(fold: HostFold, event: Event, action: Action, process: Process | None) -> Draft | None:
    wanted = paths.url_keys(action.urls)
    lineage = set(map(id, process.lineage())) if process is not None else set()
    for draft in reversed(fold.drafts[-400:]):
        distance = abs(event.time - draft.last)
        if distance > JOB_WINDOW and event.time:
            continue
        shared = bool(wanted & draft.url_keys)
        if shared and _ties(draft, event, process, lineage, distance):
            return draft
        if not wanted or not draft.url_keys:
            if _same_landing(draft, event, action, process, lineage, distance):
                return draft
        elif not shared and _refines(draft, action, process, lineage, distance):
            return draft
    return None


def _ties(draft: Draft, event: Event, process: Process | None, lineage: set[int], distance: int) -> bool:
    """Whether two mentions of one URL are one act."""
    if process is not None and draft.process is not None:
        related = id(draft.process) in lineage or process in draft.process.lineage()
        if related and (process is draft.process or "shell_socket" not in draft.marks):
            return distance <= LINEAGE_WINDOW
        if event.kind is EventKind.PROCESS_START and ("process_start" in {kind for _, kind in draft.sources}):
            return False
    kinds = {kind for _, kind in draft.sources}
    if event.kind is EventKind.SHELL_COMMAND or only_typed(draft):
        return distance <= HISTORY_WINDOW and not (event.kind is EventKind.SHELL_COMMAND and "shell_command" in kinds)
    if event.kind in _JOINABLE_LATE or kinds & {"job", "file_stream"}:
        return distance <= JOB_WINDOW
    if (event.log_source, event.kind.value) in draft.sources:
        return event.kind in _REPEATED and distance <= HISTORY_WINDOW
    return distance <= SENSOR_WINDOW


def only_typed(draft: Draft) -> bool:
    """Whether a line of a shell history tells it and no process is tied to it yet."""
    return draft.process is None and any(kind == "shell_command" for _, kind in draft.sources)


def _same_landing(
    draft: Draft, event: Event, action: Action, process: Process | None, lineage: set[int], distance: int
) -> bool:
    """Findings without a URL join by the path that they write, close in time."""
    path = event.file_path or action.dest
    if only_typed(draft) and event.kind is EventKind.PROCESS_START and not action.urls and not draft.url_keys:
        return distance <= HISTORY_WINDOW and draft.action.utility == action.utility and draft.action.dest == action.dest
    if not path:
        related = process is not None and draft.process is not None and id(draft.process) in lineage
        return (
            related
            and distance <= LINEAGE_WINDOW
            and draft.action.utility == action.utility
            and not draft.url_keys
            and not draft.landed
        )
    if event.kind in (EventKind.FILE_CREATE, EventKind.FILE_BLOCKED, EventKind.SHARE_ACCESS, EventKind.FILE_STREAM):
        if distance > SAME_FILE_WINDOW:
            return False
        if paths.path_key(path) in draft.paths:
            return True
        if event.kind is EventKind.SHARE_ACCESS or draft.analytic == "share_write":
            left, right = paths.path_key(path), paths.path_key(draft.landed or draft.action.dest)
            return bool(left and right) and (left.endswith(right) or right.endswith(left) or _share_tail(left, right))
        return False
    related = process is not None and draft.process is not None and id(draft.process) in lineage
    return related and distance <= LINEAGE_WINDOW and paths.same_path(action.dest, draft.dest)


def _share_tail(left: str, right: str) -> bool:
    """ADMIN$ is \\Windows and C$ is C:\\: compare what is behind."""
    left = left.split(":", 1)[-1].removeprefix("/windows").lstrip("/")
    right = right.split(":", 1)[-1].removeprefix("/windows").lstrip("/")
    return left == right and bool(left)


def _refines(draft: Draft, action: Action, process: Process | None, lineage: set[int], distance: int) -> bool:
    """A child that spells the source otherwise (`ssh` under `scp`) but writes the same file is the same act."""
    if process is None or draft.process is None or id(draft.process) not in lineage or process is draft.process:
        return False
    return distance <= LINEAGE_WINDOW and bool(action.dest) and paths.same_path(action.dest, draft.dest)


def _strengthen(draft: Draft, action: Action, process: Process | None, finding: Finding) -> None:
    draft.add_urls(action.urls)
    before = draft.action
    if before.techniques and before.kind is action.kind and finding.analytic != "command_execution":
        known = dict.fromkeys((*before.techniques, *action.techniques))
        action = msgspec.structs.replace(action, techniques=tuple(known))
    if before.runs and not action.runs and before.kind is action.kind:
        action = msgspec.structs.replace(action, runs=True)  # the shell around it hands the content on
    if process is not None and (draft.process is None or draft.process in process.lineage()[1:]):
        draft.process = process  # the child is the one that carries
        if before.dest is None or action.dest is not None or finding.analytic == "command_execution":
            draft.action = action if action.dest or not before.dest else before
    elif before.dest is None and action.dest is not None:
        draft.action = action
    if finding.analytic == "command_execution" and draft.analytic != "command_execution":
        draft.action, draft.analytic = action, finding.analytic
        draft.process = process or draft.process


def _look_back(fold: HostFold, draft: Draft, process: Process | None) -> None:
    """What the process did just before it was understood: connections, and files opened by the shell before the exec."""
    if process is None:
        return
    recall(fold, process)
    for glimpse in process.recent_connections:
        if abs(glimpse.time - draft.time) < ATTACH_WINDOW:
            attach_connection(draft, glimpse.read())
    from tidewaiter.correlation import after

    for owner in (process, process.previous):
        for glimpse in owner.recent_files if owner is not None else ():
            if draft.time - 3 * SECOND <= glimpse.time:
                after.adopt(fold, draft, glimpse.read(), owner)


def connected(event: Event, process: Process) -> None:
    """Attach a connection to the transfers of its process or of those that started it."""
    for owner in process.lineage(5):
        for draft in reversed((owner.drafts or ())[-8:]):
            if owner is not process and "shell_socket" in draft.marks:
                continue  # what a shell starts connects for itself
            if draft.time - 5 * SECOND <= event.time <= draft.time + ATTACH_WINDOW and attach_connection(draft, event):
                return


def attach_connection(draft: Draft, event: Event) -> bool:
    """Attach where endpoint and port agree with the source, as far as both are known. True when it is taken."""
    if draft.action.kind is ActionKind.LATERAL and draft.analytic != "command_execution":
        return False
    if event.dst_port in (53, 5353, 137, 5355) and not any(f":{event.dst_port}" in url for url in draft.urls):
        return False
    protocol = load().protocols.get(draft.action.utility)
    hosts = [paths.endpoint(url, protocol) for url in draft.urls]
    ports = {port for _, port in hosts if port is not None}
    addresses = {host for host, _ in hosts if paths.is_address(host)}
    if ports and event.dst_port is not None and event.dst_port not in ports and not addresses & {event.dst_ip}:
        return False
    if addresses and len(addresses) == len(hosts) and event.dst_ip not in addresses:
        return False
    draft.see("connected", event, f"connection to {event.dst_host or event.dst_ip}:{event.dst_port}")
    draft.src_ip = draft.src_ip or event.dst_ip
    if not ports or event.dst_port in ports:
        draft.src_port = draft.src_port or event.dst_port
    draft.src_host = draft.src_host or event.dst_host
    if event.outcome == "refused" and draft.outcome is None:
        draft.outcome = "failed"
    return True


def inbound(fold: HostFold, event: Event) -> None:
    """An inbound connection logged after the file that it brought."""
    for draft in reversed(fold.drafts[-20:]):
        received(fold, draft, event)


def received(fold: HostFold, draft: Draft, event: Event) -> bool:
    """Attach an inbound connection to a received file, where time and port, or the listening program, fit what received it."""
    if draft.analytic not in ("file_from_network", "share_write") or abs(event.time - draft.time) > RECEIVE_WINDOW:
        return False
    utility = draft.action.utility
    ports = fold.roles.receiver_ports.get(utility)
    if ports is None or (draft.src_ip is not None and draft.src_ip != event.src_ip):
        return False
    if event.dst_port is None:  # auditd's accept names the other side only
        listener = program_name(event.process_path or event.process_name)
        if listener not in (utility, *fold.roles.receiver_listeners.get(utility, ())):
            return False
    elif event.dst_port not in ports:
        return False
    draft.see("connected", event, f"inbound connection from {event.src_host or event.src_ip}")
    draft.src_ip, draft.src_host = event.src_ip, draft.src_host or event.src_host
    return True
