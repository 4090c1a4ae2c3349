"""Alerts and telemetry of Jamf Protect (JSON, pretty-printed or a line each).

Format: the schemas and samples in github.com/jamf/jamfprotect. An alert holds `host`, `match` and `related` (or all of them in
`input`): downloads, process starts, file events, whose types are those of macOS's fsevents.h. Telemetry is an audit event
(`header.event_name` AUE_...). The device is the Mac.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tidewaiter.formats.json_records import at, events_of_objects, head_objects, number_at, objects_at, text_at
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "macos_jamf"

_CREATED, _DELETED, _RENAMED, _MODIFIED = 0, 1, 3, 4
_FILE_KINDS = {
    _CREATED: EventKind.FILE_CREATE,
    _DELETED: EventKind.FILE_DELETE,
    _RENAMED: EventKind.FILE_RENAME,
    _MODIFIED: EventKind.FILE_CREATE,
}
_PROCESS_STARTED = 1
_EXECUTIONS = frozenset({"AUE_EXECVE", "AUE_POSIX_SPAWN", "AUE_MAC_EXECVE"})


class Source:
    """Jamf Protect. See `log_source.StreamSource`."""

    title = "Jamf Protect"

    def recognise(self, head: bytes) -> str | None:
        """JSON objects with Jamf's host and event type, or an audit event with its host information."""
        for value in head_objects(head, 5):
            alert = _alert(value)
            kind = text_at(alert, "eventType") or text_at(value, "header", "event_name")
            if kind is None:
                return None
            if kind.startswith("GP") and isinstance(at(alert, "match", "event"), dict):
                return f"JSON objects of Jamf's {kind[:40]}"
            if kind.startswith("AUE_") and isinstance(at(value, "host_info"), dict):
                return f"JSON objects of audit event {kind[:40]} with host_info"
            return None
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)

        def parse(value: dict[str, Any], number: str) -> Event | str | None:
            if "header" in value:
                return _audit(value, opened.log_file, number)
            return _match(_alert(value), opened.log_file, number)

        yield from events_of_objects(opened, account, parse, "Jamf Protect")


def _alert(value: dict[str, Any]) -> dict[str, Any]:
    inner = value.get("input")
    return inner if isinstance(inner, dict) else value


def _event(kind: EventKind, time: int, log_file: str, number: str) -> Event:
    return Event(kind=kind, time=time, log_source=NAME, log_file=log_file, record=number)


def _seconds(value: Any) -> int | None:
    """Seconds since 1970 as microseconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 1e11:
        return None
    return round(value * 1_000_000)


def _match(alert: dict[str, Any], log_file: str, number: str) -> Event | str | None:
    kind = text_at(alert, "eventType") or ""
    match = at(alert, "match", "event")
    time = _seconds(at(match, "timestamp"))
    if not isinstance(match, dict) or time is None:
        return None
    if kind == "GPDownloadEvent":
        event: Event | str = _download(alert, match, _event(EventKind.DOWNLOAD, time, log_file, number))
    elif kind == "GPProcessEvent":
        event = _process(alert, match, _event(EventKind.PROCESS_START, time, log_file, number))
    elif kind == "GPFSEvent":
        file_kind = _FILE_KINDS.get(number_at(match, "type") or 0)
        if file_kind is None:
            return "other file event"
        event = _file(alert, match, _event(file_kind, time, log_file, number))
    else:
        return f"{kind[:40] or 'event of no type'}: not used"
    if isinstance(event, Event):
        event.host = text_at(alert, "host", "hostname")
        addresses = at(alert, "host", "ips")
        event.host_ip = addresses[0] if isinstance(addresses, list) and addresses and isinstance(addresses[0], str) else None
    return event


def _user(alert: dict[str, Any], uid: int | None) -> str | None:
    for user in objects_at(alert, "related", "users"):
        if uid is None or user.get("uid") == uid:
            return text_at(user, "name")
    return None


def _about_file(event: Event, alert: dict[str, Any], path: str | None) -> dict[str, Any]:
    """Fill in what the alert says of the file at this path; gives that description back."""
    event.file_path = path
    for file in objects_at(alert, "related", "files"):
        if path is None or file.get("path") == path:
            event.file_path = text_at(file, "path")
            event.file_size = number_at(file, "size")
            event.sha256, event.sha1 = text_at(file, "sha256hex"), text_at(file, "sha1hex")
            event.file_created = _seconds(at(file, "created"))
            return file
    return {}


def _download(alert: dict[str, Any], match: dict[str, Any], event: Event) -> Event:
    file = _about_file(event, alert, text_at(match, "path"))
    event.user = _user(alert, number_at(file, "uid"))
    origins = [item for item in at(file, "downloadedFrom") or [] if isinstance(item, str)]
    event.url = origins[0] if origins else None
    event.referrer = origins[1] if len(origins) > 1 else None  # kMDItemWhereFroms: the file, then the page
    event.outcome = "completed"
    return event


def _process(alert: dict[str, Any], match: dict[str, Any], event: Event) -> Event | str:
    if number_at(match, "type") != _PROCESS_STARTED:
        return "other process event"
    _acting(event, alert, number_at(match, "pid"))
    return event if event.process_path else "process event without its process"


def _acting(event: Event, alert: dict[str, Any], pid: int | None) -> None:
    """Fill in the process of this id and its parent, as far as the alert tells of them."""
    processes = objects_at(alert, "related", "processes")
    by_pid = {process.get("pid"): process for process in reversed(processes)}
    event.pid = pid
    process = by_pid.get(pid)
    if process is None:
        return
    event.process_key, event.process_path = text_at(process, "uuid"), text_at(process, "path")
    event.process_name = text_at(process, "name")
    event.argv = _arguments(process)
    event.user = _user(alert, number_at(process, "uid"))
    event.parent_pid = number_at(process, "ppid")
    parent = by_pid.get(event.parent_pid)
    if parent is not None:
        event.parent_key, event.parent_path = text_at(parent, "uuid"), text_at(parent, "path")
        event.parent_command_line = " ".join(_arguments(parent) or ()) or None


def _arguments(process: dict[str, Any]) -> tuple[str, ...] | None:
    arguments = process.get("args")
    found = tuple(item for item in arguments[:2_000] if isinstance(item, str)) if isinstance(arguments, list) else ()
    return found or None


def _file(alert: dict[str, Any], match: dict[str, Any], event: Event) -> Event | str:
    path = text_at(match, "path")
    if path is None:
        return "file event without a path"
    _acting(event, alert, number_at(match, "pid"))
    event.argv = None  # the arguments of who wrote it are those of a start that is another event
    _about_file(event, alert, path)
    event.file_old_path = text_at(match, "prevFile")
    return event


def _audit(value: dict[str, Any], log_file: str, number: str) -> Event | str | None:
    name = text_at(value, "header", "event_name") or ""
    seconds = number_at(value, "header", "time_seconds_epoch")
    if seconds is None or not 0 <= seconds < 1 << 34:
        return None
    if name not in _EXECUTIONS:
        return f"{name[:40]}: not used"
    if number_at(value, "return", "error"):
        return "execution that failed"
    event = _event(EventKind.PROCESS_START, seconds * 1_000_000, log_file, number)
    event.time += min(number_at(value, "header", "time_milliseconds_offset") or 0, 999) * 1_000
    event.host = text_at(value, "host_info", "host_name")
    event.user = text_at(value, "subject", "effective_user_name")
    event.session = str(number_at(value, "subject", "session_id") or "") or None
    event.pid = number_at(value, "subject", "process_id")
    paths = at(value, "path")
    first = paths[-1] if isinstance(paths, list) and paths and isinstance(paths[-1], str) else None
    event.process_path = first or text_at(value, "subject", "process_name")
    arguments = at(value, "exec_args", "args")
    if isinstance(arguments, dict):
        numbered = sorted((int(key), item) for key, item in arguments.items() if key.isdecimal() and isinstance(item, str))
        event.argv = tuple(item for _, item in numbered) or None
    event.parent_path = text_at(value, "exec_chain_child", "parent_path")
    event.parent_pid = number_at(value, "exec_chain_child", "parent_pid")
    return event if event.process_path else None
