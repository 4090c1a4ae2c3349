"""Linux audit events whose records stand together in one form, found and taken apart by one expression.

It is several times faster than looking at each line, and most events of most logs are so. It takes nothing that it is not sure
of: an event of another kernel, with records of other types, inside syslog or interleaved with another is left to the joiner.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidewaiter.formats.audit_event import EVENT_BYTES, AuditGroup

NODE, STAMP, START, EXIT, ARGS, PPID, PID, TASK = range(8)
REST, EXECVE, MORE, SOCKADDR, CWD, PATHS, TITLE, ENDED, OTHER_LINE = range(8, 17)
"""Groups of the expression. NODE is `node=NAME ` or empty. Of SYSCALL, START is the architecture, the number of the call and
whether it succeeded, ARGS a0 to a3 and the number of items, TASK what is behind the pid. REST holds all
other records with what is in front of each; of it EXECVE, SOCKADDR and CWD are what is behind the `)` of the stamp, MORE and
PATHS whole records. ENDED is the mark of the event's end. STAMP is empty where a line is OTHER_LINE."""

Told = tuple[bytes, ...]
"""What the groups of the expression hold."""

Key = tuple[bytes, bytes]
"""Name of the node and stamp of an event."""

_RECORD_OF = rb"\n\1type=%s msg=audit\(\2\)"
_RUN = re.compile(
    rb"^((?:node=\S++ )?+)type=SYSCALL msg=audit\(([0-9]{10}\.[0-9]{3}:[0-9]{1,18}+)\):"
    rb"( arch=\w++ syscall=[0-9]++(?: success=\w++)?+)(?: exit=(-?[0-9]{1,18}+))?+ (a0=[a-f0-9= ]+ items=[0-9]++)"
    rb" ppid=([0-9]{1,10}+) pid=([0-9]{1,10}+)( auid=[^\n]*+)"
    rb"((?:" + _RECORD_OF % b"EXECVE" + rb"(:[^\n]*+))?+"
    rb"((?:" + _RECORD_OF % b"(?:EXECVE|OPENAT2|KERN_MODULE)" + rb":[^\n]*+)*)"
    rb"(?:" + _RECORD_OF % b"SOCKADDR" + rb"(:[^\n]*+))?+"
    rb"(?:" + _RECORD_OF % b"CWD" + rb"(:[^\n]*+))?+"
    rb"((?:" + _RECORD_OF % b"PATH" + rb":[^\n]*+)*+)"
    rb"((?:" + _RECORD_OF % b"PROCTITLE" + rb":[^\n]*+)?+))"
    rb"((?:" + _RECORD_OF % b"EOE" + rb":[^\n]*+)?+)$"
    rb"|^([^\n]*+)$",
    re.M,
)  # fmt: skip
"""Nothing is given back once it is matched (`++`): there is at most one way to read a run, and not to look for another
is faster."""
_MARK = b"type=SYSCALL msg=audit("
_STAMP = re.compile(rb"^(?:node=(\S+) )?type=\w+ msg=audit\(([^)\n]*)\)", re.M)
_RECORD = re.compile(rb"type=(\w+) msg=audit\([^)]*\):([^\n]*)")
_HEAD_BYTES = 48  # of a record in front of its body, about
_IN_FRONT_OF_PATH = len(b"\ntype=PATH msg=audit():")


def group_of(told: Told, line: int, count: int) -> AuditGroup:
    """The event of a run; `line` is the number of its first record, `count` that of its records."""
    group = AuditGroup((told[NODE][5:-1], told[STAMP]), line, count=count, head_body=_head(told))
    for kind, body in _RECORD.findall(told[REST]):
        if kind == b"PATH":
            if group.size < EVENT_BYTES:
                group.paths.append(body)
        elif kind == b"CWD":
            group.where = body
        elif kind == b"SOCKADDR":
            group.address_body = body
        elif kind == b"EXECVE":
            if group.size < EVENT_BYTES:
                group.arguments.append(body)
        elif kind != b"PROCTITLE":
            group.other = body
        group.size += len(body) + _HEAD_BYTES
    return group


def _head(told: Told) -> bytes:
    """What is behind the stamp of SYSCALL."""
    code = b" exit=" + told[EXIT] if told[EXIT] else b""
    return b"%s%s %s ppid=%s pid=%s%s" % (told[START], code, told[ARGS], told[PPID], told[PID], told[TASK])


def text_of(told: Told) -> bytes:
    """The lines of a run."""
    return b"%s%s%s):%s%s%s" % (told[NODE], _MARK, told[STAMP], _head(told), told[REST], told[ENDED])


def path_bodies(told: Told) -> list[bytes]:
    """What is behind the stamps of the PATH records, as they come."""
    start = _IN_FRONT_OF_PATH - 1 + len(told[NODE]) + len(told[STAMP])
    return [line[start:] for line in told[PATHS].split(b"\n")[1:]]


def first_path_at(told: Told) -> int:
    """Where in PATHS the first body begins."""
    return _IN_FRONT_OF_PATH + len(told[NODE]) + len(told[STAMP])


class Runs(NamedTuple):
    """Runs, with the number of the first line of each and how many records it has without the mark of its end."""

    told: list[Told]
    lines: list[int]
    counts: list[int]

    def add(self, told: Told, line: int, count: int) -> None:
        """Add one more run."""
        self.told.append(told)
        self.lines.append(line)
        self.counts.append(count)

    def part(self, start: int, end: int | None = None) -> Runs:
        """The runs of these places."""
        return Runs(self.told[start:end], self.lines[start:end], self.counts[start:end])


NONE = Runs([], [], [])

Others = list[tuple[int, bytes]]
"""Lines that are in no run: number of the first, and their text."""


def keys_in(others: Others) -> set[Key]:
    """The events of which records stand in these lines."""
    return {key for _, text in others for key in _STAMP.findall(text)}


def runs_of(data: bytes, line: int) -> tuple[Runs, Others]:
    """Cut a block of whole lines; `line` is the number of its first."""
    runs = Runs([], [], [])
    others: Others = []
    if _MARK not in data:
        return runs, [(line, data)]
    add_run, add_line, add_count = runs.told.append, runs.lines.append, runs.counts.append
    beside: list[bytes] = []
    for told in _RUN.findall(data):
        if not told[STAMP]:
            beside.append(told[OTHER_LINE])
            continue
        if beside:
            others.append((line, b"\n".join(beside)))
            line += len(beside)
            beside = []
        add_run(told)
        add_line(line)
        count = told[REST].count(b"\n") + 1
        add_count(count)
        line += count + 1 if told[ENDED] else count
    if beside:
        others.append((line, b"\n".join(beside)))
    return runs, others
