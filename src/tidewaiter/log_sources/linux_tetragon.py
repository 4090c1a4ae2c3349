"""Tetragon's events (JSON lines): process starts and ends, connections, flows when they close.

Format: the gRPC API of Tetragon (`GetEventsResponse`), as its JSON export writes it. The host is the node; which pod and
container a process is in is `extra`. `arguments` leave the program out; words with spaces are in double quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.formats.json_records import at, events_of_objects, head_objects, number_at, objects_at, text_at
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "linux_tetragon"

_CONNECTS = frozenset({"tcp_connect", "__sys_connect", "security_socket_connect"})


class Source:
    """Tetragon. See `log_source.StreamSource`."""

    title = "Tetragon"

    def __init__(self) -> None:
        self._times = IsoTimes()

    def recognise(self, head: bytes) -> str | None:
        """JSON objects with one process_... member that names its process by exec_id."""
        for value in head_objects(head):
            name = _kind(value)
            if name is not None and text_at(value, name, "process", "exec_id") and "time" in value:
                return f"JSON objects with {name[:40]} and exec_id"
            if name is None and "rate_limit_info" not in value:
                return None
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)

        def parse(value: dict[str, Any], number: str) -> Event | str | None:
            name = _kind(value)
            if name is None:
                return "no event of a process"
            time = self._times.read(text_at(value, "time") or "")
            about = value[name]
            if time is None or not isinstance(about, dict):
                return None
            fill = _FILLERS.get(name)
            if fill is None:
                return f"{name[:40]}: not used"
            event = Event(kind=EventKind.PROCESS_START, time=time, log_source=NAME, log_file=opened.log_file, record=number)
            event.host = text_at(value, "node_name")
            _process(event, about)
            problem = fill(event, about)
            return event if problem is None else problem

        yield from events_of_objects(opened, account, parse, "Tetragon")


def _kind(value: dict[str, Any]) -> str | None:
    return next((name for name in value if name.startswith("process_")), None)


def _process(event: Event, about: dict[str, Any]) -> None:
    process = at(about, "process")
    event.process_key, event.pid = text_at(process, "exec_id"), number_at(process, "pid")
    event.process_path, event.cwd = text_at(process, "binary"), text_at(process, "cwd")
    event.parent_key, event.parent_pid = text_at(process, "parent_exec_id"), number_at(about, "parent", "pid")
    event.parent_path, event.parent_command_line = text_at(about, "parent", "binary"), _command(at(about, "parent"))
    extra = {
        "uid": number_at(process, "uid"),
        "namespace": text_at(process, "pod", "namespace"),
        "pod": text_at(process, "pod", "name"),
        "container": text_at(process, "pod", "container", "id"),
        "image": text_at(process, "pod", "container", "image", "name"),
    }
    event.extra = {name: value for name, value in extra.items() if value is not None} or None


def _command(process: Any) -> str | None:
    binary, arguments = text_at(process, "binary"), text_at(process, "arguments")
    return f"{binary} {arguments}" if binary and arguments else binary


def _exec(event: Event, about: dict[str, Any]) -> str | None:
    event.command_line = _command(at(about, "process"))
    return None if event.process_path else "process without a program"


def _exit(event: Event, about: dict[str, Any]) -> str | None:
    event.kind = EventKind.PROCESS_END
    event.exit_code = number_at(about, "status") or 0
    return None


def _ends(event: Event, about: dict[str, Any]) -> str | None:
    """The endpoints of a connection that the process opened."""
    event.src_ip, event.src_port = text_at(about, "source_ip"), number_at(about, "source_port")
    event.dst_ip, event.dst_port = text_at(about, "destination_ip"), number_at(about, "destination_port")
    event.transport = (text_at(about, "protocol") or "").lower() or None
    return None if event.src_ip or event.dst_ip else "connection without endpoints"


def _connect(event: Event, about: dict[str, Any]) -> str | None:
    event.kind, event.initiated = EventKind.CONNECTION, True
    return _ends(event, about)


def _close(event: Event, about: dict[str, Any]) -> str | None:
    event.kind = EventKind.FLOW
    event.bytes_out = number_at(about, "stats", "bytes_sent") or 0
    event.bytes_in = number_at(about, "stats", "bytes_received") or 0
    return _ends(event, about)


def _kprobe(event: Event, about: dict[str, Any]) -> str | None:
    function = text_at(about, "function_name") or ""
    if function not in _CONNECTS:
        return f"kprobe {function[:60]}: not used"
    for argument in objects_at(about, "args"):
        socket = argument.get("sock_arg") or argument.get("sockaddr_arg")
        if isinstance(socket, dict):
            event.kind, event.initiated = EventKind.CONNECTION, True
            event.src_ip, event.src_port = text_at(socket, "saddr"), number_at(socket, "sport")
            event.dst_ip = text_at(socket, "daddr") or text_at(socket, "addr")
            event.dst_port = number_at(socket, "dport") or number_at(socket, "port")
            event.transport = (text_at(socket, "protocol") or "").lower().removeprefix("ipproto_") or None
            return None if event.dst_ip else "connection without endpoints"
    return "kprobe without a socket"


def _dns(event: Event, about: dict[str, Any]) -> str | None:
    names = at(about, "dns", "names")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        return "question without a name"
    event.kind, event.query, event.protocol = EventKind.DNS_QUERY, names[0], "dns"
    answers = at(about, "dns", "ips")
    if isinstance(answers, list):
        event.answers = tuple(item for item in answers[:200] if isinstance(item, str)) or None
    return None


_FILLERS: dict[str, Callable[[Event, dict[str, Any]], str | None]] = {
    "process_exec": _exec,
    "process_exit": _exit,
    "process_connect": _connect,
    "process_close": _close,
    "process_kprobe": _kprobe,
    "process_dns": _dns,
}
