"""access.log of Squid: its native layout, the emulation of web servers' logs (common, combined), and custom ones with quoted
texts behind the native fields.

Format: the Squid wiki, "Squid Log Files" and "logformat". The device of an event is the client. The size is what the client
was sent, headers included. `dst_ip` is the origin's address where Squid went there itself; a parent proxy is `extra.parent`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats.access_lines import (
    LINE,
    SPACED,
    AccessTimes,
    Authorities,
    Numeric,
    Remembered,
    count,
    is_address,
    quoted,
    request_parts,
)
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.formats.syslog_lines import Prefixes
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "proxy_squid"

_HTTP = EventKind.HTTP
_NATIVE = re.compile(r"(?:.{0,200}? )?\d{9,10}\.\d{3} +-?\d+ \S+ [A-Z_]+/\d{3} -?\d+ \S+ \S+ (?:\S+|\S.{0,200}\S) [A-Z_]+/\S+ ")
_PREFIXED = re.compile(r"(?:.{0,200}? )(?=\d{9,10}\.\d{3} +-?\d+ \S+ [A-Z_]+/\d{3} )")
_RESULT = re.compile(r" ([A-Z_]{3,40}):([A-Z_]{3,40})$")
_ABSOLUTE = re.compile(r'"(?:[A-Z]+ (?:https?|ftp|wss?)://[^\s"]|CONNECT [^\s"]+:\d)')
_ORIGIN = frozenset({"HIER_DIRECT", "DIRECT", "PINNED", "ORIGINAL_DST", "TIMEOUT_DIRECT"})


class Source:
    """Squid's access log. See `log_source.StreamSource`."""

    title = "Squid access log"

    def __init__(self) -> None:
        self._times = AccessTimes()
        self._sites = Authorities()
        self._prefixes = Prefixes()
        self._results, self._peers, self._numeric = _Results(), _Peers(), Numeric()

    def recognise(self, head: bytes) -> str | None:
        """Most of the first lines are native ones, or access lines that ask for whole URLs."""
        lines = [self._prefixes.unwrapped(line) for line in head_lines(head)]
        native = sum(1 for line in lines if _NATIVE.match(line + " "))
        emulated = sum(1 for line in lines if LINE.match(line) and (_RESULT.search(line) or _ABSOLUTE.search(line)))
        if not native + emulated or (native + emulated) * 2 <= len(lines):
            return None
        if native:
            return "lines of time elapsed client code/status size method URL user hierarchy/peer type"
        return 'lines of client - user [time] "request for a whole URL" status size'

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        log_file, unwrapped = opened.log_file, self._prefixes.unwrapped
        wrapped = any(unwrapped(line) is not line for line in head_lines(opened.head))

        def parse(line: str, number: str) -> Event | str | None:
            inner = unwrapped(line) if wrapped else line
            found = read(inner, number)
            return "other program" if found is None and inner is not line else found

        def read(line: str, number: str) -> Event | str | None:
            fields = line.split(None, 9)
            if len(fields) >= 9 and fields[0][:-4].isdecimal() and "/" in fields[3]:
                return self._native(fields, log_file, number)
            found = LINE.match(line) or SPACED.match(line)
            if found is not None:
                return self._emulated(found.groups(), log_file, number)
            prefix = _PREFIXED.match(line)  # a native line behind a prefix of another kind
            fields = line[prefix.end() :].split(None, 9) if prefix else []
            return self._native(fields, log_file, number) if len(fields) >= 9 else None

        yield from events_of_lines(opened, account, parse if wrapped else read, "Squid")

    def _native(self, fields: list[str], log_file: str, number: str) -> Event | str | None:
        peer = fields[8]
        if "/" not in peer:  # spaces in the URL or the user move what follows
            fields = _spaced(fields)
            if len(fields) < 9:
                return None
        stamp, elapsed, client, outcome, size, method, url, user, peer = fields[:9]
        if stamp[-4:-3] != "." or len(stamp) > 15 or not stamp[-3:].isdecimal():
            return None
        if method == "-" or url.startswith("error:"):
            return "connection without a request"
        code, status, ended = self._results[outcome]
        kind, _, more = fields[9].partition(" ") if len(fields) > 9 else ("-", "", "")
        event = self._event(
            (int(stamp[:-4]) * 1_000 + int(stamp[-3:])) * 1_000,
            log_file,
            number,
            (client, user, size, kind, elapsed),
            (method, url, status, ended, code, peer),
        )
        if more:
            _add_texts(event, quoted(more))
        return event

    def _emulated(self, groups: tuple[str | None, ...], log_file: str, number: str) -> Event | str | None:
        _, client, _, user, stamp, request, status, size, rest = (group or "" for group in groups)
        time = self._times[stamp]
        if time is None:
            return None
        method, url = request_parts(request)
        if method is None or url.startswith("error:"):
            return "connection without a request"
        result = _RESULT.search(rest)
        code, peer = (result[1], f"{result[2]}/-") if result else ("", "/-")
        event = self._event(
            time,
            log_file,
            number,
            (client, user, size, "-", ""),
            (method, url, count(status) or None, _ended(code), code, peer),
        )
        _add_texts(event, quoted(rest))
        return event

    def _event(
        self,
        time: int,
        log_file: str,
        number: str,
        seen: tuple[str, str, str, str, str],
        request: tuple[str, str, int | None, str | None, str, str],
    ) -> Event:
        client, user, size, kind, elapsed = seen
        method, url, status, ended, code, peer = request
        host, port = self._sites.of(url)
        origin, hierarchy, parent = self._peers[peer]
        sent = int(size) if size.isdecimal() and len(size) < 19 else None
        event = Event(
            kind=_HTTP,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=number,
            host_ip=client,
            user=None if user == "-" else user,
            file_size=sent,
            file_type=None if kind == "-" else kind,
            src_ip=client,
            dst_ip=origin,
            dst_port=port,
            dst_host=host,
            transport="tcp",
            protocol="http",
            bytes_in=sent,
            duration=int(elapsed) * 1_000 if elapsed.isdecimal() and len(elapsed) < 13 else None,
            url=url,
            method=method,
            status=status,
            outcome=ended,
            extra={"result": code, "hierarchy": hierarchy} if code else None,
        )
        if parent is not None and event.extra is not None:
            event.extra["parent"] = parent
        if not self._numeric[client]:
            event.host = event.src_host = client
            event.host_ip = event.src_ip = None
        return event


def _add_texts(event: Event, texts: list[str | None]) -> None:
    """Referrer and user agent, which are quoted behind the fields."""
    if texts:
        event.referrer = texts[0]
        event.user_agent = texts[1] if len(texts) > 1 else None


class _Results(Remembered[tuple[str, int | None, str | None]]):
    """Result code, status and how the request ended, by `code/status`."""

    def read(self, key: str) -> tuple[str, int | None, str | None]:
        code, _, status = key.partition("/")
        return code, count(status) or None, _ended(code)


class _Peers(Remembered[tuple[str | None, str, str | None]]):
    """Address of the origin, hierarchy code, name of a parent proxy, by `hierarchy/peer`."""

    def read(self, key: str) -> tuple[str | None, str, str | None]:
        hierarchy, _, other = key.partition("/")
        direct = hierarchy in _ORIGIN
        return other if direct and is_address(other) else None, hierarchy, None if direct or other == "-" else other


def _spaced(fields: list[str]) -> list[str]:
    """The nine fields and the rest of a native line with spaces inside. The peer is the first code/peer behind the URL; the
    words before it are the user's, unless the last of them says that there is none: then they are the URL's."""
    words = " ".join(fields[7:]).split(" ")
    for index in range(1, min(len(words), 12)):
        code, slash, _ = words[index].partition("/")
        if slash and code.isupper():
            url, user = fields[6], words[:index]
            if user[-1] == "-":
                url, user = " ".join([url, *user[:-1]]), ["-"]
            return [*fields[:6], url, " ".join(user), words[index], " ".join(words[index + 1 :]) or "-"]
    return []


def _ended(code: str) -> str | None:
    """What the result code says plainly of how the request ended."""
    if "DENIED" in code:
        return "blocked"
    return "cancelled" if code.endswith("_ABORTED") else None
