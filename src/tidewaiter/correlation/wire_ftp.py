"""FTP and TFTP: commands on one connection, content on another, joined by name and by the sensor's file ids."""

from __future__ import annotations

from dataclasses import dataclass

from tidewaiter.catalog import wire
from tidewaiter.correlation.wire_flow import Flow, new_carried
from tidewaiter.correlation.wire_http import content_summary, take_content
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event

SECOND = 1_000_000
COMMAND_WINDOW = 1_800 * SECOND
COMMANDS_KEPT = 20_000


@dataclass(eq=False)
class Command:
    """One command that names a file, and whether its content was found."""

    event: Event
    flow: Flow
    used: bool = False
    data: Event | None = None  # the record of the data connection

    @property
    def pull(self) -> bool:
        """Whether the client gets the file."""
        return self.event.method in wire.load().ftp_pull

    @property
    def accepted(self) -> bool | None:
        """Whether the server took the command; None where no reply was seen."""
        codes = [str(code) for code in (self.event.extra or {}).get("completion_codes") or ()]
        if self.event.status is not None:
            codes.append(str(self.event.status))
        if not codes:
            return None
        return not any(code[:1] in ("4", "5") for code in codes)


def base_name(path: str | None) -> str:
    """Last part of a path as FTP clients spell it."""
    return (path or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def command_for(commands: list[Command], file: Event) -> Command | None:
    """The command that asked for a file: by the sensor's file id, else the same name, nearest in time and not yet used."""
    if file.file_id is not None:
        for command in commands:
            if command.event.file_id == file.file_id and command.event.log_source == file.log_source:
                return command
    wanted = file.method
    fits = [
        command
        for command in commands
        if not command.used
        and abs(command.event.time - file.time) <= COMMAND_WINDOW
        and (not file.file_path or base_name(command.event.file_path) == base_name(file.file_path))
        and (wanted is None or wanted == command.event.method)
        and (file.file_path or command.event.log_source == file.log_source)
    ]
    return min(fits, key=lambda command: abs(command.event.time - file.time), default=None)


def of_file(file: Event, flow: Flow, command: Command | None) -> Carried:
    """A file on a data connection, with the command that asked for it."""
    push = _pushed(file, command)
    carried = new_carried(file, flow, push=push)
    carried.protocol = "ftp"
    take_content(carried, file)
    carried.name = file.file_path
    if command is not None:
        event = command.event
        command.used = True
        carried.user = carried.user or event.user
        carried.name = event.file_path or event.query or carried.name
        carried.cite(event, command_summary(event), "connected")
        if command.accepted is False:
            carried.notes += ("the server's reply does not say that it was all sent",)
        # the control connection tells who is the client; in active mode the server opens the data connection
        carried.client_ip, carried.server_ip = event.src_ip, event.dst_ip
        carried.server_port = event.dst_port
        carried.push = not command.pull
        carried.time = min(carried.time, event.time)
    carried.cite(file, content_summary(carried, file), "carried", *(() if command else ("connected",)))
    _place(carried)
    return carried


def _pushed(file: Event, command: Command | None) -> bool:
    if command is not None:
        return not command.pull
    if file.method in wire.load().ftp_push:
        return True
    if file.method in wire.load().ftp_pull:
        return False
    return bool((file.extra or {}).get("is_orig"))


def of_command(command: Command) -> Carried:
    """A command whose content no sensor shows: what the replies say is all there is."""
    event = command.event
    carried = new_carried(event, command.flow, push=not command.pull)
    carried.protocol, carried.shown = "ftp", "control"
    carried.name = event.file_path or event.query
    carried.size = event.file_size
    carried.content_type = event.file_type
    accepted = command.accepted
    carried.outcome = "failed" if accepted is False else "completed" if _finished(event) else "attempted"
    carried.notes += ("only the command and its replies were seen, not the content",)
    stages = ("commanded", "connected", "carried") if carried.outcome == "completed" else ("commanded", "connected")
    carried.cite(event, command_summary(event), *stages)
    if command.data is not None:
        carried.cite(command.data, f"FTP data connection for {command.data.file_path}", "connected")
    _place(carried)
    return carried


def _finished(event: Event) -> bool:
    codes = {str(code) for code in (event.extra or {}).get("completion_codes") or ()} | {str(event.status)}
    return bool(codes & {"226", "250"}) or event.outcome == "completed"


def _place(carried: Carried) -> None:
    """The URL of what the client got."""
    if carried.name is None:
        return
    server = carried.server_ip or carried.server_name
    if server is not None and not carried.push:
        server = f"[{server}]" if ":" in server else server
        port = "" if carried.server_port in (21, None) else f":{carried.server_port}"
        carried.url = f"ftp://{server}{port}/{carried.name.lstrip('/')}"


def command_summary(event: Event) -> str:
    """A command and its replies in words."""
    codes = (event.extra or {}).get("completion_codes") or ([event.status] if event.status is not None else [])
    replies = f", replies {' '.join(map(str, codes))}" if codes else ", no reply seen"
    return f"FTP {event.method} {event.file_path or event.query or ''}{replies}"


def request_for(requests: list[Event], file: Event) -> Event | None:
    """The TFTP request that the file answers: the blocks come from another port of the server to the port that asked."""
    ends = {(file.src_ip, file.src_port), (file.dst_ip, file.dst_port)}
    fits = [
        one
        for one in requests
        if (one.src_ip, one.src_port) in ends and base_name(one.file_path) == base_name(file.file_path or one.file_path)
    ]
    return min(fits, key=lambda one: abs(one.time - file.time), default=None)


def of_block_file(file: Event, flow: Flow, asked: Event | None) -> Carried:
    """A file that TFTP carried, with its request; the port of the blocks says nothing, the request's does."""
    if asked is None:
        carried = new_carried(file, flow, push=bool((file.extra or {}).get("is_orig")))
        carried.server_port = None
    else:
        carried = new_carried(asked, flow, push=_writes(asked))
        carried.time = min(asked.time, file.time)
        carried.cite(asked, f"TFTP {asked.method} {asked.file_path}", "commanded", "connected")
    carried.protocol = "tftp"
    take_content(carried, file)
    carried.name = file.file_path or (asked.file_path if asked is not None else None)
    carried.cite(file, content_summary(carried, file), "carried", *(() if asked is not None else ("connected",)))
    _place_tftp(carried)
    return carried


def _writes(request: Event) -> bool:
    return (request.method or "").lower() in ("write", "wrq")


def _place_tftp(carried: Carried) -> None:
    """The URL of what the client got."""
    if carried.name and not carried.push and carried.server_ip:
        server = f"[{carried.server_ip}]" if ":" in carried.server_ip else carried.server_ip
        carried.url = f"tftp://{server}/{carried.name.lstrip('/')}"


def of_request(event: Event, flow: Flow, answer: Event | None) -> Carried:
    """A TFTP request; `answer` is the flow back to the client's port that carried the blocks."""
    carried = new_carried(event, flow, push=_writes(event))
    carried.protocol, carried.name, carried.shown = "tftp", event.file_path, "control"
    _place_tftp(carried)
    carried.cite(event, f"TFTP {event.method} {event.file_path}", "commanded", "connected")
    carried.outcome = "attempted"
    if answer is not None:
        carried.outcome, carried.shown = "completed", "flow"
        carried.size = None
        carried.flow_out, carried.flow_in = answer.bytes_in, answer.bytes_out
        carried.cite(answer, f"blocks from {answer.src_ip}:{answer.src_port}, {answer.bytes_out} bytes", "connected", "carried")
        carried.notes += ("the content itself was not kept by a sensor",)
    else:
        carried.notes += ("only the request was seen",)
    return carried
