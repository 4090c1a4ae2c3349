"""ESXi's hostd.log, vobd.log, auth.log and syslog.log: logins, SSH sessions, files moved with the datastore browser or SFTP.

Format: Broadcom's "ESXi Log File Locations" and article 421596 (lines of ESXi 7, ESXi 8 and of a syslog server); hostd's
messages are those of its events (UserLoginSessionEvent, BadUsernameSessionEvent, DatastoreFileUploadEvent and its sisters),
vobd's those of the esx.audit.ssh events; sshd and sftp-server write as elsewhere (`formats/sshd_messages.py`). An upload that
ended well is a FILE_CREATE of hostd; a download, and an upload that failed, an HTTP event of the server's view.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats import sshd_messages as messages
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.formats.syslog_lines import Prefix, Prefixes
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "esxi_host"

_MARK = re.compile(
    r"\[Originator@\d{1,6} [^\]]{0,300}sub=|\[vob\.[a-z.]{3,60}\]"
    r"|(?:^|[ >])(?:\w{1,3}\(\d{1,3}\) )(?:hostd|vobd|sshd|vmkernel|sftp-server)\b|vmkernel: cpu\d{1,4}:",
    re.IGNORECASE,
)
_LEVELS = frozenset({"info", "verbose", "warning", "error", "trivia", "panic", "critical", "debug"})
_HOSTD = re.compile(r"\[Originator@\d{1,6} ([^\]]{0,300})\] (?:\[Auth\]: )?(?:Event \d{1,18} : )?(.*)", re.DOTALL)
_VOB = re.compile(r"\[(vob\.[a-z.]{3,60})\] (.*)", re.DOTALL)
_LOGGED_IN = re.compile(r"User (.{1,200}?)@([0-9A-Fa-f.:]+) logged in(?: as (.{1,300}))?$")
_CANNOT = re.compile(r"Cannot login (?:user )?(.{1,200}?)@([0-9A-Fa-f.:]+)")
_PASSWORD = re.compile(r"(Accepted|Rejected) password for user (.{1,200}?) from ([0-9A-Fa-f.:]+)(?: - session=(\S+))?$")
_SSH = re.compile(r"SSH (session was opened|login has failed) for '(.{1,200}?)@([^'@]{1,64})'")
_MOVED = re.compile(
    r"File (upload to|download from) path '(.{1,1024}?)'(?: was initiated from '(.{0,400}?)')?"
    r"(?: and completed with status '([^']{1,60})')?\.?$"
)
_USER = re.compile(r"\buser=([^\s\]]{1,200})")


class Source:
    """Logs of an ESXi host. See `log_source.StreamSource`."""

    title = "ESXi host log"

    def __init__(self) -> None:
        self._prefixes = Prefixes()
        self._written: dict[tuple[str | None, int], tuple[str, str]] = {}  # user and client of an SFTP session
        self._log_file = ""

    def recognise(self, head: bytes) -> str | None:
        """Lines as hostd and its kin, vobd or the vmkernel of ESXi write them."""
        for line in head_lines(head):
            found = _MARK.search(line, 0, 600)
            if found is not None:
                return f"lines of ESXi: {found[0].strip()[:40]}"
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        self._prefixes = Prefixes(opened.head)
        self._log_file = opened.log_file
        yield from events_of_lines(opened, account, self._parse, "ESXi")

    def _parse(self, line: str, number: str) -> Event | str | None:
        prefix = self._prefixes.split(line)
        if prefix is None:
            return "line without a time" if line.strip() else None
        if prefix.host in _LEVELS:
            prefix = Prefix(prefix.time, None, f"{prefix.host} {prefix.rest}")
        hostd = _HOSTD.search(prefix.rest, 0, 4_096)
        if hostd is not None:
            return self._hostd(prefix, hostd[1], hostd[2], number)
        vob = _VOB.search(prefix.rest, 0, 4_096)
        if vob is not None:
            return self._ssh(prefix, vob[2], "vobd", number) or "vobd: other message"
        said = messages.message(prefix.rest)
        if said is None:
            return "message without a program"
        if said.program == "sshd":
            return self._sshd(prefix, said, number)
        return self._sftp(prefix, said, number) if said.program == "sftp-server" else "other program"

    def _event(self, kind: EventKind, prefix: Prefix, program: str, number: str) -> Event:
        return Event(
            kind=kind,
            time=prefix.time,
            log_source=NAME,
            log_file=self._log_file,
            record=number,
            host=prefix.host,
            process_name=program,
        )

    def _login(self, prefix: Prefix, program: str, who: tuple[str, str], done: bool, number: str) -> Event:
        event = self._event(EventKind.LOGIN, prefix, program, number)
        event.user, event.src_ip = who
        event.outcome = "completed" if done else "failed"
        return event

    def _hostd(self, prefix: Prefix, about: str, text: str, number: str) -> Event | str:
        moved = _MOVED.match(text)
        if moved is not None:
            return self._moved(prefix, about, moved, number)
        login = _LOGGED_IN.match(text)
        if login is not None:
            event = self._login(prefix, "hostd", (login[1], login[2]), True, number)
            event.user_agent = login[3]
            return event
        cannot = _CANNOT.match(text)
        if cannot is not None:
            return self._login(prefix, "hostd", (cannot[1], cannot[2]), False, number)
        password = _PASSWORD.match(text)
        if password is not None:
            event = self._login(prefix, "hostd", (password[2], password[3]), password[1] == "Accepted", number)
            event.session = password[4]
            return event
        return self._ssh(prefix, text, "hostd", number) or "hostd: other message"

    def _moved(self, prefix: Prefix, about: str, moved: re.Match[str], number: str) -> Event:
        way, path, who, status = moved.groups()
        arrived = way == "upload to"
        ended = None if status is None else status.lower() == "success"
        event = self._event(
            EventKind.FILE_CREATE if arrived and ended is not False else EventKind.HTTP, prefix, "hostd", number
        )
        user = _USER.search(about)
        agent, _, client = (who or "").rpartition("@")
        event.user = user[1] if user else None
        event.file_path = path
        event.src_ip, event.user_agent = client or None, agent or None
        event.transport, event.protocol = "tcp", "http"
        event.method = "PUT" if arrived else "GET"
        event.outcome = None if ended is None else "completed" if ended else "failed"
        event.extra = {"server_side": True}
        return event

    def _ssh(self, prefix: Prefix, text: str, program: str, number: str) -> Event | None:
        found = _SSH.match(text)
        if found is None:
            return None
        if found[1] == "login has failed":
            event = self._login(prefix, program, (found[2], found[3]), False, number)
        else:
            event = self._event(EventKind.SSH, prefix, program, number)
            event.user, event.src_ip, event.query = found[2], found[3], "session"
        event.transport, event.protocol = "tcp", "ssh"
        return event

    def _sshd(self, prefix: Prefix, said: messages.Message, number: str) -> Event | str:
        found = messages.sshd(said.text)
        if isinstance(found, messages.Login):
            event = self._login(prefix, "sshd", (found.user, found.address), found.accepted, number)
            event.src_port, event.extra = found.port, {"auth": found.method}
        elif isinstance(found, messages.Connected):
            event = self._event(EventKind.CONNECTION, prefix, "sshd", number)
            event.src_ip, event.src_port = found.address, found.port
            event.dst_ip, event.dst_port, event.initiated = found.own_address, found.own_port, False
        elif isinstance(found, messages.Session):
            event = self._event(EventKind.SSH, prefix, "sshd", number)
            event.user, event.query = found.user, found.what
            event.src_ip, event.src_port = found.address, found.port
        else:
            return "sshd: other message"
        event.pid, event.transport, event.protocol = said.pid, "tcp", "ssh"
        return event

    def _sftp(self, prefix: Prefix, said: messages.Message, number: str) -> Event | str:
        found = messages.sftp(said.text)
        key = (prefix.host, said.pid or 0)
        if isinstance(found, messages.SftpOpened):
            if len(self._written) > 10_000:
                self._written.clear()
            self._written[key] = (found.user, found.address)
            return "SFTP: session opened"
        if isinstance(found, messages.SftpClose) and (found.written or found.read):
            kind = EventKind.FILE_CREATE if found.written else EventKind.SSH
            event = self._event(kind, prefix, "sftp-server", number)
            event.file_path, event.file_size = found.path, found.written or found.read
            event.method = None if found.written else "read"
            event.outcome = "cancelled" if found.forced else "completed"
        elif isinstance(found, messages.SftpRename):
            event = self._event(EventKind.FILE_RENAME, prefix, "sftp-server", number)
            event.file_path, event.file_old_path = found.new, found.old
        else:
            return "SFTP: other message"
        event.pid, event.protocol = said.pid, "ssh"
        event.user, event.src_ip = self._written.get(key, (None, None))
        return event
