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
    count,
    is_address,
    quoted,
    request_parts,
)
from tidewaiter.formats.line_log import events_of_lines, head_lines
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

    def recognise(self, head: bytes) -> str | None:
        """Most of the first lines are native ones, or access lines that ask for whole URLs."""
        lines = head_lines(head)
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
        log_file = opened.log_file

        def parse(line: str, number: str) -> Event | str | None:
            fields = line.split(None, 9)
            if len(fields) >= 9 and fields[0][:-4].isdecimal() and "/" in fields[3]:
                return self._native(fields, log_file, number)
            found = LINE.match(line) or SPACED.match(line)
            if found is not None:
                return self._emulated(found.groups(), log_file, number)
            prefix = _PREFIXED.match(line)  # a native line inside one of syslog
            fields = line[prefix.end() :].split(None, 9) if prefix else []
            return self._native(fields, log_file, number) if len(fields) >= 9 else None

        yield from events_of_lines(opened, account, parse, "Squid")

    def _native(self, fields: list[str], log_file: str, number: str) -> Event | str | None:
        stamp, elapsed, client, outcome, size, method, url, user, peer = fields[:9]
        if "/" not in peer:  # spaces in the URL or the user move what follows
            fields = _spaced(fields)
            if len(fields) < 9:
                return None
            url, user, peer = fields[6:9]
        seconds, point, millis = stamp.partition(".")
        if not (point and millis.isdecimal() and seconds.isdecimal() and len(seconds) < 12):
            return None
        if method == "-" or url.startswith("error:"):
            return "connection without a request"
        code, _, status = outcome.partition("/")
        rest = fields[9] if len(fields) > 9 else "-"
        kind, _, more = rest.partition(" ")
        texts = quoted(more) if more else []
        return self._event(
            (int(seconds) * 1_000 + int(millis[:3])) * 1_000,
            log_file,
            number,
            (client, None if user == "-" else user),
            (method, url, status, size, code, peer),
            (None if kind == "-" else kind, elapsed, texts),
        )

    def _emulated(self, groups: tuple[str | None, ...], log_file: str, number: str) -> Event | str | None:
        _, client, _, user, stamp, request, status, size, rest = (group or "" for group in groups)
        time = self._times.read(stamp)
        if time is None:
            return None
        method, url = request_parts(request)
        if method is None or url.startswith("error:"):
            return "connection without a request"
        result = _RESULT.search(rest)
        code, peer = (result[1], f"{result[2]}/-") if result else ("", "/-")
        texts = quoted(rest) if rest else []
        who = (client, None if user == "-" else user)
        return self._event(time, log_file, number, who, (method, url, status, size, code, peer), (None, "", texts))

    def _event(
        self,
        time: int,
        log_file: str,
        number: str,
        who: tuple[str, str | None],
        request: tuple[str, str, str, str, str, str],
        about: tuple[str | None, str, list[str | None]],
    ) -> Event:
        client, user = who
        method, url, status, size, code, peer = request
        kind, elapsed, texts = about
        host, port = self._sites.of(url)
        hierarchy, _, other = peer.partition("/")
        direct = hierarchy in _ORIGIN
        sent = count(size)
        extra = {"result": code} if code else {}
        if hierarchy:
            extra["hierarchy"] = hierarchy
        if not direct and other != "-":
            extra["parent"] = other
        numeric = is_address(client)
        spent = count(elapsed)
        return Event(
            kind=_HTTP,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=number,
            host=None if numeric else client,
            host_ip=client if numeric else None,
            user=user,
            file_size=sent,
            file_type=kind,
            src_ip=client if numeric else None,
            src_host=None if numeric else client,
            dst_ip=other if direct and is_address(other) else None,
            dst_port=port,
            dst_host=host,
            transport="tcp",
            protocol="http",
            bytes_in=sent,
            duration=None if spent is None else spent * 1_000,
            url=url,
            referrer=texts[0] if texts else None,
            user_agent=texts[1] if len(texts) > 1 else None,
            method=method,
            status=count(status) or None,
            outcome=_outcome(code),
            extra=extra or None,
        )


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


def _outcome(code: str) -> str | None:
    """What the result code says plainly of how the request ended."""
    if "DENIED" in code:
        return "blocked"
    return "cancelled" if code.endswith("_ABORTED") else None
