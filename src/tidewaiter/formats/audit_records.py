"""Linux audit records, joined to events: the records of one event share node, time and serial, and interleave with others.

Format: linux/audit.h, auditd.conf(5) (`log_format`, `name_format`), and what the kernel prints. A record is a line
`[node=NAME ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): BODY`, also behind a syslog prefix (`audispd:`, `kernel: audit:
type=1300 audit(...)`). This module joins; `audit_event` and `audit_values` decode; none says what an event means.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from operator import attrgetter, itemgetter
from typing import NamedTuple

from tidewaiter.formats.audit_event import (
    CWD,
    DAMAGED,
    EXECVE,
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
from tidewaiter.formats.audit_runs import ENDED, NODE, NONE, STAMP, TITLE, Key, Others, Runs, keys_in, runs_of, text_of
from tidewaiter.formats.syslog import prefix_host
from tidewaiter.formats.text_lines import TextBlock, text
from tidewaiter.schema.account import Account

HELD_BYTES = 32 << 20
"""Bytes of records that all unfinished events together may hold between two blocks."""

WAIT_LINES = 5_000
WAIT_SECONDS = 2
"""An unfinished event is closed when this many lines, or seconds of log time, have passed since its first record (the
two seconds are auditd's own bound, `end_of_event_timeout`)."""

TAIL = 32
"""Events at the end of a block that wait for records which may come in the next: kernels log on several processors at once."""
_CARRIED_BYTES = 65_536
"""Bytes at the end of a block that are looked at again with the next, rather than line by line."""

_CODES = {"SYSCALL": SYSCALL, "EXECVE": EXECVE, "CWD": CWD, "PATH": PATH, "SOCKADDR": SOCKADDR, "PROCTITLE": PROCTITLE}
_CODES |= {"OPENAT2": OTHER, "KERN_MODULE": OTHER} | dict.fromkeys(SINGLE_RECORDS, SINGLE)

_KIND = re.compile(rb"(?:^|[\s:])(?:\xef\xbb\xbf)?(?:node=(\S+) +)?type=(?:UNKNOWN\[)?(\w{1,40})\]? (?:msg=)?$")
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


class Joined(NamedTuple):
    """Events that are finished, each kind in order of first lines: those that stand together, and all others."""

    runs: Runs
    groups: list[AuditGroup]


class AuditJoiner:
    """Joins the lines of one input to events. Feed it block after block, then `finish`. Memory is bounded (HELD_BYTES)."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._open: dict[Key, AuditGroup] = {}
        self._closed: dict[Key, None] = {}  # the latest finished events, for records that come late
        self._kinds = _Kinds(self)
        self._wrapped = False  # records are inside syslog: other lines are no damage
        self._line = 0
        self._carried: TextBlock | None = None  # lines at the end of the last block, to be looked at with the next

    def feed(self, block: TextBlock, *, last: bool = False) -> Joined:
        """The events that are finished by the lines of this block; `last` says that no block follows.

        Nearly always the records of an event stand together and `audit_runs` finds them. Whatever is not so goes through
        `_lines`. Events at the end of the block that do not say that they are whole wait: more may come in the next.
        """
        number, data = block.number, block.data
        if self._carried is not None:
            number, data = self._carried.number, self._carried.data + b"\n" + data
            self._carried = None
        self._line = block.number + block.data.count(b"\n")
        runs, others = runs_of(data, number)
        unsure = len(runs.told) if last else self._hold_back(runs, others, data)
        runs = self._whole(runs, others, unsure)
        done: list[AuditGroup] = []
        if others:
            others.sort(key=_number)
            for first, lines in others:
                done += self._lines(first, lines.split(b"\n"))
        done += self._give_up() if last else self._evict()
        if others:
            done.sort(key=_line)
        ends = sum(1 for told in runs.told if told[ENDED])
        if ends:
            self.account.skip("EOE record", ends)
        return Joined(runs, done)

    def _hold_back(self, runs: Runs, others: Others, data: bytes) -> int:
        """Keep the end of a block for the next, from the first event on that may go on there.

        Where that is too much, nothing is kept: gives the place from which on events that may go on are to be joined by lines.
        """
        told, lines, counts = runs
        sure = max(len(told) - TAIL, 0)
        first = next((at for at in range(sure, len(told)) if not (told[at][TITLE] or told[at][ENDED])), len(told))
        if first == len(told):
            return first
        start = len(data)
        for _ in range(self._line - lines[first] + 1):
            start = data.rfind(b"\n", 0, start)
        if len(data) - start > _CARRIED_BYTES:
            return sure
        self._carried = TextBlock(lines[first], data[start + 1 :], {})
        self._line = lines[first] - 1
        while others and others[-1][0] > self._line:
            others.pop()
        del told[first:], lines[first:], counts[first:]
        return first

    def _whole(self, runs: Runs, others: Others, unsure: int) -> Runs:
        """The runs that are whole events; the lines of others go to the other lines.

        `unsure` is the place from which on a run has to say that it is whole.
        """
        names = {node: node[5:-1] for node in {told[NODE] for told in runs.told}}
        keys = [(names[told[NODE]], told[STAMP]) for told in runs.told]
        opened, closed = self._open, self._closed
        distinct = dict.fromkeys(keys)
        split = keys_in(others).intersection(distinct) if others else set()
        if len(distinct) < len(keys):
            split |= {key for key, times in Counter(keys).items() if times > 1}
        if unsure == len(keys) and not split and not opened and closed.keys().isdisjoint(distinct):
            closed.update(distinct)
            return runs
        whole = Runs([], [], [])
        for place, (key, told, line, count) in enumerate(zip(keys, *runs, strict=True)):
            goes_on = place >= unsure and not (told[TITLE] or told[ENDED])
            if goes_on or key in split or key in closed or key in opened:
                others.append((line, text_of(told)))
                continue
            closed[key] = None
            whole.add(told, line, count)
        return whole

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

    def finish(self) -> Joined:
        """The events that the end of the input leaves open."""
        if self._carried is not None:
            carried, self._carried = self._carried, None
            return self.feed(carried, last=True)
        return Joined(NONE, self._give_up())

    def _give_up(self) -> list[AuditGroup]:
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


_number, _line = itemgetter(0), attrgetter("line")


def _seconds(stamp: bytes) -> int:
    seconds, _, _ = stamp.partition(b".")
    return int(seconds) if seconds.isdigit() and len(seconds) < 12 else 0
