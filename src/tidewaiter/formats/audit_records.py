"""Linux audit records, joined to events: the records of one event share node, time and serial, and interleave with others.

Format: linux/audit.h, auditd.conf(5) (`log_format`, `name_format`), and what the kernel prints. A record is a line
`[node=NAME ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): BODY`, also behind a syslog prefix (`audispd:`, `kernel: audit:
type=1300 audit(...)`). ENRICHED adds names after a 0x1d byte. This module joins and splits; `audit_values` decodes; neither
says what an event means.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any, NamedTuple

from tidewaiter.formats import audit_values
from tidewaiter.formats.audit_values import arguments, value
from tidewaiter.formats.syslog import prefix_host
from tidewaiter.formats.text_lines import LineBlock, text
from tidewaiter.schema.account import Account

EVENT_BYTES = 4 << 20
"""Bytes of records that one event may hold; Linux allows 2 MB of arguments."""

HELD_BYTES = 32 << 20
"""Bytes of records that all unfinished events together may hold between two blocks."""

WAIT_LINES = 5_000
WAIT_SECONDS = 2
"""An unfinished event is closed when this many lines, or seconds of log time, have passed since its first record (the
two seconds are auditd's own bound, `end_of_event_timeout`)."""

SINGLE_RECORDS = frozenset({"USER_CMD", "USER_TTY", "TTY", "USER_LOGIN", "USER_START"})
"""Events of one record."""

_SKIP, _DAMAGED, _SINGLE, _SYSCALL, _EXECVE, _CWD, _PATH, _SOCKADDR, _PROCTITLE, _OTHER = range(10)
_CODES = {"SYSCALL": _SYSCALL, "EXECVE": _EXECVE, "CWD": _CWD, "PATH": _PATH, "SOCKADDR": _SOCKADDR, "PROCTITLE": _PROCTITLE}
_CODES |= {"OPENAT2": _OTHER, "KERN_MODULE": _OTHER} | dict.fromkeys(SINGLE_RECORDS, _SINGLE)

_KIND = re.compile(rb"(?:^|[\s:])(?:node=(\S+) +)?type=(?:UNKNOWN\[)?(\w{1,40})\]? (?:msg=)?$")
_STAMP = re.compile(rb"(\d{1,11})\.(\d{3}):(\d{1,20})")
_HEAD = re.compile(
    rb" arch=(\w+) syscall=(\w+)(?: per=\w+)?(?: success=(\w+) exit=(-?\d+))? a0=(\w+) a1=(\w+) a2=(\w+) a3=(\w+) items=\d+"
    rb" ppid=(\d+) pid=(\d+) auid=(\d+) uid=(\d+) gid=\d+ euid=\d+ suid=\d+ fsuid=\d+ egid=\d+ sgid=\d+ fsgid=\d+"
    rb' tty=\S+ ses=(\d+) comm=("[^"]*"|\S+) exe=("[^"]*"|[^\s\x1d]+)'
)
_NAMES = re.compile(rb'AUID="([^"]*)" UID="([^"]*)"')
_NAME_OF_CALL = re.compile(rb" SYSCALL=(\w{1,40})")
_WORD = re.compile(rb" (\w+)=(\"[^\"]*\"|[^\s\x1d]+)")
_PATH_BODY = re.compile(rb'item=(\d+) +name=("[^"]*"|[^\s\x1d]+)(?: inode=(\d+) dev=(\S+) mode=(\d+))?(?:.*? nametype=(\w+))?')
_CWD_BODY = re.compile(rb'cwd=("[^"]*"|[^\s\x1d]+)')
_ARGC = re.compile(rb"argc=(\d{1,9})")
_OPEN_FLAGS = re.compile(rb"oflag=([0-7]+)")
_MODULE = re.compile(rb'name=("[^"]*"|[^\s\x1d]+)')
_UNSET = b"4294967295"


class AuditPath(NamedTuple):
    """One PATH record."""

    item: int
    name: str | None
    nametype: str  # NORMAL, PARENT, CREATE, DELETE, UNKNOWN; empty in records of old kernels
    mode: int | None  # file type and permission bits
    inode: str | None  # "device inode"


class AuditHead(NamedTuple):
    """The SYSCALL record."""

    call: str  # "execve"; the number where the name is unknown
    success: bool | None  # None: the call did not return (exit_group)
    exit: int | None
    args: tuple[int, int, int, int]  # a0 to a3
    ppid: int | None
    pid: int | None
    user: str | None  # name or number of the user that the process runs as
    login_user: str | None  # name or number of the user that logged in; None where unset
    uid: int | None  # where `user` is no name
    session: str | None
    comm: str | None
    exe: str | None


class AuditGroup:
    """One event as the raw records that were joined. Decoding happens when a method is called.

    `time` is microseconds since 1970 UTC, `line` the 1-based number of its first record, `count` the records joined.
    """

    __slots__ = (
        "_execve", "_head", "_other", "_paths", "_saddr", "_single", "_where", "count", "key", "line", "node", "serial", "size",
        "time", "whole",
    )  # fmt: skip

    def __init__(self, key: tuple[bytes, bytes], line: int) -> None:
        self.key, self.line = key, line
        self.node: str | None = None
        self.time = self.serial = self.count = self.size = 0
        self.whole = True  # False: records past EVENT_BYTES were dropped
        self._head: bytes | None = None
        self._where: bytes | None = None
        self._saddr: bytes | None = None
        self._single: tuple[str, bytes] | None = None
        self._execve: list[bytes] = []
        self._paths: list[bytes] = []
        self._other: list[bytes] = []

    def add(self, code: int, body: bytes) -> None:
        """Take one record; the records of one event are counted even where they are too many to keep."""
        self.count += 1
        self.size += len(body)
        if self.size > EVENT_BYTES:
            self.whole = False
        elif code == _PATH:
            self._paths.append(body)
        elif code == _SYSCALL:
            self._head = body
        elif code == _CWD:
            self._where = body
        elif code == _SOCKADDR:
            self._saddr = body
        elif code == _EXECVE:
            self._execve.append(body)
        elif code == _OTHER:
            self._other.append(body)

    def stamp(self) -> bool:
        """Read node, time and serial from the key; False when they are unreadable."""
        found = _STAMP.fullmatch(self.key[1])
        if found is None:
            return False
        seconds, millis, serial = found.groups()
        self.time = int(seconds) * 1_000_000 + int(millis) * 1_000
        self.serial = int(serial)
        self.node = text(self.key[0]) if self.key[0] else None
        return self.time < 1 << 62

    def call(self) -> str | None:
        """The name (or number) of the system call, quickly; None without a SYSCALL record that says it."""
        if self._head is None:
            return None
        start = self._head.find(b"syscall=")
        end = self._head.find(b" ", start)
        return syscalls().get(self._head[:end]) or (
            _named_call(self._head, self._head[start + 8 : end]) if start >= 0 else None
        )

    @property
    def local(self) -> bool:
        """Whether the address is one of a local socket: most connects are, and end here."""
        return self._saddr is not None and self._saddr.startswith((b" saddr=01", b" saddr=0001", b" saddr=10"))

    @property
    def failed(self) -> bool:
        """Whether the call failed, quickly."""
        return self._head is not None and b" success=no " in self._head[:80]

    @property
    def started(self) -> bool:
        """Whether an EXECVE record is there."""
        return bool(self._execve)

    def head(self) -> AuditHead | None:
        """The SYSCALL record, or None where it is missing or damaged."""
        body = self._head
        if body is None:
            return None
        found = _HEAD.match(body)
        if found is None:
            return _slow_head(body)
        call = syscalls().get(body[: found.end(2)]) or _named_call(body, found[2])
        _, _, success, code, a0, a1, a2, a3, ppid, pid, auid, uid, session, comm, exe = found.groups()
        try:
            args = (int(a0, 16), int(a1, 16), int(a2, 16), int(a3, 16))
        except ValueError:
            return None
        names = _NAMES.search(body, found.end())
        user: str | None
        if names is not None:
            login, user = text(names[1]), text(names[2])
        else:
            login, user = text(auid), "root" if uid == b"0" else text(uid)
        return AuditHead(
            call,
            None if success is None else success == b"yes",
            None if code is None else int(code),
            args,
            int(ppid),
            int(pid),
            user,
            None if auid == _UNSET else login,
            int(uid) if names is None else None,
            None if session == _UNSET else text(session),
            value(comm),
            value(exe),
        )

    def argv(self) -> tuple[list[str], int]:
        """The arguments, and how many the record says there are."""
        found = arguments(self._execve)
        argc = _ARGC.search(self._execve[0]) if self._execve else None
        return found, int(argc[1]) if argc else len(found)

    def cwd(self) -> str | None:
        """The working directory."""
        found = _CWD_BODY.search(self._where) if self._where else None
        return value(found[1]) if found else None

    def paths(self) -> list[AuditPath]:
        """The PATH records by item number."""
        found = []
        for body in self._paths:
            parts = _PATH_BODY.search(body)
            if parts is not None:
                item, name, inode, device, mode, nametype = parts.groups()
                found.append(
                    AuditPath(
                        int(item[:9]),
                        value(name),
                        text(nametype) if nametype else "",
                        None if mode is None else _octal_number(mode),
                        None if inode is None else text(device + b" " + inode),
                    )
                )
        if len(found) > 1 and found[0].item > found[1].item:  # ausearch prints them backwards
            found.sort()
        return found

    def address(self) -> tuple[str, int] | str | None:
        """(address, port) of the SOCKADDR record, in words why it has none, or None without the record."""
        if self._saddr is None:
            return None
        start = self._saddr.find(b"saddr=") + 6
        return audit_values.socket_address(self._saddr[start : start + 64])

    def open_flags(self) -> int | None:
        """The flags of the OPENAT2 record."""
        found = next(filter(None, map(_OPEN_FLAGS.search, self._other)), None)
        return None if found is None else int(found[1], 8)

    def module(self) -> str | None:
        """The name in the KERN_MODULE record."""
        found = next(filter(None, map(_MODULE.search, self._other)), None)
        return None if found is None else value(found[1])

    def single(self) -> tuple[str, dict[str, str]] | None:
        """Type and fields of an event of one record (SINGLE_RECORDS)."""
        return None if self._single is None else (self._single[0], audit_values.fields(self._single[1]))

    @classmethod
    def of_one(cls, key: tuple[bytes, bytes], line: int, kind: str, body: bytes) -> AuditGroup:
        """An event of one record."""
        group = cls(key, line)
        group.count, group.size, group._single = 1, len(body), (kind, body)
        return group


class AuditJoiner:
    """Joins the lines of one input to events. Feed it block after block, then `finish`. Memory is bounded (HELD_BYTES)."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._open: dict[tuple[bytes, bytes], AuditGroup] = {}
        self._closed: dict[tuple[bytes, bytes], None] = {}  # the latest finished events, for records that come late
        self._kinds: dict[bytes, tuple[int, bytes, str]] = {}
        self._wrapped = False  # records are inside syslog: other lines are no damage
        self._line = 0

    def feed(self, block: LineBlock) -> list[AuditGroup]:
        """The events that are finished by the lines of this block."""
        done: list[AuditGroup] = []
        opened, kinds = self._open, self._kinds
        group: AuditGroup | None = None
        stamp_now, node_now = b"", b""
        skipped: dict[str, int] = {}
        number = block.number - 1
        for line in block.lines:
            number += 1
            at = line.find(b"audit(")
            end = line.find(b"):", at + 6)
            if at < 0 or end < 0:
                self._other_line(line, number, cut=at >= 0)
                continue
            code, node, kind = kinds.get(line[:at]) or self._kind(line[:at])
            if code == _SKIP:
                skipped[kind] = skipped.get(kind, 0) + 1
                continue
            stamp = line[at + 6 : end]
            if code < _SYSCALL:
                if code == _SINGLE:
                    done.append(AuditGroup.of_one((node, stamp), number, kind, line[end + 2 :]))
                else:
                    self.account.damage_at(f"line {number}", "not an audit record")
                continue
            if group is None or stamp != stamp_now or node != node_now:
                stamp_now, node_now = stamp, node
                key = (node, stamp)
                group = opened.get(key)
                if group is None:
                    if key in self._closed:
                        skipped["late record of a finished event"] = skipped.get("late record of a finished event", 0) + 1
                        continue
                    group = opened[key] = AuditGroup(key, number)
            group.add(code, line[end + 2 :])
            if code == _PROCTITLE and group._head is not None:  # the last record that the kernel writes
                done.append(opened.pop((node, stamp)))
                self._closed[(node, stamp)] = None
                group = None
        for kind, count in skipped.items():
            self.account.skip(kind, count)
        self._line = number
        done += self._evict()
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

    def _kind(self, prefix: bytes) -> tuple[int, bytes, str]:
        """What the text before `audit(` says: how to treat the record, its node and its type (or the reason to skip it)."""
        found = _KIND.search(prefix)
        if found is None:
            return (_SKIP, b"", "other syslog lines") if self._wrapped else (_DAMAGED, b"", "")
        node, name = found[1] or b"", text(found[2])
        if name.isdigit():
            name = _record_types().get(int(name), f"number {name[:5]}")
        code = _CODES.get(name, _SKIP)
        if found.start(0) > 0:
            self._wrapped = True
            node = node or prefix_host(prefix) or b""
        kind = (code, node, name if code else self._reason(name))
        if found.start(0) == 0 and len(self._kinds) < 4_096:
            self._kinds[prefix] = kind
        return kind

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


@cache
def syscalls() -> dict[bytes, str]:
    """The beginning of a SYSCALL body (` arch=c000003e syscall=59`) -> the name of the call, for the calls that we read."""
    return {
        f" arch={arch} syscall={number}".encode(): name
        for arch, entry in _knowledge()["arch"].items()
        for name, number in entry["calls"].items()
    }


@cache
def socket_calls() -> dict[int, str]:
    """The first argument of `socketcall` -> the call it stands for."""
    return {number: name for name, number in _knowledge()["socketcall"].items()}


@cache
def _record_types() -> dict[int, str]:
    return {number: name for name, number in _knowledge()["record_types"].items()}


@cache
def _knowledge() -> dict[str, Any]:
    return tomllib.loads((resources.files("tidewaiter") / "knowledge" / "syscalls.toml").read_text("utf-8"))


def _named_call(body: bytes, number: bytes) -> str:
    """The name that ENRICHED gives, else the number (interpreted records have the name in its place)."""
    found = _NAME_OF_CALL.search(body)
    return text(found[1] if found else number)


def _slow_head(body: bytes) -> AuditHead | None:
    """A SYSCALL record of another kernel: fields in another order, more or fewer. None when it names no call."""
    words: dict[bytes, bytes] = {}
    for key, raw in _WORD.findall(body):
        words.setdefault(key, raw)
    number = words.get(b"syscall")
    if number is None or b"arch" not in words:
        return None
    prefix = b" arch=" + words[b"arch"] + b" syscall=" + number
    args = [_number(words.get(name), 16) or 0 for name in (b"a0", b"a1", b"a2", b"a3")]
    names = _NAMES.search(body)
    uid, auid, session = (words.get(name) for name in (b"uid", b"auid", b"ses"))
    user = names[2] if names else b"root" if uid == b"0" else uid
    login = names[1] if names else auid
    success = words.get(b"success")
    return AuditHead(
        syscalls().get(prefix) or _named_call(body, number),
        None if success is None else success == b"yes",
        _number(words.get(b"exit"), 10),
        (args[0], args[1], args[2], args[3]),
        _number(words.get(b"ppid"), 10),
        _number(words.get(b"pid"), 10),
        text(user) if user else None,
        text(login) if login and auid != _UNSET else None,
        _number(uid, 10) if names is None else None,
        text(session) if session and session != _UNSET else None,
        value(words.get(b"comm", b"")),
        value(words.get(b"exe", b"")),
    )


def _number(raw: bytes | None, base: int) -> int | None:
    try:
        return None if raw is None else int(raw[:20], base)
    except ValueError:
        return None


def _octal_number(raw: bytes) -> int | None:
    return _number(raw, 8)


def _seconds(stamp: bytes) -> int:
    seconds, _, _ = stamp.partition(b".")
    return int(seconds) if seconds.isdigit() and len(seconds) < 12 else 0
