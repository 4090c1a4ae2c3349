"""Access logs of web servers: Apache and nginx in the common, combined and virtual-host layouts, Python's http.server.

Format: see `formats/access_lines.py`. It is the server's view (`extra.server_side`): `src` is the client, the server itself is
`dst`, known only where the layout names the virtual host. The size is that of the answer; what a client pushed has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidewaiter.formats.access_lines import (
    LINE,
    SPACED,
    AccessTimes,
    Numeric,
    authority,
    is_address,
    quoted,
    request_parts,
)
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.formats.syslog_lines import Prefixes
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "web_server"

_HTTP = EventKind.HTTP
_SITE = re.compile(r"(?:^|[\" ])([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-f:]+\]):(\d{1,5})$")
_PUSHES = frozenset({"PUT", "POST", "PATCH"})


class Source:
    """The access log of a web server. See `log_source.StreamSource`."""

    title = "web server access log"

    def __init__(self) -> None:
        self._times = AccessTimes()
        self._prefixes = Prefixes()

    def recognise(self, head: bytes) -> str | None:
        """Most of the first lines are `client - user [time] "request" status size`."""
        lines = [self._prefixes.unwrapped(line) for line in head_lines(head)]
        found = sum(1 for line in lines if LINE.match(line) or SPACED.match(line))
        return 'lines of client ident user [time] "request" status size' if found and found * 2 > len(lines) else None

    def _in_syslog(self, head: bytes) -> bool:
        return any(self._prefixes.unwrapped(line) is not line for line in head_lines(head))

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        log_file, times, numeric = opened.log_file, self._times, Numeric()
        wrapped, unwrapped = self._in_syslog(opened.head), self._prefixes.unwrapped

        def parse(line: str, number: str) -> Event | str | None:
            inner = unwrapped(line) if wrapped else line
            found = LINE.match(inner) or SPACED.match(inner)
            if found is None:
                return "other program" if inner is not line else None
            vhost, client, _, user, stamp, request, status, size, rest = found.groups()
            time = times[stamp]
            if time is None:
                return None
            method, target = request_parts(request)
            if method is None:
                return "request that is none"
            sent = int(size) if size and size != "-" and len(size) < 19 else None
            event = Event(
                kind=_HTTP,
                time=time,
                log_source=NAME,
                log_file=log_file,
                record=number,
                user=None if user in ("-", '""') else user,
                src_ip=client,
                transport="tcp",
                protocol="http",
                bytes_in=sent,
                file_size=None if method in _PUSHES else sent,
                url=target,
                method=method,
                status=None if status == "-" else int(status),
                extra={"server_side": True},
            )
            if not numeric[client]:
                event.src_ip, event.src_host = None, client
            if rest:
                _add_texts(event, rest)
            if vhost is not None or rest[-1:].isdecimal():
                event.dst_host, event.dst_port = _site(vhost, rest)
                event.url = _url(target, event.dst_host, event.dst_port)
            return event

        yield from events_of_lines(opened, account, parse, "an access log")


def _add_texts(event: Event, rest: str) -> None:
    """Referrer, user agent, and the address that the client had before a proxy."""
    texts = quoted(rest)
    if not texts:
        return
    event.referrer = texts[0]
    if len(texts) > 1:
        event.user_agent = texts[1]
    if len(texts) > 2 and texts[2] is not None and event.extra is not None and is_address(texts[2].partition(",")[0]):
        event.extra["forwarded_for"] = texts[2]


def _site(vhost: str | None, rest: str) -> tuple[str | None, int | None]:
    """The virtual host and its port: before the client, or behind everything else."""
    if vhost is not None:
        return authority(vhost)
    found = _SITE.search(rest) if rest[-1:].isdecimal() else None
    return (found[1].strip("[]"), int(found[2])) if found else (None, None)


def _url(target: str, host: str | None, port: int | None) -> str:
    """The whole URL where the host is known, else the path as the log has it."""
    if host is None or not target.startswith("/"):
        return target
    site = f"[{host}]" if ":" in host else host
    if port == 443:
        return f"https://{site}{target}"
    return f"http://{site}{target}" if port in (None, 80) else f"http://{site}:{port}{target}"
