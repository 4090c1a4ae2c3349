"""auth.log, secure and syslog of Unix systems: logins and sessions of sshd, files that sftp-server wrote, commands that sudo,
cron and pkexec ran, requests to tftpd.

Format: syslog lines in any layout (`formats/syslog_lines.py`), messages as in `formats/sshd_messages.py`. It is the server's
view: `src` is the client. A file written over SFTP is one FILE_CREATE at the time of its close, with the bytes written and the
client of the session; without its close it comes at the end, at the time of its open and without a size. One that was only
read is an SSH event of method `read`. Message without a year: see `formats/syslog.YearGuess`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats import sshd_messages as messages
from tidewaiter.formats.line_log import JOINED, Joined, events_of_lines, head_lines
from tidewaiter.formats.sshd_messages import Command, Connected, Login, Message, Session
from tidewaiter.formats.syslog_lines import Prefix, Prefixes
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "linux_sshd"
SESSIONS_KEPT = 20_000
"""Sessions and open files that are remembered; the oldest are given up."""

_SSHD = frozenset({"sshd", "sshd-session", "sshd-auth"})
_SFTP = frozenset({"internal-sftp", "sftp-server"})
_CRON = frozenset({"cron", "crond", "/usr/sbin/cron", "/USR/SBIN/CRON"})
_STARTS = frozenset(("Acc", "Fai", "Con", "Sta", "sub", "Use", "ope", "clo", "for", "ren", "pos", "rem", "sen", "ses"))
"""How the messages of sshd and its SFTP begin that are read."""
_TFTP = re.compile(r"(RRQ|WRQ) from (\S+) filename (.{1,1024}?)(?: redirected to .*)?$")
_MARK = re.compile(
    r"(?:sshd(?:-session|-auth)?|internal-sftp|sftp-server|dropbear|in\.tftpd)(?:\[\d+\])?: "
    r"|(?:sudo|pkexec)(?:\[\d+\])?: .*COMMAND=|(?i:crond?)(?:\[\d+\])?: \(\S+\) CMD \("
)


class Source:
    """Authentication and system log. See `log_source.StreamSource`."""

    title = "Unix authentication log"

    def __init__(self) -> None:
        self._prefixes = Prefixes()
        self._sessions: dict[tuple[str | None, int], tuple[str | None, str | None, int | None]] = {}
        self._open: dict[tuple[str | None, int, str], Event] = {}
        self._last_open: dict[tuple[str | None, int], str] = {}
        self._last_command: tuple[str | None, Event] | None = None
        self._log_file = ""

    def recognise(self, head: bytes) -> str | None:
        """Syslog lines of sshd, sftp-server, or of a program that logs commands."""
        for line in head_lines(head):
            prefix = self._prefixes.split(line)
            if prefix is not None and _MARK.match(prefix.rest):
                said = messages.message(prefix.rest)
                return f"syslog lines of {said.program}" if said is not None else None
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        self._prefixes = Prefixes(opened.head)
        self._log_file = opened.log_file
        yield from events_of_lines(opened, account, self._parse, "syslog", self._unfinished)

    def _parse(self, line: str, number: str) -> Event | str | Joined | None:
        if "sshd[" in line and line[line.find("]: ") + 3 :][:3] not in _STARTS:
            return "sshd: other message"  # most lines of a busy server
        prefix = self._prefixes.split(line)
        if prefix is None:
            return "line without a time" if line.strip() else None
        said = messages.message(prefix.rest)
        if said is None:
            return "message without a program"
        program = said.program
        if program in _SSHD:
            found = self._sftp(prefix, said, number) if '"' in said.text else None
            return found or self._sshd(prefix, said, number)
        if program in _SFTP:
            return self._sftp(prefix, said, number) or "SFTP: other message"
        if program == "sudo":
            return self._command(prefix, said, messages.sudo(said.text), number)
        if program.lower() in _CRON:
            return self._command(prefix, said, messages.cron(said.text), number)
        if program == "pkexec":
            return self._command(prefix, said, messages.pkexec(said.text), number)
        if program == "dropbear":
            login = messages.dropbear(said.text)
            return "sshd: other message" if login is None else self._login(prefix, said, login, number)
        if program.endswith("tftpd"):
            return self._tftp(prefix, said, number)
        return "other program"

    def _event(self, kind: EventKind, prefix: Prefix, said: Message, number: str) -> Event:
        return Event(
            kind=kind,
            time=prefix.time,
            log_source=NAME,
            log_file=self._log_file,
            record=number,
            host=prefix.host,
            pid=said.pid,
            process_name=said.program,
        )

    def _sshd(self, prefix: Prefix, said: Message, number: str) -> Event | str | Joined:
        found = messages.sshd(said.text)
        if isinstance(found, Login):
            return self._login(prefix, said, found, number)
        if isinstance(found, Session):
            return self._session(prefix, said, found, number)
        if isinstance(found, Connected):
            event = self._event(EventKind.CONNECTION, prefix, said, number)
            event.src_ip, event.src_port = found.address, found.port
            event.dst_ip, event.dst_port = found.own_address, found.own_port
            event.transport, event.protocol, event.initiated = "tcp", "ssh", False
            return event
        if found is not None:
            known = self._sessions.get((prefix.host, said.pid or 0))
            if known is not None:
                self._remember((prefix.host, found.pid), known)
            return JOINED
        return "sshd: other message"

    def _login(self, prefix: Prefix, said: Message, login: Login, number: str) -> Event:
        event = self._event(EventKind.LOGIN, prefix, said, number)
        event.user, event.src_ip, event.src_port = login.user, login.address, login.port
        event.transport, event.protocol = "tcp", "ssh"
        event.outcome = "completed" if login.accepted else "failed"
        event.extra = {"auth": login.method, "key": login.key} if login.key else {"auth": login.method}
        if login.accepted and said.pid is not None:
            self._remember((prefix.host, said.pid), (login.user, login.address, login.port))
        return event

    def _session(self, prefix: Prefix, said: Message, found: Session, number: str) -> Event:
        user, address, port = self._sessions.get((prefix.host, said.pid or 0), (None, None, None))
        event = self._event(EventKind.SSH, prefix, said, number)
        event.user, event.query = found.user or user, found.what
        event.src_ip, event.src_port = found.address or address, found.port or port
        event.transport, event.protocol = "tcp", "ssh"
        if found.address is not None and said.pid is not None:
            self._remember((prefix.host, said.pid), (found.user, found.address, found.port))
        return event

    def _remember(self, key: tuple[str | None, int], value: tuple[str | None, str | None, int | None]) -> None:
        self._sessions.pop(key, None)
        self._sessions[key] = value
        if len(self._sessions) > SESSIONS_KEPT:
            del self._sessions[next(iter(self._sessions))]

    def _sftp(self, prefix: Prefix, said: Message, number: str) -> Event | str | Joined | None:
        found = messages.sftp(said.text)
        key = (prefix.host, said.pid or 0)
        if isinstance(found, messages.SftpOpened):
            port = self._sessions.get(key, (None, None, None))[2]
            self._remember(key, (found.user, found.address, port))
            event = self._event(EventKind.SSH, prefix, said, number)
            event.user, event.src_ip, event.src_port, event.query = found.user, found.address, port, "subsystem 'sftp'"
            event.transport, event.protocol = "tcp", "ssh"
            return event
        if isinstance(found, messages.SftpOpen):
            return self._opened(prefix, said, found, number)
        if isinstance(found, messages.SftpClose):
            return self._closed(prefix, said, found, number)
        if isinstance(found, messages.SftpStatus):
            path = self._last_open.pop(key, None)
            if path is not None and found.status not in ("Success", "End of file"):
                self._open.pop((*key, path), None)
            return "SFTP: answer"
        if isinstance(found, messages.SftpRename):
            event = self._file(EventKind.FILE_RENAME, prefix, said, found.new, number)
            event.file_old_path = found.old
            return event
        if isinstance(found, messages.SftpRemove):
            return self._file(EventKind.FILE_DELETE, prefix, said, found.path, number)
        return None

    def _file(self, kind: EventKind, prefix: Prefix, said: Message, path: str, number: str) -> Event:
        event = self._event(kind, prefix, said, number)
        event.process_name = "internal-sftp" if said.program in _SSHD else said.program
        event.user, event.src_ip, event.src_port = self._sessions.get((prefix.host, said.pid or 0), (None, None, None))
        event.file_path, event.protocol = path, "ssh"
        return event

    def _opened(self, prefix: Prefix, said: Message, found: messages.SftpOpen, number: str) -> Joined:
        key = (prefix.host, said.pid or 0)
        self._last_open[key] = found.path
        if found.writes:
            event = self._file(EventKind.FILE_CREATE, prefix, said, found.path, number)
            event.file_mode = found.mode
            self._open[(*key, found.path)] = event
        for kept in (self._open, self._last_open):
            if len(kept) > SESSIONS_KEPT:
                del kept[next(iter(kept))]  # type: ignore[arg-type]  # each with its own kind of key
        return JOINED

    def _closed(self, prefix: Prefix, said: Message, found: messages.SftpClose, number: str) -> Event | str:
        key = (prefix.host, said.pid or 0)
        self._last_open.pop(key, None)
        opened = self._open.pop((*key, found.path), None)
        if opened is None and not found.written:
            if not found.read:
                return "SFTP: nothing read or written"
            event = self._file(EventKind.SSH, prefix, said, found.path, number)
            event.method, event.file_size, event.bytes_in, event.transport = "read", found.read, found.read, "tcp"
            return event
        event = self._file(EventKind.FILE_CREATE, prefix, said, found.path, number)
        event.file_size = found.written
        if opened is not None:
            event.file_created, event.file_mode = opened.time, opened.file_mode
        event.outcome = "cancelled" if found.forced else "completed"
        return event

    def _unfinished(self) -> list[Event]:
        held = list(self._open.values())
        for event in held:
            event.outcome = "started"
        return held

    def _command(self, prefix: Prefix, said: Message, found: Command | None, number: str) -> Event | str | Joined:
        if found is None:
            return f"{said.program.lower()}: other message"
        last = self._last_command
        if found.continued:
            if last is None or last[0] != prefix.host or last[1].user != found.user:
                return "rest of a command whose start is missing"
            if len(last[1].command_line or "") < 1 << 16:
                last[1].command_line = f"{last[1].command_line}{found.line}"
            return JOINED
        event = self._event(EventKind.SHELL_COMMAND, prefix, said, number)
        event.user, event.command_line, event.cwd = found.user, found.line, found.cwd
        event.extra = {"run_as": found.run_as} if found.run_as else None
        if found.refused is not None:
            event.outcome = "blocked"
        self._last_command = (prefix.host, event)
        return event

    def _tftp(self, prefix: Prefix, said: Message, number: str) -> Event | str:
        found = _TFTP.match(said.text)
        if found is None:
            return "tftpd: other message"
        event = self._event(EventKind.TFTP, prefix, said, number)
        event.method = "read" if found[1] == "RRQ" else "write"
        event.src_ip, event.query, event.file_path = found[2].strip("[]"), found[3], found[3]
        event.transport, event.protocol = "udp", "tftp"
        event.extra = {"server_side": True}
        return event
