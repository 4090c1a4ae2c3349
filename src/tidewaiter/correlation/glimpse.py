"""The few fields of an event by which correlation sees whether it needs the rest, which stays packed until then."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from tidewaiter.catalog import roles
from tidewaiter.correlation import wire_sizes, words
from tidewaiter.reading import paths
from tidewaiter.schema import event as schema
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_FILES = frozenset({EventKind.FILE_CREATE, EventKind.FILE_BLOCKED, EventKind.FILE_STREAM, EventKind.IMAGE_LOAD})


class Glimpse(msgspec.Struct, array_like=True, gc=False):
    """What is looked at of every event. Times are microseconds since 1970 UTC."""

    time: int
    kind: EventKind
    key: str | None  # of the acting process, as Event.process_key; of a flow that only stands out: who opened it
    pid: int | None  # of such a flow: how one-sided it is
    parent_key: str | None  # of a start
    parent_pid: int | None
    path: str | None  # of a start: the program's path as spelled; else the comparison key of the file, of a rename's old name;
    # of a flow that can only amount to something by standing out: its service
    sha256: str | None  # of a start
    sign: bool  # of a connection: it came from outside; of a start: an interpreter that was given no script;
    # of a flow: it may amount to something by itself
    packed: bytes  # the event
    findings: tuple[Finding, ...] = ()

    def __lt__(self, _other: Glimpse) -> bool:
        """None comes before another: rows that a run holds twice stay as they are."""
        return False

    def read(self) -> Event:
        """The whole event."""
        return schema.decode(self.packed)


def glimpse_of(event: Event, findings: Sequence[Finding]) -> Glimpse:
    """The glimpse of an event with what the analytics found in it."""
    kind = event.kind
    parent_key, parent_pid, path, sha256, sign = None, None, None, None, False
    if kind is EventKind.PROCESS_START:
        parent_key, parent_pid, path, sha256 = event.parent_key, event.parent_pid, event.process_path, event.sha256
        sign = _reads_scripts(path or event.process_name or "") and without_script(event)
    elif kind in _FILES:
        path = paths.path_key(event.file_path) or None
    elif kind is EventKind.FILE_RENAME:
        path = paths.path_key(event.file_old_path) or None
    elif kind is EventKind.CONNECTION:
        sign = event.initiated is False
    key, pid = event.process_key, event.pid
    if kind is EventKind.FLOW:
        prospect = wire_sizes.prospect(event)
        sign = prospect is wire_sizes.Prospect.SOMETHING
        if prospect is wire_sizes.Prospect.UNUSUAL:
            key, pid, path = event.src_ip, wire_sizes.side_of(event), wire_sizes.service_of(event)
    return Glimpse(
        event.time, kind, key, pid, parent_key, parent_pid, path, sha256, sign, schema.encode(event),
        tuple(findings),
    )  # fmt: skip


@functools.lru_cache(maxsize=4_096)
def _reads_scripts(program: str) -> bool:
    return roles.program_name(program) in roles.load().script_readers


def without_script(event: Event) -> bool:
    """Whether an interpreter was started to read its standard input."""
    rest = words.arguments(event)[1:]
    return rest[:1] in (["-s"], ["-"]) or all(word in ("-", "-s", "-x", "-e", "--") for word in rest)
