"""Santa's log (santa.log): executions and file changes on macOS, `[time] I santad: action=...|key=value|...`.

Format: Santa's documentation, "Logs". A bar inside a value is written `<pipe>`, a line break `\\n`. An execution that Santa
denied is an alert, not a start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats.access_lines import count
from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "macos_santa"

_LINE = re.compile(r"\[(\d{4}-\d\d-\d\dT[\d:.]{8,15}Z)\] \w santad?: (action=.*)", re.DOTALL)
_MESSAGE = re.compile(r"\[\d{4}-\d\d-\d\dT[\d:.]{8,15}Z\] ")
_FILE_KINDS = {
    "WRITE": EventKind.FILE_CREATE,
    "RENAME": EventKind.FILE_RENAME,
    "DELETE": EventKind.FILE_DELETE,
    "LINK": EventKind.FILE_CREATE,
    "CLONE": EventKind.FILE_CREATE,
    "COPYFILE": EventKind.FILE_CREATE,
}


class Source:
    """Santa. See `log_source.StreamSource`."""

    title = "Santa"

    def __init__(self) -> None:
        self._times = IsoTimes()

    def recognise(self, head: bytes) -> str | None:
        """Lines of santad with an action."""
        return "lines of santad: action=..." if any(map(_LINE.match, head_lines(head, 20))) else None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)

        def parse(line: str, number: str) -> Event | str | None:
            found = _LINE.match(line)
            time = self._times.read(found[1]) if found is not None else None
            if found is None and _MESSAGE.match(line):
                return "other message"
            if found is None or time is None:
                return None
            pairs = (pair.partition("=") for pair in found[2].split("|"))
            return _event({key: _plain(value) for key, _, value in pairs}, time, opened.log_file, number)

        yield from events_of_lines(opened, account, parse, "Santa")


def _plain(value: str) -> str:
    return value.replace("<pipe>", "|").replace("\\n", "\n") if "<" in value or "\\" in value else value


def _event(row: dict[str, str], time: int, log_file: str, number: str) -> Event | str:
    action, get = row.get("action", ""), row.get
    event = Event(
        kind=_FILE_KINDS.get(action, EventKind.PROCESS_START),
        time=time,
        log_source=NAME,
        log_file=log_file,
        record=number,
        user=get("user"),
        pid=count(get("pid")),
        parent_pid=count(get("ppid")),
        extra={"machine_id": row["machineid"]} if get("machineid") else None,
    )
    if action in _FILE_KINDS:
        path, new = get("path"), get("newpath") or get("target") or get("destpath")
        event.file_path, event.file_old_path = (new, path) if new else (path, None)
        event.process_name, event.process_path = get("process"), _known(get("processpath"))
        return event if event.file_path else "file change without a path"
    if action != "EXEC":
        return f"action {action[:40]}: not used"
    if get("decision") != "ALLOW":
        event.kind, event.service, event.target = EventKind.ALERT, "Santa", get("path")
        event.sha256, event.outcome, event.command_line = get("sha256"), "blocked", get("args")
        return event
    event.process_path, event.command_line = get("path"), get("args") or get("path")
    event.sha256, event.url = get("sha256"), get("quarantine_url")
    return event if event.process_path else "execution without a path"


def _known(value: str | None) -> str | None:
    return None if value == "(null)" else value
