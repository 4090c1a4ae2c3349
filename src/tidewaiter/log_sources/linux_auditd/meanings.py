"""What parts of audit records mean, remembered by their bytes: who makes calls, in which folders, with which commands.

Each meaning is worked out by the same functions of `formats` as everywhere else. Bytes of a whole record begin with the colon
behind its stamp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from tidewaiter.formats.audit_event import argv_of, cwd_of, node_name, path_mode, path_of, task_of
from tidewaiter.formats.audit_values import absolute, command_line, octal, short_value, socket_address

SHORT = 2_000
"""Bytes of what is remembered, and of an argument list that is read quickly."""

T = TypeVar("T")


class Known(dict[bytes, T], Generic[T]):
    """What bytes that come again and again mean. Bounded: it is emptied when it is full, and long ones are not kept."""

    def __init__(self, meaning: Callable[[bytes], T], most: int = 4_096) -> None:
        self._meaning = meaning
        self._most = most

    def __missing__(self, raw: bytes) -> T:
        found = self._meaning(raw)
        if len(raw) < SHORT:
            if len(self) >= self._most:
                self.clear()
            self[raw] = found
        return found


Task = tuple[str | None, str | None, str | None, str | None, dict[str, object]]
"""Who made a call: user, session, program, its short name, and what of it goes to `extra`."""


def task_meant(raw: bytes) -> Task | None:
    """Who made a call; None where the record is of another form."""
    task = task_of(raw)
    if task is None:
        return None
    more: dict[str, object] = {} if task.uid is None else {"uid": task.uid}
    if task.login_user is not None and task.login_user != task.user:
        more["login_user"] = task.login_user
    return task.user, task.session, task.exe, task.comm, more


def command_meant(raw: bytes) -> tuple[tuple[str, ...], str, int | None] | None:
    """Arguments, command line, and the number of arguments that was told where it is another; None for a long one."""
    found = argv_of([raw[1:]]) if len(raw) < SHORT else None
    if found is None:
        return None
    argv, argc = found
    return tuple(argv), command_line(argv), None if argc == len(argv) else argc


def folder_meant(raw: bytes) -> str | None:
    """The folder in a CWD record; None where it is not said, or there is no record."""
    return cwd_of(raw[1:]) if raw else None


def program_meant(raw: bytes) -> str | None:
    """The name in a PATH record, in full where it is not relative; None where it is not plainly a name."""
    plain = raw.count(b'"') == 2 and raw[-1:] == b'"' and b"\n" not in raw if raw[:1] == b'"' else raw.isalnum()
    name = short_value(raw) if plain else None
    if not name:
        return None
    return absolute(name, None) if name[0] == "/" else name


def address_meant(raw: bytes) -> tuple[str, int] | str:
    """Address and port in a SOCKADDR record, or in words why it has none."""
    body = raw[1:]
    start = body.find(b"saddr=") + 6
    return socket_address(body[start : start + 64])


def node_meant(raw: bytes) -> str | None:
    """The name in `node=NAME `; None where there is none."""
    return node_name(raw[5:-1]) if raw else None


def mode_meant(raw: bytes) -> str | None:
    """The permissions in the word of a PATH record that begins with `mode=`; None where they are not said."""
    mode = path_mode(raw)
    return None if mode is None else octal(mode)


def parent_meant(raw: bytes) -> bytes | None:
    """Inode and device in a PATH record; None where they are not said."""
    path = path_of(raw)
    return None if path is None else path.inode
