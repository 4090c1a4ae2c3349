"""Logs of FTP servers: vsftpd.log, xferlog (vsftpd, ProFTPD's TransferLog), Pure-FTPd and ProFTPD in syslog, ProFTPD's
extended log.

Format: see `formats/ftp_lines.py`. It is the server's view (`extra.server_side`): `src` is the client; an upload (STOR) is a
file that arrived at the server, a download (RETR) one that arrived at the client. xferlog and vsftpd write local time without
a zone: it is taken as UTC. The time of a transfer is its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats import ftp_lines
from tidewaiter.formats.access_lines import AccessTimes
from tidewaiter.formats.ftp_lines import STAMP, Line
from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.formats.syslog_lines import Prefixes
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "ftp_server"

_STAMPED = re.compile(STAMP)
_ABOUT_FILES = frozenset({"STOR", "STOU", "APPE", "RETR", "DELE", "RNFR", "RNTO"})


class Source:
    """The log of an FTP server. See `log_source.StreamSource`."""

    title = "FTP server log"

    def __init__(self) -> None:
        self._iso = IsoTimes()
        self._access = AccessTimes()
        self._prefixes = Prefixes()

    def recognise(self, head: bytes) -> str | None:
        """A line as only FTP servers write it: of their own log, or of their program in syslog."""
        kinds: dict[str, int] = {}
        lines = head_lines(head)
        for line in lines:
            kind = self._kind(line)
            if kind:
                kinds[kind] = kinds.get(kind, 0) + 1
        if not kinds:
            return None
        kind = max(kinds, key=lambda name: kinds[name])
        own = kind in ("vsftpd", "xferlog", "extended log of ProFTPD")
        return f"lines of {kind}" if not own or sum(kinds.values()) * 2 > len(lines) else None

    def _kind(self, line: str) -> str | None:
        stamped = _STAMPED.match(line)
        if stamped is not None:
            if ftp_lines.vsftpd(line[stamped.end() :]) is not None:
                return "vsftpd"
            return "xferlog" if ftp_lines.xferlog(line) is not None else None
        if ftp_lines.extended(line) is not None:
            return "extended log of ProFTPD"
        prefix = self._prefixes.split(line) if "ftpd" in line else None
        if prefix is None:
            return None
        for name, reader in _IN_SYSLOG:
            if reader(prefix.rest) is not None:
                return name
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        self._prefixes = Prefixes(opened.head)
        log_file = opened.log_file

        def parse(line: str, number: str) -> Event | str | None:
            stamped = _STAMPED.match(line)
            if stamped is not None:
                stamp = ftp_lines.stamp_of(stamped.groups())
                time = self._iso.read(stamp) if stamp else None
                if time is None:
                    return None
                found = ftp_lines.vsftpd(line[stamped.end() :])
                if found is None:
                    transfer = ftp_lines.xferlog(line)
                    found = transfer[1] if transfer else None
                return found if not isinstance(found, Line) else _event(found, time, None, log_file, number)
            return self._other(line, log_file, number)

        yield from events_of_lines(opened, account, parse, "an FTP server")

    def _other(self, line: str, log_file: str, number: str) -> Event | str | None:
        extended = ftp_lines.extended(line)
        if extended is not None:
            time = self._access[extended[0]]
            return None if time is None else _event(extended[1], time, None, log_file, number)
        prefix = self._prefixes.split(line)
        if prefix is None:
            return None
        for _, reader in _IN_SYSLOG:
            found = reader(prefix.rest)
            if found is not None:
                return found if isinstance(found, str) else _event(found, prefix.time, prefix.host, log_file, number)
        return "other program"


_IN_SYSLOG = (("vsftpd in syslog", ftp_lines.vsftpd), ("Pure-FTPd", ftp_lines.pure_ftpd), ("ProFTPD", ftp_lines.proftpd))


def _event(found: Line, time: int, host: str | None, log_file: str, number: str) -> Event:
    method = found.method
    login, connect = method == "LOGIN", method == "CONNECT"
    kind = EventKind.LOGIN if login else EventKind.CONNECTION if connect else EventKind.FTP
    about_file = method in _ABOUT_FILES
    extra: dict[str, object] = {"server_side": True}
    if found.note:
        extra["service"] = found.note
    return Event(
        kind=kind,
        time=time,
        log_source=NAME,
        log_file=log_file,
        record=number,
        host=host,
        user=found.user,
        pid=found.pid,
        file_path=found.path if about_file else None,
        file_old_path=found.old_path,
        file_size=found.size,
        src_ip=found.client,
        src_host=found.client_name,
        transport="tcp",
        protocol="ftp",
        initiated=False if connect else None,
        duration=found.micros,
        method=None if login or connect else method,
        status=found.status,
        query=found.path,
        outcome=found.outcome,
        extra=extra,
    )
