"""The commonest system calls, read straight from a run of records in a few steps each. Whatever is unusual is left over.

The handlers of the package stay the one place that says what a call means: a test reads logs both ways and demands equal
events. Nothing here may know more than they do. What is decoded twice and more in every log (who made a call, the folder it
was made in, the command) is decoded once and remembered by its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from tidewaiter.formats.audit_event import (
    LOCAL,
    LOCAL_ADDRESSES,
    named_call,
    put_in_order,
)  # fmt: skip
from tidewaiter.formats.audit_numbers import syscalls
from tidewaiter.formats.audit_runs import (
    ARGS,
    CWD,
    EXECVE,
    EXIT,
    MORE,
    NODE,
    PATHS,
    PID,
    PPID,
    SOCKADDR,
    STAMP,
    START,
    TASK,
    Runs,
    Told,
    first_path_at,
    path_bodies,
)  # fmt: skip
from tidewaiter.formats.audit_values import absolute, octal, short_value
from tidewaiter.formats.text_lines import text
from tidewaiter.log_sources.linux_auditd.meanings import (
    Known,
    Task,
    address_meant,
    command_meant,
    folder_meant,
    mode_meant,
    node_meant,
    parent_meant,
    program_meant,
    task_meant,
)
from tidewaiter.log_sources.linux_auditd.results import Results
from tidewaiter.log_sources.linux_auditd.sparing import Spared
from tidewaiter.schema.event import Event, EventKind

_AT_CALLS = ("openat", "renameat", "renameat2", "fchmodat", "unlinkat")
_FLAGS_AT = {"open": 1, "openat": 2}
_O_WRITE = 0o3  # linux/fcntl.h
_AT_FDCWD = [([b"a%d=ffffff9c" % at], [b"a%d=ffffffffffffff9c" % at]) for at in range(4)]
"""The argument that holds a directory when it is the working directory, as 32 and 64 bits."""
_EINPROGRESS, _ECONNREFUSED = b"-115", b"-111"
_KERNEL_FILES = ("/proc/", "/sys/", "/dev/")
_PARENT = b" nametype=PARENT"
_PLAIN_ITEM = b" item=0 name="

_START, _CONNECTION, _CREATE = EventKind.PROCESS_START, EventKind.CONNECTION, EventKind.FILE_CREATE
_RENAME, _MODE, _DELETE = EventKind.FILE_RENAME, EventKind.FILE_MODE, EventKind.FILE_DELETE

Inode = tuple[str | None, bytes]
"""Node, and inode with its device."""

MOST_INODES = 8_192
"""Inodes of which it is remembered under which path they were seen."""

Name = tuple[bytes, bytes, bytes]
"""Of a PATH record the name as it is written, the mode, and the inode with its device."""

Made = Event | str | Literal[True] | None
"""The event; why there is none; True where it is counted and nobody needs it; None where it is left to the handlers."""

Maker = Callable[[Told, str, int, int, Task], Made]
"""Takes a run, its line, time (microseconds since 1970 UTC), serial and who made the call. Where it gives None it has done
nothing."""


class Quick:
    """Reads the runs of one log."""

    def __init__(self, log_file: str, inodes: dict[Inode, str], spared: Spared, handled: Collection[str]) -> None:
        """`inodes` holds the paths under which they were seen last; `handled` the names of the calls that have a handler."""
        self.log_file = log_file
        self._inodes = inodes
        self._spared = spared
        self._handled = handled
        self._tasks = Known(task_meant)
        self._commands = Known(command_meant)
        self._folders = Known(folder_meant)
        self._programs = Known(program_meant)
        self._addresses = Known(address_meant)
        self._nodes = Known(node_meant)
        self._modes = Known(mode_meant)
        self._parents = Known(parent_meant)
        self._at_calls = {start for start, name in syscalls().items() if name in _AT_CALLS}
        self._flags_at = {start: _FLAGS_AT[name] for start, name in syscalls().items() if name in _FLAGS_AT}
        self._makers, self._reasons = self._by_call()

    def _by_call(self) -> tuple[dict[bytes, Maker], dict[bytes, str]]:
        """The beginning of a SYSCALL record with its success -> who reads its event, or why it is none."""
        makers: dict[bytes, Maker] = {}
        reasons: dict[bytes, str] = {}
        calls: dict[str, Maker] = {
            **dict.fromkeys(("execve", "execveat"), self._execve),
            **dict.fromkeys(("open", "openat", "creat"), self._open),
            **dict.fromkeys(("rename", "renameat", "renameat2"), self._rename),
            **dict.fromkeys(("chmod", "fchmodat"), self._chmod),
            **dict.fromkeys(("unlink", "unlinkat"), self._unlink),
        }
        for start, name in syscalls().items():
            if name == "connect":
                makers[start + b" success=yes"] = makers[start + b" success=no"] = self._connect
            elif name not in self._handled:
                reasons |= dict.fromkeys((start, start + b" success=yes", start + b" success=no"), f"system call {name}")
            elif name != "socketcall":
                reasons[start + b" success=no"] = f"failed {name}"
            if name in calls:
                makers[start + b" success=yes"] = calls[name]
        return makers, reasons

    def take(self, runs: Runs, results: Results, left_over: Callable[[Told, int, int], None]) -> None:
        """Read runs, in their order. `left_over` is given what is unusual: a run, its line and how many records it has."""
        stamps = b" ".join([told[STAMP] for told in runs.told]).replace(b".", b"").replace(b":", b" ")
        numbers = list(map(int, stamps.split()))
        makers, reasons, tasks, add = self._makers, self._reasons, self._tasks, results.events.append
        parsed = 0
        for told, line, count, millis, serial in zip(*runs, numbers[::2], numbers[1::2], strict=True):
            if told[SOCKADDR] and told[SOCKADDR].startswith(LOCAL_ADDRESSES, 1):
                results.skip(LOCAL, count)
                continue
            made: Made = None
            maker = makers.get(told[START])
            if maker is None:
                made = reasons.get(told[START]) or self._unknown(told)
            else:
                task = tasks[told[TASK]]
                if task is not None:
                    made = maker(told, str(line), millis * 1_000, serial, task)
            if made is None:
                left_over(told, line, count)
            elif isinstance(made, str):
                results.skip(made, count)
            else:
                parsed += count
                if made is not True:
                    add(made)
        results.parsed += parsed

    def _unknown(self, told: Told) -> str | None:
        """Why a call whose number we do not know is of no use; None where it may be of use."""
        call = syscalls().get(_call(told)) or named_call(told[TASK], _call(told).rpartition(b"=")[2])
        return None if call in self._handled else f"system call {call}"

    def _new(self, kind: EventKind, told: Told, record: str, time: int, serial: int, task: Task) -> Event:
        user, session, exe, comm, more = task
        return Event(
            kind=kind,
            time=time,
            log_source="linux_auditd",
            log_file=self.log_file,
            record=record,
            host=self._nodes[told[NODE]],
            user=user,
            session=session,
            pid=int(told[PID]),
            parent_pid=int(told[PPID]),
            process_path=exe,
            process_name=comm,
            extra={"serial": serial, **more},
        )

    # One method for each kind of call

    def _execve(self, told: Told, record: str, time: int, serial: int, task: Task) -> Made:
        paths, at = told[PATHS], first_path_at(told) + len(_PLAIN_ITEM)
        end = paths.find(b" ", at)
        if (
            not told[EXECVE]
            or not told[CWD]
            or told[MORE]
            or end < 0
            or not paths.startswith(_PLAIN_ITEM, at - len(_PLAIN_ITEM))
        ):
            return None
        program = self._programs[paths[at:end]]
        command = self._commands[told[EXECVE]]
        if program is None or command is None:
            return None
        cwd = self._folders[told[CWD]]
        if program[0] != "/":
            program = absolute(program, cwd)
        event = self._new(_START, told, record, time, serial, task)
        event.argv, event.command_line, argc = command
        event.cwd = cwd
        if argc is not None:
            event.extra["argc"] = argc  # type: ignore[index]  # `_new` sets it
        if event.process_path is None:
            event.process_path = program
        elif program != event.process_path:
            event.extra["paths"] = [program]  # type: ignore[index]  # as above
        return event

    def _connect(self, told: Told, record: str, time: int, serial: int, task: Task) -> Made:
        if not told[SOCKADDR] or not told[EXIT]:
            return None
        address = self._addresses[told[SOCKADDR]]
        if isinstance(address, str):
            return address
        ip, port = address
        if not port:
            return "name look-up probe"
        if ip in ("0.0.0.0", "::"):  # noqa: S104 - an address in a log, not one to bind to
            return "connect to no address"
        code, outcome = None, "completed"
        if told[START][-1:] == b"o":
            code = -int(told[EXIT])
            outcome = {_EINPROGRESS: "started", _ECONNREFUSED: "refused"}.get(told[EXIT], "failed")
        event = self._new(_CONNECTION, told, record, time, serial, task)
        event.dst_ip = ip
        event.dst_port = port
        event.initiated = True
        event.outcome = outcome
        event.outcome_code = code
        return event

    def _open(self, told: Told, record: str, time: int, serial: int, task: Task) -> Made:
        front = first_path_at(told)
        paths = _in_order(told, front)
        created = paths.rfind(b" nametype=CREATE")
        if created < 0:
            return "file opened for reading" if self._reads(told) else None
        name = _named(front, paths, created)
        place = None if name is None else self._full(name[0], told, 0)
        if name is None or place is None or place.startswith(_KERNEL_FILES):
            return None
        node = self._nodes[told[NODE]]
        self._know_folder(node, front, paths, paths.find(_PARENT), place)
        self._know(node, name[2], place)
        event = self._new(_CREATE, told, record, time, serial, task)
        event.file_path = place
        event.file_mode = self._modes[name[1]]
        return event

    def _rename(self, told: Told, record: str, time: int, serial: int, task: Task) -> Made:
        front = first_path_at(told)
        paths = _in_order(told, front)
        created, deleted = paths.rfind(b" nametype=CREATE"), paths.find(b" nametype=DELETE")
        new = None if created < 0 else _named(front, paths, created)
        old = None if deleted < 0 else _named(front, paths, deleted)
        place = None if new is None else self._full(new[0], told, 2)
        before = None if old is None else self._full(old[0], told, 0)
        if new is None or place is None or before is None:
            return None
        node = self._nodes[told[NODE]]
        self._know_folder(node, front, paths, paths.rfind(_PARENT), place)
        self._know_folder(node, front, paths, paths.find(_PARENT), before)
        self._know(node, new[2], place)
        event = self._new(_RENAME, told, record, time, serial, task)
        event.file_path = place
        event.file_old_path = before
        event.file_mode = self._modes[new[1]]
        return event

    def _chmod(self, told: Told, record: str, time: int, serial: int, task: Task) -> Made:
        front, paths = first_path_at(told), told[PATHS]
        at = paths.find(b" nametype=NORMAL")
        if at < 0 or paths.rfind(b"\n") > 0 or paths.find(_PARENT) >= 0:
            return None
        name = _named(front, paths, at)
        place = None if name is None else self._full(name[0], told, 0)
        args = told[ARGS].split(b" ")
        if place is None or len(args) != 5:
            return None
        node = self._nodes[told[NODE]]
        if self._spared.leaves(node, _MODE, time):
            return True
        mode = _number(args[2 if _call(told) in self._at_calls else 1])
        event = self._new(_MODE, told, record, time, serial, task)
        event.file_path = place
        event.file_mode = octal(mode)
        return event

    def _unlink(self, told: Told, record: str, time: int, serial: int, task: Task) -> Made:
        front = first_path_at(told)
        paths = _in_order(told, front)
        gone = paths.rfind(b" nametype=DELETE")
        name = None if gone < 0 else _named(front, paths, gone)
        place = None if name is None else self._full(name[0], told, 0)
        if place is None:
            return None
        node = self._nodes[told[NODE]]
        self._know_folder(node, front, paths, paths.find(_PARENT), place)
        if self._spared.leaves(node, _DELETE, time):
            return True
        event = self._new(_DELETE, told, record, time, serial, task)
        event.file_path = place
        return event

    # What PATH records say

    def _full(self, raw: bytes, told: Told, at: int) -> str | None:
        """The full path of a name; None where it is not plainly one. `at` is the argument that may hold the descriptor of an
        open directory."""
        if raw.startswith(b'"/') and raw.endswith(b'"') and raw.find(b"/.") < 0 and raw.find(b"//") < 0:
            return text(raw[1:-1])
        spelled = short_value(raw)
        if spelled is None:
            return None
        cwd = None
        if spelled[:1] != "/":
            if _call(told) in self._at_calls and told[ARGS].split(b" ")[at : at + 1] not in _AT_FDCWD[at]:
                return None
            cwd = self._folders[told[CWD]]
        place = absolute(spelled, cwd)
        return place if place[:1] == "/" else None

    def _know(self, node: str | None, inode: bytes, place: str) -> None:
        inodes = self._inodes
        if len(inodes) >= MOST_INODES and (node, inode) not in inodes:
            inodes.clear()
        inodes[node, inode] = place

    def _know_folder(self, node: str | None, front: int, paths: bytes, parent: int, place: str) -> None:
        """`parent` is a place in the PATH record of the folder; below zero there is none."""
        if parent >= 0:
            inode = self._parents[_body(front, paths, parent)]
            if inode is not None:
                self._know(node, inode, place[: place.rfind("/")] or "/")

    def _reads(self, told: Told) -> bool:
        """Whether a file was surely opened for reading only."""
        at = self._flags_at.get(_call(told))
        args = told[ARGS].split(b" ")
        return at is not None and len(args) == 5 and not _number(args[at]) & _O_WRITE


def _call(told: Told) -> bytes:
    """Architecture and number of the call."""
    return told[START].partition(b" success=")[0]


def _number(argument: bytes) -> int:
    """One of a0 to a3, with its name; 0 where it is unreadable."""
    try:
        return int(argument[3:21], 16)
    except ValueError:
        return 0


def _in_order(told: Told, front: int) -> bytes:
    """The PATH records, sorted. `front` is the number of bytes before each body, here and in what follows."""
    paths = told[PATHS]
    if not paths or paths.startswith(b" item=0 ", front):
        return paths
    bodies = path_bodies(told)
    put_in_order(bodies)
    return paths[:front] + paths[:front].join(bodies)


def _body(front: int, paths: bytes, at: int) -> bytes:
    """The PATH record in which this place is."""
    end = paths.find(b"\n", at)
    start = paths.rfind(b"\n", 0, at) + front
    return paths[start:end] if end >= 0 else paths[start:]


def _named(front: int, paths: bytes, at: int) -> Name | None:
    """The fields of the PATH record in which this place is; None where it is not of the usual form."""
    words = paths[paths.rfind(b"\n", 0, at) + front : at].split(b" ", 6)
    if len(words) < 6 or words[5][:5] != b"mode=" or words[2][:5] != b"name=":
        return None
    return words[2][5:], words[5], words[3] + words[4]
