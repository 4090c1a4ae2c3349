"""Lines that FTP servers write: vsftpd's own log, the xferlog of wu-ftpd (vsftpd, ProFTPD's TransferLog), Pure-FTPd's messages,
ProFTPD's session messages and extended log.

Format: vsftpd.conf(5), xferlog(5), and the messages in the manuals of Pure-FTPd and ProFTPD. Each reader takes the text of one
line and gives a `Line`, or None where the line is not of its kind. Addresses of IPv4 inside IPv6 lose their prefix.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidewaiter.formats.access_lines import LINE, count

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STAMP = r"\w{3} (\w{3}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4}) "
_XFERLOG = re.compile(
    STAMP + r"(\d+) (\S+) (\d+) (\S.*) ([ab]) (\S) ([iod]) ([agru]) (\S|\S.*?\S) (\S+) ([01]) (\S+)(?: ([ci]))?\s*$"
)
_VSFTPD = re.compile(
    r"\[pid (\d+)\] (?:\[(.{0,200}?)\] )?(?:(OK|FAIL) )?([A-Z][A-Za-z ]{2,14}): Client \"([^\"]+)\"(.*)", re.DOTALL
)
_VSFTPD_SYSLOG = re.compile(
    r"vsftpd\[(\d+)\]: (?:\[(.{0,200}?)\] )?(?:(OK|FAIL) )?([A-Z][A-Za-z ]{2,14}): Client \"([^\"]+)\"(.*)", re.DOTALL
)
_VSFTPD_FILE = re.compile(r', "(.*)"(?:, (\d+) bytes)?(?:, ([\d.]+)Kbyte/sec)?$', re.DOTALL)
_PURE = re.compile(r"pure-ftpd(?:\[(\d+)\])?: \((.{0,200}?)@([^)@\s]+)\) \[([A-Z]+)\] (.*)", re.DOTALL)
_PURE_FILE = re.compile(r"(.*?) (partially )?(uploaded|downloaded) +\((\d+) bytes, ([\d.]+)KB/sec\)$", re.DOTALL)
_PURE_RENAMED = re.compile(r"File successfully renamed or moved: \[(.*)\]->\[(.*)\]$", re.DOTALL)
_PROFTPD = re.compile(r"proftpd\[(\d+)\]:? \S+ \(([^\s\[\])]*)\[([^\s\]]+)\]\):? (?:- )?(.*)", re.DOTALL)
_PROFTPD_LOGIN = re.compile(r"(?:USER|ANON) (.{1,100}?)(?: \(Login (failed)\)|: Login (successful)|: (no such user))")
VERBS = frozenset(
    (
        "STOR", "STOU", "APPE", "RETR", "DELE", "MKD", "XMKD", "RMD", "RNFR", "RNTO", "SITE", "CWD", "LIST", "NLST", "MLSD",
        "USER", "PASS", "QUIT", "TYPE", "PASV", "EPSV", "PORT", "EPRT", "AUTH", "PBSZ", "PROT", "SYST", "FEAT", "PWD", "SIZE",
        "MDTM", "OPTS", "REST", "NOOP", "ABOR", "CDUP", "MFMT",
    )
)  # fmt: skip
_METHODS = {
    "UPLOAD": "STOR", "DOWNLOAD": "RETR", "APPEND": "APPE", "DELETE": "DELE", "MKDIR": "MKD", "RMDIR": "RMD", "RENAME": "RNTO",
    "CHMOD": "SITE CHMOD",
}  # fmt: skip


class Line(NamedTuple):
    """What one line of an FTP server says."""

    method: str  # FTP verb, or LOGIN, CONNECT
    client: str | None
    client_name: str | None = None
    user: str | None = None
    pid: int | None = None
    path: str | None = None
    old_path: str | None = None
    size: int | None = None
    micros: int | None = None  # how long it took
    outcome: str | None = None
    status: int | None = None
    note: str | None = None


def stamp_of(groups: tuple[str, ...]) -> str | None:
    """The time of `Www Mmm dd hh:mm:ss yyyy` as ISO text, from the groups of STAMP."""
    month, day, clock, year = groups
    return f"{year}-{_MONTHS.index(month) + 1:02d}-{day:0>2}T{clock}" if month in _MONTHS else None


def vsftpd(text: str) -> Line | str | None:
    """A line of vsftpd from `[pid N]` (or, in syslog, its name) on; in words where it is of no use."""
    found = _VSFTPD.match(text) or _VSFTPD_SYSLOG.match(text)
    if found is None:
        return None
    pid, user, result, what, client, rest = found.groups()
    if what in ("FTP command", "FTP response", "DEBUG"):
        return "FTP dialogue: what came of it is a line of its own"
    outcome = {"OK": "completed", "FAIL": "failed"}.get(result or "")
    about = Line(what, plain(client), user=user, pid=int(pid), outcome=outcome)
    if what in ("CONNECT", "LOGIN"):
        return about
    file = _VSFTPD_FILE.match(rest)
    method = _METHODS.get(what)
    if file is None or method is None:
        return f"vsftpd: {what.lower()}" if method is None else about._replace(method=method)
    path, old = file[1], None
    if method == "RNTO" and " " in path:
        old, _, path = path.partition(" ")
    size, rate = count(file[2]), float(file[3] or 0)
    micros = round(size / 1_024 / rate * 1_000_000) if size and rate else None
    return about._replace(method=method, path=path, old_path=old, size=size, micros=micros)


def xferlog(text: str) -> tuple[tuple[str, ...], Line] | None:
    """(groups of STAMP, line) of a transfer in the layout of xferlog(5)."""
    found = _XFERLOG.match(text)
    if found is None:
        return None
    seconds, client, size, path, _, _, way, _, user, service, _, _, done = found.groups()[4:]
    method = {"i": "STOR", "o": "RETR"}.get(way, "DELE")
    shown = plain(client)
    named = not (shown.replace(".", "").isdecimal() or ":" in shown)
    return found.groups()[:4], Line(
        method=method,
        client=None if named else shown,
        client_name=shown if named else None,
        user=user,
        path=path,
        size=count(size),
        micros=int(seconds[:9]) * 1_000_000,
        outcome={"c": "completed", "i": "cancelled"}.get(done or ""),
        note=None if service == "ftp" else service,
    )


def pure_ftpd(text: str) -> Line | str | None:
    """A message of Pure-FTPd from its name on."""
    found = _PURE.match(text)
    if found is None:
        return None
    pid, user, client, _, message = found.groups()
    address = plain(client)
    named = not (address.replace(".", "").isdecimal() or ":" in address)
    about = Line("LOGIN", None if named else address, address if named else None, None if user == "?" else user, count(pid))
    file = _PURE_FILE.match(message)
    if file is not None:
        path, part, way, size, rate = file.groups()
        speed = float(rate)
        return about._replace(
            method="STOR" if way == "uploaded" else "RETR",
            path=path,
            size=int(size[:18]),
            micros=round(int(size[:18]) / 1_024 / speed * 1_000_000) if speed else None,
            outcome="cancelled" if part else "completed",
        )
    if message.startswith("Deleted "):
        return about._replace(method="DELE", path=message[8:], outcome="completed")
    moved = _PURE_RENAMED.match(message)
    if moved is not None:
        return about._replace(method="RNTO", path=moved[2], old_path=moved[1], outcome="completed")
    if message.endswith(" is now logged in"):
        return about._replace(user=message[: -len(" is now logged in")], outcome="completed")
    if message.startswith("Authentication failed for user ["):
        return about._replace(user=message[32:].partition("]")[0], outcome="failed")
    return about._replace(method="CONNECT") if message.startswith("New connection from") else "Pure-FTPd: other message"


def proftpd(text: str) -> Line | str | None:
    """A session message of ProFTPD from its name on."""
    found = _PROFTPD.match(text)
    if found is None:
        return None
    pid, name, address, message = found.groups()
    login = _PROFTPD_LOGIN.match(message)
    if login is not None:
        outcome = "completed" if login[3] else "failed"
        return Line("LOGIN", plain(address), name or None, login[1], int(pid), outcome=outcome)
    if message.startswith("FTP session opened"):
        return Line("CONNECT", plain(address), name or None, pid=int(pid))
    return "ProFTPD: other message"


def extended(text: str) -> tuple[str, Line] | None:
    """(time between the brackets, line) of ProFTPD's extended log: access lines whose request is an FTP command."""
    found = LINE.match(text)
    if found is None:
        return None
    _, client, _, user, stamp, request, status, size, _ = found.groups()
    verb, _, argument = request.partition(" ")
    if verb not in VERBS or argument.rpartition(" ")[2].startswith("HTTP/"):
        return None
    address = plain(client)
    named = not (address.replace(".", "").isdecimal() or ":" in address)
    code = count(status)
    return stamp, Line(
        method=verb,
        client=None if named else address,
        client_name=address if named else None,
        user=None if user == "-" else user,
        path=argument if argument and verb != "PASS" else None,
        size=count(size) if verb in ("STOR", "STOU", "APPE", "RETR") else None,
        outcome=None if code is None else "completed" if code < 400 else "failed",
        status=code,
    )


def plain(address: str) -> str:
    """The address without what marks IPv4 inside IPv6."""
    return address[7:] if address[:7].lower() == "::ffff:" and "." in address else address
