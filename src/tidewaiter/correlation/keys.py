"""What may join what: the host that a record is about, and which events correlation needs."""

from __future__ import annotations

import functools
import re

from tidewaiter.schema.event import Event, EventKind

CONTEXT = frozenset(
    {
        EventKind.PROCESS_START, EventKind.CONNECTION, EventKind.FILE_CREATE, EventKind.FILE_RENAME, EventKind.FILE_BLOCKED,
        EventKind.FILE_STREAM, EventKind.IMAGE_LOAD, EventKind.SERVICE_INSTALL, EventKind.MALWARE_DETECTED,
        EventKind.SHELL_COMMAND,
    }
)  # fmt: skip
"""Kinds of events that correlation needs even where no analytic found anything in them."""
_ADDRESS = re.compile(r"^(?:\d{1,3}\.){3}\d{1,3}$|:.*:")


def host_key(event: Event) -> str:
    """The host a record is about: short name in lower case, else an address, else the log file itself."""
    if event.host:
        return _named(event.host)
    return event.host_ip or f"file:{event.log_file}"


@functools.lru_cache(maxsize=4_096)
def _named(host: str) -> str:
    name = host.strip().lower().rstrip(".")
    return name if _ADDRESS.search(name) else name.split(".", 1)[0]


def visible_kind(event: Event) -> str:
    """The kind of event for the list of what a host's logs can show; process starts say whether they hold command lines."""
    if event.kind is EventKind.PROCESS_START and (event.command_line or event.argv):
        return "process_start:command_line"
    return event.kind.value


def is_context(event: Event) -> bool:
    """Whether correlation needs the event even where no analytic found anything in it."""
    return event.kind in CONTEXT


def own_address(event: Event) -> str | None:
    """The address of the host that a connection's record gives it, loopback and unspecified ones left out."""
    address = event.src_ip if event.initiated else event.dst_ip
    if event.initiated is None or not address or not event.host:
        return None
    return (
        None
        if address.startswith(("127.", "::1", "0.", "169.254.", "fe80:", "ff", "224.", "239.", "255.")) or address == "::"
        else address
    )
