"""The commonest system calls, read straight from a run of records in a few steps each. Whatever is unusual is left over.

The handlers of the package stay the one place that says what a call means: a test reads logs both ways and demands equal
events. Nothing here may know more than they do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache

from tidewaiter.formats.audit_event import node_name, task_of
from tidewaiter.formats.audit_numbers import syscalls
from tidewaiter.formats.audit_runs import A0, A1, A2, EXIT, PID, PPID, REST, START, SUCCESS, TASK, AuditRun
from tidewaiter.formats.audit_values import absolute, arguments, command_line, octal, short_value, socket_address
from tidewaiter.schema.event import Event, EventKind

_HEAD = rb"\n(?:node=\S+ )?type=%s msg=audit\([^)\n]*\):"
_VALUE = rb'("[^"\n]*"|[0-9A-F]+)'
_STARTED = re.compile(
    _HEAD % b"EXECVE" + rb"( argc=(\d{1,5}) [^\n]*)" + _HEAD % b"CWD" + b" cwd=" + _VALUE + rb"[^\n]*"
    + _HEAD % b"PATH" + b" item=0 name=" + _VALUE + rb"(?: [^\n]*)?((?:" + _HEAD % b"PATH" + rb" item=[1-9][^\n]*)*)$"
)  # fmt: skip
_PATH = re.compile(
    rb"type=PATH msg=audit\([^)\n]*\): item=\d+ name=" + _VALUE + rb" (inode=\d+) (dev=\S+) mode=(\d+) ouid=\d+ ogid=\d+"
    rb"(?: rdev=\S+)?(?: obj=\S+)? nametype=(\w+)"
)
_CWD = re.compile(rb"type=CWD msg=audit\([^)\n]*\): cwd=" + _VALUE)
_SADDR = re.compile(rb" saddr=([0-9A-F]{16,64})")
_AT_FDCWD = frozenset({b"ffffff9c", b"ffffffffffffff9c"})
_SHORT = 2_000
"""Bytes of records of a call that are read quickly."""
_EINPROGRESS, _ECONNREFUSED = b"-115", b"-111"

_START, _CONNECTION, _CREATE = EventKind.PROCESS_START, EventKind.CONNECTION, EventKind.FILE_CREATE
_RENAME, _MODE = EventKind.FILE_RENAME, EventKind.FILE_MODE

Inode = tuple[str | None, bytes]
"""Node, and inode with its device."""


Path = tuple[bytes, bytes, bytes, bytes, bytes]
"""One PATH record: its name as it is written, inode, device, mode, and what it is to the call."""
_NAME, _INODE, _DEVICE, _FILE_MODE, _KIND = range(5)


def quick(run: AuditRun, log_file: str, remember: Remember) -> Event | None:
    """The event of a run; None where it is not for this module."""
    told = run.told
    maker = _makers().get(told[START])
    if maker is None or len(told[REST]) > _SHORT:
        return None
    if told[SUCCESS] != b"yes" and (maker is not _connect or not told[SUCCESS]):
        return None
    task = task_of(told[TASK])
    if task is None:
        return None
    stamp = run.key[1]
    node = node_name(run.key[0]) if run.key[0] else None
    extra: dict[str, object] = {"serial": int(stamp[15:])}
    if task.uid is not None:
        extra["uid"] = task.uid
    if task.login_user is not None and task.login_user != task.user:
        extra["login_user"] = task.login_user
    event = Event(
        kind=_START,
        time=int(stamp[:10] + stamp[11:14]) * 1_000,
        log_source="linux_auditd",
        log_file=log_file,
        record=str(run.line),
        host=node,
        user=task.user,
        session=task.session,
        pid=int(told[PID]),
        parent_pid=int(told[PPID]),
        process_path=task.exe,
        process_name=task.comm,
        extra=extra,
    )
    return event if maker(event, told, extra, remember) else None


Remember = Callable[[Inode, str], None]
"""Takes in which path an inode was last seen under."""

Maker = Callable[[Event, tuple[bytes, ...], dict[str, object], Remember], bool]
"""Fills in the event; False where it is left to the handlers, which then know nothing of this."""


def _execve(event: Event, told: tuple[bytes, ...], extra: dict[str, object], _remember: Remember) -> bool:
    found = _STARTED.match(told[REST])
    if found is None or b"_len=" in found[1] or b"[0]=" in found[1]:
        return False
    argc = int(found[2])
    argv, event.command_line = (_known_command if len(found[1]) < _SHORT_COMMAND else _command)(found[1], argc)
    event.cwd = cwd = short_value(found[3])
    event.argv = argv
    if argc != len(argv):
        extra["argc"] = argc
    program = short_value(found[4])
    if program is not None:
        place = absolute(program, cwd)
        if event.process_path is None:
            event.process_path = place
        elif place != event.process_path:
            extra["paths"] = [place]
    return True


def _command(body: bytes, argc: int) -> tuple[tuple[str, ...], str]:
    argv = _words(body, argc)
    return tuple(argv), command_line(argv)


_SHORT_COMMAND = 400  # bytes of a record whose command is remembered
_known_command = lru_cache(maxsize=4_096)(_command)
"""The same few commands fill a log."""


def _words(body: bytes, argc: int) -> list[str]:
    """`arguments` of a record whose arguments have no space in them, as the kernel writes them."""
    words = body.split(b" ")
    if len(words) != argc + 2 or not body.isascii():
        return arguments([body], argc)
    argv = []
    for number, word in enumerate(words[2:]):
        name, _, bare = word.partition(b"=")
        if name != b"a%d" % number:
            return arguments([body], argc)
        if bare[:1] != b'"':
            argv.append(short_value(bare) or bare.decode())
        elif bare[-1:] == b'"' and len(bare) > 1:
            argv.append(bare[1:-1].decode())
        else:
            return arguments([body], argc)
    return argv


_address = lru_cache(maxsize=8_192)(socket_address)


def _connect(event: Event, told: tuple[bytes, ...], _extra: dict[str, object], _remember: Remember) -> bool:
    found = _SADDR.search(told[REST])
    if found is None:
        return False
    address = _address(found[1])
    if isinstance(address, str) or not address[1] or address[0] in ("0.0.0.0", "::"):  # noqa: S104 - of a log
        return False
    event.kind = _CONNECTION
    event.dst_ip, event.dst_port = address
    event.initiated = True
    if told[SUCCESS] == b"yes":
        event.outcome = "completed"
        return True
    code = told[EXIT]
    event.outcome = {_EINPROGRESS: "started", _ECONNREFUSED: "refused"}.get(code, "failed")
    event.outcome_code = -int(code)
    return True


def _paths(rest: bytes) -> tuple[list[Path], str | None] | None:
    """The PATH records and the working directory, where all are of the usual form."""
    found: list[Path] = _PATH.findall(rest)
    cwd = _CWD.search(rest)
    if not found or cwd is None or len(found) != rest.count(b"type=PATH "):
        return None
    return found, short_value(cwd[1])


def _full(path: Path, cwd: str | None) -> str | None:
    """The full path of a record's name; None where it is not plainly one."""
    spelled = short_value(path[_NAME])
    place = absolute(spelled, cwd) if spelled is not None else ""
    return place if place[:1] == "/" else None


def _of_kind(paths: list[Path], kind: bytes) -> list[Path]:
    return [path for path in paths if path[_KIND] == kind]


def _create(event: Event, told: tuple[bytes, ...], _extra: dict[str, object], remember: Remember) -> bool:
    known = _paths(told[REST])
    if known is None or not _plain(told, known[0], 0):
        return False
    paths, cwd = known
    created, parents = _of_kind(paths, b"CREATE"), _of_kind(paths, b"PARENT")
    place = _full(created[0], cwd) if len(created) == 1 else None
    if place is None or place.startswith(("/proc/", "/sys/", "/dev/")):
        return False
    new, node = created[0], event.host
    if parents:
        remember((node, parents[0][_INODE] + parents[0][_DEVICE]), place[: place.rfind("/")] or "/")
    event.kind, event.file_path, event.file_mode = _CREATE, place, octal(new[_FILE_MODE])
    remember((node, new[_INODE] + new[_DEVICE]), place)
    return True


def _rename(event: Event, told: tuple[bytes, ...], _extra: dict[str, object], remember: Remember) -> bool:
    known = _paths(told[REST])
    if known is None or not _plain(told, known[0], 0) or not _plain(told, known[0], 2):
        return False
    paths, cwd = known
    created, deleted, parents = _of_kind(paths, b"CREATE"), _of_kind(paths, b"DELETE"), _of_kind(paths, b"PARENT")
    if not created or not deleted:
        return False
    new, node = created[-1], event.host
    place, before = _full(new, cwd), _full(deleted[0], cwd)
    if place is None or before is None:
        return False
    if parents:
        remember((node, parents[-1][_INODE] + parents[-1][_DEVICE]), place[: place.rfind("/")] or "/")
        remember((node, parents[0][_INODE] + parents[0][_DEVICE]), before[: before.rfind("/")] or "/")
    event.kind, event.file_path, event.file_old_path = _RENAME, place, before
    event.file_mode = octal(new[_FILE_MODE])
    remember((node, new[_INODE] + new[_DEVICE]), place)
    return True


def _chmod(event: Event, told: tuple[bytes, ...], _extra: dict[str, object], _remember: Remember) -> bool:
    known = _paths(told[REST])
    if known is None or not _plain(told, known[0], 0):
        return False
    paths, cwd = known
    place = _full(paths[0], cwd) if len(paths) == 1 and paths[0][_KIND] == b"NORMAL" else None
    mode = told[A2 if told[START] in _at_calls() else A1]
    if place is None or len(mode) > 15:
        return False
    event.kind, event.file_path, event.file_mode = _MODE, place, octal(int(mode, 16))
    return True


def _plain(told: tuple[bytes, ...], paths: list[Path], at: int) -> bool:
    """Whether no name of the call lies in an open directory that is not the working directory."""
    if told[START] not in _at_calls() or told[A0 + at] in _AT_FDCWD:
        return True
    return all(path[_NAME][:2] == b'"/' for path in paths)


_CALLS: dict[str, Maker] = {
    "execve": _execve,
    "execveat": _execve,
    "connect": _connect,
    "open": _create,
    "openat": _create,
    "creat": _create,
    "rename": _rename,
    "renameat": _rename,
    "renameat2": _rename,
    "chmod": _chmod,
    "fchmodat": _chmod,
}


@cache
def _makers() -> dict[bytes, Maker]:
    """The beginning of a SYSCALL record -> who reads its event."""
    return {start: _CALLS[name] for start, name in syscalls().items() if name in _CALLS}


@cache
def _at_calls() -> frozenset[bytes]:
    """The calls whose names may lie in an open directory."""
    return frozenset(start for start, name in syscalls().items() if name in ("openat", "renameat", "renameat2", "fchmodat"))
