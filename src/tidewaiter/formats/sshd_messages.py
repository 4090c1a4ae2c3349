"""Messages of OpenSSH's sshd and sftp-server, of Dropbear, and of programs that log commands (sudo, cron, pkexec).

Format: what these programs log at their usual levels; the layout is that of their own format strings (auth.c, session.c,
sftp-server.c of OpenSSH; sudo's "sudo_log_format"; cron's CMD). Nothing here knows of lines, hosts or times.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PROGRAM = re.compile(r"(?:\w{1,3}\(\d{1,3}\) )?([^\s:\[\]]{1,48})(?:\[(\d{1,10})\])?: ?")
_END = r"(?: \[(?:preauth|postauth)\])?$"
_PEER = r"(\S+) port (\d{1,5})"
_ACCEPTED = re.compile(
    rf"(Accepted|Failed|Postponed) (\S+) for (invalid user )?(.{{0,200}}?) from {_PEER}(?: ssh\d?)?(?:: (.*))?"
)
_CONNECTED = re.compile(rf"Connection from {_PEER}(?: on {_PEER})?")
_SESSION = re.compile(rf"Starting session: (.{{1,200}}?) for (.{{1,200}}?) from {_PEER}(?: id \d+)?")
_SUBSYSTEM = re.compile(r"subsystem request for (\S+)(?: by user (.{1,200}))?" + _END)
_CHILD = re.compile(r"User child is on pid (\d{1,10})")
_DROPBEAR = re.compile(r"(.{0,40}) auth succeeded for '([^']{0,200})'(?: with .{0,200}?)? from (\S+):(\d{1,5})$")
_SFTP_OPENED = re.compile(r"session opened for local user (.{0,200}?) from \[([^\]]+)\]")
_SFTP_OPEN = re.compile(r'open "(.*)" flags (\S+) mode (\S+?)' + _END, re.DOTALL)
_SFTP_CLOSE = re.compile(r'(forced )?close "(.*)" bytes read (\d{1,18}) written (\d{1,18})' + _END, re.DOTALL)
_SFTP_RENAME = re.compile(r'(?:posix-)?rename old "(.*)" new "(.*)"' + _END, re.DOTALL)
_SFTP_REMOVE = re.compile(r'remove name "(.*)"' + _END, re.DOTALL)
_SFTP_STATUS = re.compile(r"sent status (.{1,60}?)" + _END)
_SUDO = re.compile(
    r"\s*(\S.{0,200}?) : (?:([^=;]{1,100}) ; )?(?=(?:HOST|TTY|PWD|CHROOT|USER|GROUP|ENV|COMMAND)=)(.*)", re.DOTALL
)
_SUDO_MORE = re.compile(r"\s*(\S.{0,200}?) : \(command continued\) (.*)", re.DOTALL)
_SUDO_FIELD = re.compile(r"(TTY|PWD|USER)=(.*?) ; (?=(?:CHROOT|TTY|PWD|USER|GROUP|TSID|ENV|COMMAND)=)")
_CRON = re.compile(r"\((.{1,100}?)\) CMD \((.*)\)\s*$", re.DOTALL)
_PKEXEC = re.compile(
    r"(\S{1,100}): Executing command \[USER=([^\]]*)\] \[TTY=[^\]]*\] \[CWD=([^\]]*)\] \[COMMAND=(.*)\]\s*$", re.DOTALL
)


class Message(NamedTuple):
    """Who says what: `program[pid]: text`."""

    program: str
    pid: int | None
    text: str


class Login(NamedTuple):
    """An accepted or failed login."""

    accepted: bool
    method: str
    user: str
    address: str
    port: int
    key: str | None


class Session(NamedTuple):
    """What a client asked for once it was logged in: shell, command, subsystem."""

    what: str
    user: str | None
    address: str | None
    port: int | None


class Connected(NamedTuple):
    """A client connected."""

    address: str
    port: int
    own_address: str | None
    own_port: int | None


class SftpOpened(NamedTuple):
    """An SFTP session of a user began."""

    user: str
    address: str


class SftpOpen(NamedTuple):
    """A file was opened over SFTP."""

    path: str
    writes: bool
    mode: str


class SftpClose(NamedTuple):
    """A file was closed, `forced` where the session ended first."""

    path: str
    read: int
    written: int
    forced: bool


class SftpRename(NamedTuple):
    """A file was renamed over SFTP."""

    old: str
    new: str


class SftpRemove(NamedTuple):
    """A file was deleted over SFTP."""

    path: str


class SftpStatus(NamedTuple):
    """The last request was answered with this status."""

    status: str


class Child(NamedTuple):
    """The process that serves the session after login."""

    pid: int


class Command(NamedTuple):
    """A command that a program ran for a user."""

    user: str
    line: str
    cwd: str | None = None
    run_as: str | None = None
    refused: str | None = None  # why it was not run
    continued: bool = False  # the rest of the command of the message before


Ssh = Login | Session | Connected | Child
Sftp = SftpOpened | SftpOpen | SftpClose | SftpRename | SftpRemove | SftpStatus


def message(rest: str) -> Message | None:
    """The program, its pid and its text; None where the line has none."""
    found = _PROGRAM.match(rest)
    if found is None:
        return None
    return Message(found[1], int(found[2]) if found[2] else None, rest[found.end() :])


def sshd(text: str) -> Ssh | None:
    """What a message of sshd says, where it is of use."""
    first = text[:3]
    if first in ("Acc", "Fai"):
        found = _ACCEPTED.match(text)
        if found is None:
            return None
        verb, method, _, user, address, port, key = found.groups()
        return Login(verb == "Accepted", method, user, address, int(port), key)
    if first == "Con" and (found := _CONNECTED.match(text)):
        return Connected(found[1], int(found[2]), found[3], int(found[4]) if found[4] else None)
    if first == "Sta" and (found := _SESSION.match(text)):
        return Session(found[1], found[2], found[3], int(found[4]))
    if first == "sub" and (found := _SUBSYSTEM.match(text)):
        return Session(f"subsystem '{found[1]}'", found[2], None, None)
    return Child(int(found[1])) if first == "Use" and (found := _CHILD.match(text)) else None


def dropbear(text: str) -> Login | None:
    """A login at Dropbear."""
    found = _DROPBEAR.match(text)
    return Login(True, found[1].lower(), found[2], found[3].strip("[]"), int(found[4]), None) if found else None


def sftp(text: str) -> Sftp | None:
    """What a message of sftp-server or internal-sftp says, where it is of use."""
    if text.startswith("open "):
        found = _SFTP_OPEN.match(text)
        return SftpOpen(found[1], "WRITE" in found[2] or "APPEND" in found[2], found[3]) if found else None
    if (found := _SFTP_CLOSE.match(text)) is not None:
        return SftpClose(found[2], int(found[3]), int(found[4]), bool(found[1]))
    if (found := _SFTP_OPENED.match(text)) is not None:
        return SftpOpened(found[1], found[2])
    if (found := _SFTP_RENAME.match(text)) is not None:
        return SftpRename(found[1], found[2])
    if (found := _SFTP_REMOVE.match(text)) is not None:
        return SftpRemove(found[1])
    found = _SFTP_STATUS.match(text)
    return SftpStatus(found[1]) if found else None


def sudo(text: str) -> Command | None:
    """A command run, or refused, by sudo."""
    more = _SUDO_MORE.match(text)
    if more is not None:
        return Command(more[1], more[2], continued=True)
    found = _SUDO.match(text)
    if found is None:
        return None
    before, equals, line = found[3].partition("COMMAND=")
    if not equals:
        return None
    fields = dict(_SUDO_FIELD.findall(before + "COMMAND="))
    return Command(found[1], line, fields.get("PWD"), fields.get("USER"), found[2])


def cron(text: str) -> Command | None:
    """A command run by cron."""
    found = _CRON.match(text)
    return Command(found[1], found[2]) if found else None


def pkexec(text: str) -> Command | None:
    """A command run by pkexec."""
    found = _PKEXEC.match(text)
    return Command(found[1], found[4], found[3], found[2]) if found else None
