"""Linux audit records, joined to events: the records of one event share node, time and serial, and interleave with others.

Format: linux/audit.h, auditd.conf(5) (`log_format`, `name_format`), and what the kernel prints. A record is a line
`[node=NAME ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): BODY`, also behind a syslog prefix (`audispd:`, `kernel: audit:
type=1300 audit(...)`). This module joins; `audit_event` and `audit_values` decode; none says what an event means.
"""

from __future__ import annotations

import re
from itertools import islice

from tidewaiter.formats.audit_event import (
    CWD,
    DAMAGED,
    EXECVE,
    LOCAL,
    LOCAL_ADDRESSES,
    OTHER,
    PATH,
    PROCTITLE,
    SINGLE,
    SINGLE_RECORDS,
    SKIP,
    SOCKADDR,
    SYSCALL,
    AuditGroup,
    Kind,
)
from tidewaiter.formats.audit_numbers import record_types
from tidewaiter.formats.syslog import prefix_host
from tidewaiter.formats.text_lines import TextBlock, text
from tidewaiter.schema.account import Account

HELD_BYTES = 32 << 20
"""Bytes of records that all unfinished events together may hold between two blocks."""

WAIT_LINES = 5_000
WAIT_SECONDS = 2
"""An unfinished event is closed when this many lines, or seconds of log time, have passed since its first record (the
two seconds are auditd's own bound, `end_of_event_timeout`)."""

_CODES = {"SYSCALL": SYSCALL, "EXECVE": EXECVE, "CWD": CWD, "PATH": PATH, "SOCKADDR": SOCKADDR, "PROCTITLE": PROCTITLE}
_CODES |= {"OPENAT2": OTHER, "KERN_MODULE": OTHER} | dict.fromkeys(SINGLE_RECORDS, SINGLE)

_KIND = re.compile(rb"(?:^|[\s:])(?:node=(\S+) +)?type=(?:UNKNOWN\[)?(\w{1,40})\]? (?:msg=)?$")
_LONGEST_MARK = 400  # bytes before `audit(` that are looked at


class _Kinds(dict[bytes, Kind]):
    """Text before `audit(` -> its kind, remembered where it is likely to come again."""

    def __init__(self, joiner: AuditJoiner) -> None:
        self._joiner = joiner

    def __missing__(self, prefix: bytes) -> Kind:
        kind = self._joiner.kind(prefix)
        if len(self) < 4_096 and prefix.startswith((b"type=", b"node=")):
            self[prefix] = kind
        return kind


class AuditJoiner:
    """Joins the lines of one input to events. Feed it block after block, then `finish`. Memory is bounded (HELD_BYTES)."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._open: dict[tuple[bytes, bytes], AuditGroup] = {}
        self._closed: dict[tuple[bytes, bytes], None] = {}  # the latest finished events, for records that come late
        self._kinds = _Kinds(self)
        self._wrapped = False  # records are inside syslog: other lines are no damage
        self._line = 0

    def feed(self, block: TextBlock) -> list[AuditGroup]:
        """The events that are finished by the lines of this block.

        Nearly always the records of an event stand together, from SYSCALL to PROCTITLE. Such a run is found and checked
        as a whole, which is several times faster than line by line; whatever is not so goes through `_lines`.
        """
        done: list[AuditGroup] = []
        number, data, _ = block
        start, local, kind_of = 0, 0, self._kinds.__getitem__
        node = last = b""  # the node of the records, where they have one
        kind: Kind = (SKIP, b"", "")
        opened, closed = self._open, self._closed
        foreign = data.find(b"\nnode=") >= 0  # there are, or may be, records of another node than that
        while (mark := data.find(b"type=PROCTITLE ", start)) >= 0:
            end = data.find(b"\n", mark)
            if end < 0:
                end = len(data)
            count = data.count(b"\n", start, end) + 1
            at = data.find(b" msg=audit(", start, end)
            stamp_end = data.find(b"):", at, end)
            prefix = data[start : at + 5]
            if prefix != last:
                kind, last = kind_of(prefix), prefix
            if kind[1] != node:
                node = kind[1]
                foreign = data.count(b"\nnode=" + node + b" type=") < data.count(b"\n")
            key = (kind[1], data[at + 11 : stamp_end])
            whole = kind[0] == SYSCALL and not foreign and data.count(data[at : stamp_end + 2], start, end) == count
            if not whole or key in closed or key in opened:
                done += self._lines(number, data[start:end].split(b"\n"))
            else:
                closed[key] = None
                head_end = data.find(b"\n", stamp_end, end)
                address = data.find(b" saddr=", head_end, head_end + 160)
                if address > 0 and data.startswith(LOCAL_ADDRESSES, address):
                    local += count
                else:
                    body, more = data[stamp_end + 2 : head_end], (data[head_end + 1 : end], kind_of)
                    done.append(AuditGroup(key, number, count, end - start, body, more))
            number += count
            start = end + 1
        if start <= len(data):
            done += self._lines(number, data[start:].split(b"\n"))
        if local:
            self.account.skip(LOCAL, local)
        self._line = block.number + data.count(b"\n")
        done += self._evict()
        return done

    def _lines(self, first: int, lines: list[bytes]) -> list[AuditGroup]:
        """The events that are finished by these lines, each looked at by itself."""
        done: list[AuditGroup] = []
        kind_of = self._kinds.__getitem__
        for number, line in enumerate(lines, first):
            at = line.find(b"audit(")
            end = line.find(b"):", at + 6)
            if at < 0 or end < 0:
                self._other_line(line, number, cut=at >= 0)
                continue
            code, node, kind = kind_of(line[:at])
            key = (node, line[at + 6 : end])
            if code == SKIP:
                self.account.skip(kind)
            elif code == DAMAGED:
                self.account.damage_at(f"line {number}", "not an audit record")
            elif code == SINGLE:
                done.append(AuditGroup.of_one(key, number, kind, line[end + 2 :]))
            elif key in self._closed and key not in self._open:
                self.account.skip("late record of a finished event")
            else:
                group = self._open.get(key)
                if group is None:
                    group = self._open[key] = AuditGroup(key, number)
                group.count += 1
                if group.add(code, line, end + 2):
                    done.append(group)
                    del self._open[key]
                    self._closed[key] = None
        return done

    def finish(self) -> list[AuditGroup]:
        """The events that the end of the input leaves open."""
        done = list(self._open.values())
        self._open.clear()
        return done

    def _evict(self) -> list[AuditGroup]:
        if len(self._closed) > 8_192:
            self._closed = dict.fromkeys(islice(self._closed, 4_096, None))
        if not self._open:
            return []
        latest = _seconds(next(reversed(self._open))[1])
        held = sum(group.size + 500 for group in self._open.values())
        done = []
        for key, group in self._open.items():
            old = self._line - group.line > WAIT_LINES or abs(latest - _seconds(key[1])) > WAIT_SECONDS
            if old or held > HELD_BYTES:
                done.append(group)
                held -= group.size + 500
        for group in done:
            del self._open[group.key]
            self._closed[group.key] = None
        return done

    def kind(self, prefix: bytes) -> Kind:
        """What the text before `audit(` says: how to treat the record, its node and its type (or the reason to skip it)."""
        found = _KIND.search(prefix[-_LONGEST_MARK:])
        if found is None:
            return (SKIP, b"", "other syslog lines") if self._wrapped else (DAMAGED, b"", "")
        node, name = found[1] or b"", text(found[2])
        if name.isdigit():
            name = record_types().get(int(name), f"number {name[:5]}")
        code = _CODES.get(name, SKIP)
        if found.end() < len(prefix) or found.start() > 0:
            self._wrapped = True
            node = node or prefix_host(prefix) or b""
        return code, node, name if code else self._reason(name)

    def _reason(self, name: str) -> str:
        reason = f"{name} record"
        return reason if reason in self.account.skipped or len(self.account.skipped) < 150 else "record of another type"

    def _other_line(self, line: bytes, number: int, *, cut: bool) -> None:
        if not line.strip():
            self.account.skip("blank line")
        elif line.startswith((b"#", b"----", b"time->")):
            self.account.skip("comment or separator")
        elif cut:
            self.account.damage_at(f"line {number}", "audit record without its end")
        elif self._wrapped or prefix_host(line) is not None:
            self.account.skip("other syslog lines")
        else:
            self.account.damage_at(f"line {number}", "not an audit record")


def _seconds(stamp: bytes) -> int:
    seconds, _, _ = stamp.partition(b".")
    return int(seconds) if seconds.isdigit() and len(seconds) < 12 else 0
