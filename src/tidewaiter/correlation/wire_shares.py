"""Files over SMB and NFS, mail attachments, and whatever else a sensor lists as a file."""

from __future__ import annotations

from tidewaiter.catalog import wire
from tidewaiter.correlation.wire_flow import Flow, new_carried
from tidewaiter.correlation.wire_http import PLACEHOLDERS, content_summary, take_content
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event


def is_pipe(event: Event) -> bool:
    """Whether the name is that of a named pipe, which is no file."""
    name = (event.file_path or event.target or "").replace("/", "\\").lower()
    base = name.rsplit("\\", 1)[-1].split(":", 1)[0]
    share = (event.service or "").lower()
    return "\\pipe\\" in f"\\{name}" or share.endswith("ipc$") or "\\ipc$" in name or base in wire.load().pipes


def of_file(file: Event, flow: Flow, action: Event | None) -> Carried:
    """A file that a sensor saw on a share, in a mail or in any other protocol."""
    extra = file.extra or {}
    push = bool(extra.get("is_orig"))
    carried = new_carried(file, flow, push=push)
    take_content(carried, file)
    carried.name = (action.target or action.file_path if action is not None else None) or file.file_path
    carried.name = None if carried.name in PLACEHOLDERS else carried.name
    carried.url = file.url
    if action is not None:
        carried.share = action.service
        carried.server_port = carried.server_port if carried.server_port is not None else action.dst_port
        carried.cite(action, action_summary(action), "connected")
        carried.time = min(carried.time, action.time)
    carried.share = carried.share or file.service
    carried.cite(file, content_summary(carried, file), "carried", *(() if action or flow.flows else ("connected",)))
    name_share(carried)
    return carried


def of_action(action: Event, flow: Flow) -> Carried:
    """A read or write of a file on a share whose content no sensor lists."""
    carried = new_carried(action, flow, push="WRITE" in (action.query or ""))
    carried.protocol, carried.shown = "smb", "control"
    carried.name, carried.share = action.target or action.file_path, action.service
    carried.size = action.file_size
    carried.outcome = "failed" if action.outcome == "failed" else "completed"
    carried.cite(action, action_summary(action), "connected", "carried")
    name_share(carried)
    return carried


def name_share(carried: Carried) -> None:
    """The UNC path of what was read from a share."""
    if carried.protocol != "smb" or carried.name is None or carried.server_ip is None or carried.url:
        return
    share = (carried.share or "").replace("/", "\\").rstrip("\\").rsplit("\\", 1)[-1]
    parts = [part for part in (share, carried.name.replace("/", "\\").lstrip("\\")) if part]
    carried.url = f"\\\\{carried.server_ip}\\" + "\\".join(parts)


def action_summary(action: Event) -> str:
    """An action on a share in words."""
    size = f", {action.file_size} bytes" if action.file_size is not None else ""
    return f"{action.query or 'SMB'} {action.file_path or action.target or ''}{size}"
