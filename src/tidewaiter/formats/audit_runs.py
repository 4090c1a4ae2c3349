"""Linux audit events whose records stand together in one form, found and taken apart by one expression.

It is several times faster than looking at each line, and most events of most logs are so. It takes nothing that it is not sure
of: an event of another kernel, with records of other types, inside syslog or interleaved with another is left to the joiner.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidewaiter.formats.audit_event import EVENT_BYTES, AuditGroup, AuditHead, named_call, node_name, slow_head, task_of
from tidewaiter.formats.audit_numbers import syscalls

NODE, STAMP, START, SUCCESS, EXIT, A0, A1, A2, A3, PPID, PID, TASK, REST, ENDED, OTHER_LINE = range(1, 16)
"""Groups of the expression: START is the architecture and the number of the call, TASK what is behind ` auid=`, REST all
records behind SYSCALL but for PROCTITLE, which is ENDED. Group 0 is all of it, and empty where a line is OTHER_LINE."""

Key = tuple[bytes, bytes]
"""Node and stamp of an event."""

_RUN = re.compile(
    rb"^(((?:node=\S+ )?)type=SYSCALL msg=audit\((\d{10}\.\d{3}:\d{1,18})\):"
    rb"( arch=\w+ syscall=\d+)(?: success=(yes|no) exit=(-?\d{1,18}))?"
    rb" a0=([0-9a-f]+) a1=([0-9a-f]+) a2=([0-9a-f]+) a3=([0-9a-f]+) items=\d+"
    rb" ppid=(\d{1,10}) pid=(\d{1,10})( auid=[^\n]*)"
    rb"((?:\n\2type=(?:EXECVE|CWD|PATH|SOCKADDR|OPENAT2|KERN_MODULE) msg=audit\(\3\):[^\n]*)*)"
    rb"((?:\n\2type=PROCTITLE msg=audit\(\3\):[^\n]*)?))$"
    rb"|^([^\n]*)$",
    re.M,
)
_MARK = b"type=SYSCALL msg=audit("
_STAMP = re.compile(rb"^(?:node=(\S+) )?type=\w+ msg=audit\(([^)\n]*)\)", re.M)
_RECORD = re.compile(rb"type=(\w+) msg=audit\([^)]*\):([^\n]*)")
_HEAD_BYTES = 48  # of a record in front of its body, about


class AuditRun(AuditGroup, gc=False):
    """An event whose records stand together; what they say beside SYSCALL is looked at when `fill` is called."""

    told: tuple[bytes, ...] = ()  # the groups of the expression; empty where it has nothing for them

    @property
    def ended(self) -> bool:
        """Whether its last record is there: PROCTITLE is the last that the kernel writes."""
        return bool(self.told[ENDED])

    @property
    def failed(self) -> bool:
        """Whether the call failed."""
        return self.told[SUCCESS] == b"no"

    def call(self) -> str | None:
        """The name (or number) of the system call."""
        start = self.told[START]
        return syscalls().get(start) or named_call(self.told[TASK], start[start.rfind(b"=") + 1 :])

    def head(self) -> AuditHead | None:
        """The SYSCALL record, or None where it is damaged."""
        records, _, _, start, success, code, a0, a1, a2, a3, ppid, pid, task_part, *_ = self.told
        task = task_of(task_part)
        if task is None:
            return slow_head(records[records.find(b"):") + 2 :].partition(b"\n")[0])
        return AuditHead(
            syscalls().get(start) or self.call() or "",
            success == b"yes" if success else None,
            int(code) if code else None,
            (a0, a1, a2, a3),
            int(ppid),
            int(pid),
            task,
        )

    def stamp(self) -> bool:
        """Set node, time and serial; their form is known."""
        stamp = self.key[1]
        self.time = int(stamp[:10] + stamp[11:14]) * 1_000
        self.serial = int(stamp[15:])
        if self.key[0]:
            self.node = node_name(self.key[0])
        return True

    def fill(self) -> None:
        """Take the other records apart."""
        for kind, body in _RECORD.findall(self.told[REST]):
            if kind == b"PATH":
                if self.size < EVENT_BYTES:
                    self.paths.append(body)
            elif kind == b"CWD":
                self.where = body
            elif kind == b"SOCKADDR":
                self.address_body = body
            elif kind != b"EXECVE":
                self.other = body
            elif self.size < EVENT_BYTES:
                self.arguments.append(body)
            self.size += len(body) + _HEAD_BYTES


class Runs(NamedTuple):
    """The runs of a block, and all other lines: number of the first of them, and their text."""

    runs: list[AuditRun]
    others: list[tuple[int, bytes]]
    split: set[Key]  # events of which records stand among the other lines, or in two runs


def runs_of(data: bytes, line: int) -> Runs:
    """Cut a block of whole lines; `line` is the number of its first."""
    runs: list[AuditRun] = []
    others: list[tuple[int, bytes]] = []
    split: set[Key] = set()
    if _MARK not in data:
        return Runs(runs, [(line, data)], split)
    seen: set[Key] = set()
    beside: list[bytes] = []
    for told in _RUN.findall(data):
        if not told[0]:
            beside.append(told[OTHER_LINE])
            continue
        if beside:
            others.append((line, b"\n".join(beside)))
            line += len(beside)
            beside = []
        key = (told[NODE][5:-1], told[STAMP])
        if key in seen:
            split.add(key)
        seen.add(key)
        count = told[REST].count(b"\n") + (2 if told[ENDED] else 1)
        runs.append(AuditRun(key, line, count=count, told=told))
        line += count
    if beside:
        others.append((line, b"\n".join(beside)))
    for _, text in others:
        split.update((node, stamp) for node, stamp in _STAMP.findall(text))
    return Runs(runs, others, split)
