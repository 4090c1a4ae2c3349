"""One Linux audit event as the records that were joined to it, decoded as far as it is asked for.

Format: linux/audit.h and the records that the kernel prints for a system call; ENRICHED adds names after a 0x1d byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from tidewaiter.formats.audit_numbers import syscalls
from tidewaiter.formats.audit_values import arguments, fields, short_value, socket_address, value
from tidewaiter.formats.text_lines import text

EVENT_BYTES = 4 << 20
"""Bytes of records that one event may hold; Linux allows 2 MB of arguments."""

SINGLE_RECORDS = frozenset({"USER_CMD", "USER_TTY", "TTY", "USER_LOGIN", "USER_START"})
"""Events of one record."""

SKIP, DAMAGED, SINGLE, SYSCALL, EXECVE, CWD, PATH, SOCKADDR, PROCTITLE, OTHER = range(10)
"""What a record is to an event."""

_STAMP = re.compile(rb"(\d{1,11})\.(\d{3}):(\d{1,18})")
_TASK_PART = re.compile(
    rb" auid=(\d+) uid=(\d+) gid=\d+ euid=\d+ suid=\d+ fsuid=\d+ egid=\d+ sgid=\d+ fsgid=\d+"
    rb' tty=\S+ ses=(\d+) comm=("[^"]*"|\S+) exe=("[^"]*"|[^\s\x1d]+)'
)
_NAMES = re.compile(rb'AUID="([^"]*)" UID="([^"]*)"')
_NAME_OF_CALL = re.compile(rb" SYSCALL=(\w{1,40})")
_WORD = re.compile(rb" (\w+)=(\"[^\"]*\"|[^\s\x1d]+)")
_PATH_BODY = re.compile(rb' *item=\d+ +name=("[^"]*"|[^\s\x1d]+)')
_ITEM = re.compile(rb" ?item=(\d{1,9})")
_CWD_BODY = re.compile(rb' *cwd=("[^"]*"|[^\s\x1d]+)')
_OPEN_FLAGS = re.compile(rb"oflag=([0-7]+)")
_MODULE = re.compile(rb'name=("[^"]*"|[^\s\x1d]+)')
_UNSET = b"4294967295"
LOCAL = "local or netlink socket"
LOCAL_ADDRESSES = (b" saddr=01", b" saddr=0001", b" saddr=10")


class AuditPath(msgspec.Struct, gc=False):
    """One PATH record."""

    name: str | None
    mode: int | None  # file type and permission bits
    inode: bytes | None  # inode and device


class AuditTask(msgspec.Struct, frozen=True, gc=False):
    """Who made a call: the part of a SYSCALL record that repeats from call to call."""

    user: str | None  # name or number of the user that the process runs as
    login_user: str | None  # name or number of the user that logged in; None where unset
    uid: int | None  # where `user` is no name
    session: str | None
    comm: str | None
    exe: str | None


class AuditHead(msgspec.Struct, gc=False):
    """The SYSCALL record."""

    call: str  # "execve"; the number where the name is unknown
    success: bool | None  # None: the call did not return (exit_group)
    exit: int | None
    args: tuple[bytes, bytes, bytes, bytes]  # a0 to a3 in hex
    ppid: int | None
    pid: int | None
    task: AuditTask

    def arg(self, index: int) -> int:
        """One of a0 to a3 as a number; 0 where it is unreadable."""
        return _number(self.args[index], 16) or 0


Kind = tuple[int, bytes, str]
"""How to treat a record, its node, and its type or the reason to skip it."""


class AuditGroup(msgspec.Struct, gc=False):
    """One event as the raw records that were joined. Decoding happens when a method is called."""

    key: tuple[bytes, bytes]  # node and stamp
    line: int  # 1-based number of its first record
    count: int = 0  # records joined
    size: int = 0  # their bytes
    head_body: bytes | None = None  # SYSCALL
    address_body: bytes | None = None  # SOCKADDR
    single: str | None = None  # the type of an event of one record
    paths: list[bytes] = []  # PATH
    arguments: list[bytes] = []  # EXECVE
    where: bytes | None = None  # CWD
    other: bytes | None = None  # OPENAT2, KERN_MODULE, or the only record of the event
    node: str | None = None
    time: int = 0  # microseconds since 1970 UTC; this and the next are set by `stamp`
    serial: int = 0

    @classmethod
    def of_one(cls, key: tuple[bytes, bytes], line: int, kind: str, body: bytes) -> AuditGroup:
        """An event of one record."""
        return cls(key, line, count=1, single=kind, other=body)

    def add(self, code: int, line: bytes, start: int) -> bool:
        """Take the record in `line` from `start` on; True when it ends the event.

        PROCTITLE is the last that the kernel writes (ausearch prints it first). Its text is not kept: it may be stale.
        """
        if code == PATH:
            if self.size < EVENT_BYTES:
                self.paths.append(line[start:])
        elif code == SYSCALL:
            self.head_body = line[start:]
        elif code == PROCTITLE:
            return self.head_body is not None
        elif code == SOCKADDR:
            self.address_body = line[start:]
        elif code == CWD:
            self.where = line[start:]
        elif code == OTHER:
            self.other = line[start:]
        elif code == EXECVE and self.size < EVENT_BYTES:
            self.arguments.append(line[start:])
        self.size += len(line)
        return False

    def fill(self) -> None:
        """Bring the PATH records in order."""
        put_in_order(self.paths)

    def stamp(self) -> bool:
        """Read node, time and serial from the key; False when they are unreadable."""
        node, stamp = self.key
        if (
            stamp[10:11] == b"."
            and stamp[14:15] == b":"
            and len(stamp) < 34
            and (digits := stamp[:10] + stamp[11:14] + stamp[15:33]).isdigit()
        ):
            self.time = int(digits[:13]) * 1_000
            self.serial = int(digits[13:])
        else:
            found = _STAMP.fullmatch(stamp)
            if found is None:
                return False
            self.time, self.serial = int(found[1]) * 1_000_000 + int(found[2]) * 1_000, int(found[3])
        if node:
            self.node = node_name(node)
        return True

    @property
    def whole(self) -> bool:
        """Whether all records were kept: not more than EVENT_BYTES."""
        return self.size <= EVENT_BYTES

    @property
    def local(self) -> bool:
        """Whether the address is one of a local or netlink socket: most connects are, and end here."""
        return self.address_body is not None and self.address_body.startswith(LOCAL_ADDRESSES)

    @property
    def failed(self) -> bool:
        """Whether the call failed, quickly."""
        return self.head_body is not None and b" success=no " in self.head_body[:80]

    def call(self) -> str | None:
        """The name (or number) of the system call, quickly; None without a SYSCALL record that says it."""
        body = self.head_body
        if body is None:
            return None
        known = syscalls().get(body[: body.find(b" ", 15)])
        if known is not None:
            return known
        start = body.find(b" syscall=") + 9
        return named_call(body, body[start : body.find(b" ", start)]) if start > 8 else None

    def head(self) -> AuditHead | None:
        """The SYSCALL record, or None where it is missing or damaged."""
        body = self.head_body
        if body is None:
            return None
        middle = body.find(b" auid=")
        words = body[:middle].split(b" ")
        task = task_of(body[middle:])
        if task is None or len(words) != 12:
            return slow_head(body)
        _, arch, number, success, code, a0, a1, a2, a3, _, ppid, pid = words
        if (
            len(ppid) > 23
            or len(pid) > 23
            or len(code) > 23
            or success[:8] != b"success="
            or code[:5] != b"exit="
            or a0[:3] != b"a0="
            or ppid[:5] != b"ppid="
            or pid[:4] != b"pid="
        ):
            return slow_head(body)
        try:
            return AuditHead(
                syscalls().get(b" " + arch + b" " + number) or named_call(body, number[8:]),
                success == b"success=yes",
                int(code[5:]),
                (a0[3:], a1[3:], a2[3:], a3[3:]),
                int(ppid[5:]),
                int(pid[4:]),
                task,
            )
        except ValueError:
            return slow_head(body)

    def argv(self) -> tuple[list[str], int] | str | None:
        """The arguments, and how many the record says there are; None without an EXECVE record.

        A text where a forwarder joined them beyond recovery (never from records as the kernel writes them).
        """
        return argv_of(self.arguments) if self.arguments else None

    def cwd(self) -> str | None:
        """The working directory."""
        body = self.where
        return None if body is None else cwd_of(body) if len(body) > 256 else short_cwd(body)

    def path(self, nametype: bytes) -> AuditPath | None:
        """The last PATH record of this type (NORMAL, PARENT, CREATE, DELETE, UNKNOWN)."""
        mark = b" nametype=" + nametype
        for body in reversed(self.paths):
            if mark in body:
                return path_of(body)
        return None

    def first_path(self, mark: bytes = b"item=0 ") -> AuditPath | None:
        """The first PATH record with this text: item 0, or a type."""
        for body in self.paths:
            if mark in body:
                return path_of(body)
        return None

    def parent(self, *, last: bool) -> AuditPath | None:
        """The first or last PATH record of a directory that holds the file; its name is true for full names only."""
        for body in reversed(self.paths) if last else self.paths:
            if b" nametype=PARENT" in body:
                return _parent(body) if len(body) < 512 else path_of(body)
        return None

    def address(self) -> tuple[str, int] | str | None:
        """(address, port) of the SOCKADDR record, in words why it has none, or None without the record."""
        if self.address_body is None:
            return None
        start = self.address_body.find(b"saddr=") + 6
        return socket_address(self.address_body[start : start + 64])

    def open_flags(self) -> int | None:
        """The flags of the OPENAT2 record."""
        found = _OPEN_FLAGS.search(self.other or b"")
        return None if found is None else int(found[1], 8)

    def module(self) -> str | None:
        """The name in the KERN_MODULE record."""
        found = _MODULE.search(self.other or b"")
        return None if found is None else value(found[1])

    def fields(self) -> dict[str, str]:
        """The fields of an event of one record (SINGLE_RECORDS)."""
        return fields(self.other or b"")


def argv_of(bodies: list[bytes]) -> tuple[list[str], int]:
    """The arguments in the EXECVE records of one event, and how many there are by what they say."""
    first = bodies[0]
    start = first.find(b"argc=") + 5
    argc = _number(first[start : first.find(b" ", start)], 10) if start > 4 else None
    found = arguments(bodies, -1 if argc is None else argc)
    return found, len(found) if argc is None else argc


def named_call(body: bytes, number: bytes) -> str:
    """The name that ENRICHED gives, else the number (interpreted records have the name in its place)."""
    found = _NAME_OF_CALL.search(body)
    return text(found[1] if found else number)


def slow_head(body: bytes) -> AuditHead | None:
    """A SYSCALL record of another kernel: fields in another order, more or fewer. None when it names no call."""
    words: dict[bytes, bytes] = {}
    for key, raw in _WORD.findall(body):
        words.setdefault(key, raw)
    number = words.get(b"syscall")
    if number is None or b"arch" not in words:
        return None
    prefix = b" arch=" + words[b"arch"] + b" syscall=" + number
    args = [words.get(name, b"") for name in (b"a0", b"a1", b"a2", b"a3")]
    success = words.get(b"success")
    names = _NAMES.search(body)
    return AuditHead(
        syscalls().get(prefix) or named_call(body, number),
        None if success is None else success == b"yes",
        _number(words.get(b"exit"), 10),
        (args[0], args[1], args[2], args[3]),
        _number(words.get(b"ppid"), 10),
        _number(words.get(b"pid"), 10),
        _task_from([words.get(name, b"") for name in (b"auid", b"uid", b"ses", b"comm", b"exe")], names),
    )


def task_of(part: bytes) -> AuditTask | None:
    """Who made a call, from ` auid=` to the end of a SYSCALL record; None where it is of another form."""
    return _short_task(part) if len(part) < 1_000 else _parsed_task(part)


def _parsed_task(part: bytes) -> AuditTask | None:
    found = _TASK_PART.match(part)
    return None if found is None else _task_from(found.groups(), _NAMES.search(part, found.end()))


_short_task = lru_cache(maxsize=4_096)(_parsed_task)


def _task_from(words: Sequence[bytes], names: re.Match[bytes] | None) -> AuditTask:
    auid, uid, session, comm, exe = words
    login, user = (auid, b"root" if uid == b"0" else uid) if names is None else names.groups()
    return AuditTask(
        text(user) or None,
        None if auid in (b"", _UNSET) else text(login),
        _number(uid, 10) if names is None else None,
        None if session in (b"", _UNSET) else text(session),
        value(comm),
        value(exe),
    )


def _number(raw: bytes | None, base: int) -> int | None:
    try:
        return int(raw[:18], base) if raw else None
    except ValueError:
        return None


def put_in_order(bodies: list[bytes]) -> None:
    """Sort PATH records by their numbers: ausearch prints them backwards."""
    if len(bodies) > 1 and _item(bodies[0]):
        bodies.sort(key=_item)


def _item(body: bytes) -> int:
    found = _ITEM.match(body)
    return int(found[1]) if found else 0


def path_of(body: bytes) -> AuditPath | None:
    """One PATH record; None where it has no name that can be read."""
    words = body.split(b" ", 6)  # "", item, name, inode, dev, mode, the rest; names with a space are hex
    if len(words) == 7 and words[5][:5] == b"mode=" and words[2][:5] == b"name=":
        return AuditPath(short_value(words[2][5:]), path_mode(words[5]), words[3] + words[4])
    found = _PATH_BODY.match(body)
    return None if found is None else AuditPath(short_value(found[1]), None, None)


def path_mode(word: bytes) -> int | None:
    """File type and permission bits from the word of a PATH record that begins with `mode=`."""
    return _number(word[5:], 8)


_parent = lru_cache(maxsize=2_048)(path_of)


def cwd_of(body: bytes) -> str | None:
    """The folder in a CWD record."""
    found = _CWD_BODY.match(body)
    return None if found is None else value(found[1])


short_cwd = lru_cache(maxsize=1_024)(cwd_of)


def node_name(raw: bytes) -> str:
    """The name of a node."""
    return short_value(b'"' + raw) or ""
