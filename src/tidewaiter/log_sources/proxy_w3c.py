"""Web logs in the W3C extended layout: proxies (Blue Coat, ISA/TMG and the like) and servers (IIS, its FTP service too).

Format: `formats/w3c_lines.py`; which column holds what is in knowledge/w3c_fields.toml. A log with paths and no origin is one
of a server: then `extra.server_side` is set and the device is the server, otherwise the device is the client. Times are UTC
as the draft demands; `time-taken` is read as milliseconds, as these writers have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from tidewaiter.catalog.columns import Columns, shipped
from tidewaiter.formats.access_lines import Authorities, Numeric, Remembered, count
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.formats.loose_times import LooseTimes
from tidewaiter.formats.w3c_lines import field_names, values
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "proxy_w3c"

_HTTP, _FTP = EventKind.HTTP, EventKind.FTP
_FTP_METHOD = re.compile(
    r"(?:\[\d+\])?(STOR|RETR|APPE|STOU|DELE|RNFR|RNTO|MKD|RMD|CWD|LIST|NLST|USER|PASS|QUIT|created|sent|append)$"
)
_FTP_VERB = {"created": "STOR", "sent": "RETR", "append": "APPE"}
_PUSHES = frozenset({"PUT", "POST", "PATCH"})
_DENIED = re.compile(r"denied|block", re.IGNORECASE)
_COMMON = frozenset({"GET", "POST", "HEAD", "PUT", "CONNECT", "OPTIONS", "-"})
_PORTS = {"http": 80, "https": 443, "ftp": 21}


class Source:
    """A web log with a #Fields line. See `log_source.StreamSource`."""

    title = "W3C extended web log"

    def __init__(self) -> None:
        self._columns = Columns(shipped("w3c_fields"), exact=True)
        self._layout = _Layout({}, 0)
        self._moments, self._denied = _Moments(), _Denied()
        self._sites, self._numeric = Authorities(), Numeric()

    def recognise(self, head: bytes) -> str | None:
        """A #Fields line that names a client and what it asked for."""
        for line in head_lines(head):
            names = field_names(line)
            if names is not None:
                places = self._columns.places(names)
                if (
                    "client" in places
                    and places.keys() & {"path", "url", "host"}
                    and places.keys() & {"method", "status", "url"}
                ):
                    return f"#Fields: {' '.join(names[:6])[:80]} ..."
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)

        def parse(line: str, number: str) -> Event | str | None:
            if line[:1] == "#":
                names = field_names(line)
                if names is not None:
                    self._layout = _Layout(self._columns.places(names), len(names))
                return "directive"
            if not self._layout.width:
                return None
            found = values(line, self._layout.width)
            if len(found) < self._layout.needed:
                return None
            return self._event(found, opened.log_file, number)

        yield from events_of_lines(opened, account, parse, "the columns that #Fields names")

    def _event(self, found: list[str], log_file: str, number: str) -> Event | str | None:
        layout = self._layout
        if len(found) < layout.width:
            found += ["-"] * (layout.width - len(found))
        found.append("-")
        date, clock, stamp, client, method = layout.first(found)
        time = self._moments[f"{date} {clock}"] if date != "-" else self._moments[stamp.strip("[]")]
        if time is None or client in ("-", ""):
            return None
        verb = _FTP_METHOD.match(method) if method not in _COMMON else None
        if verb is not None:
            return _ftp(layout.row(found), _FTP_VERB.get(verb[1], verb[1]), time, log_file, number)
        return self._http(found, client, method, time, log_file, number)

    def _http(self, found: list[str], client: str, method: str, time: int, log_file: str, number: str) -> Event:
        layout = self._layout
        server_side = layout.server_side
        user, kind, origin, server, sent_out, sent, spent, referrer, agent, status, verdict, result = layout.second(found)
        url, host, port = self._target(layout.third(found), method)
        size = count(sent)
        ended = verdict if verdict != "-" else result
        event = Event(
            kind=_HTTP,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=number,
            host_ip=_known(server) if server_side else client,
            user=_known(user),
            file_size=size,
            file_type=_known(kind),
            src_ip=client,
            dst_ip=_known(server) if server_side else origin if self._numeric[origin] else None,
            dst_port=port,
            dst_host=host,
            transport="tcp",
            protocol="http",
            bytes_out=count(sent_out),
            bytes_in=size,
            duration=int(spent) * 1_000 if spent.isdecimal() and len(spent) < 13 else None,
            url=url,
            referrer=_spaced(referrer),
            user_agent=_spaced(agent),
            method=_known(method),
            status=count(status) or None,
            outcome="blocked" if self._denied[ended] else None,
            extra=layout.told(found),
        )
        if not self._numeric[client]:
            event.src_ip, event.src_host = None, client
            event.host, event.host_ip = (event.host, event.host_ip) if server_side else (client, None)
        if layout.seldom:
            row = layout.row(found)
            event.src_port, event.sha256 = count(row.get("client_port")), row.get("sha256")
            if server_side:
                event.host = row.get("server_name")
        if server_side and method in _PUSHES:
            event.file_size = None
        return event

    def _target(self, parts: tuple[str, ...], method: str) -> tuple[str | None, str | None, int | None]:
        """URL, host and port, put together from the columns that the log has."""
        url, path, query, named, port_text, server_port, scheme, protocol = parts
        if "://" in url:
            site = self._sites.of(url)
            return url, site.host, count(port_text) or site.port
        if path == "-":
            path, query = url, "-"
        host, port = named, count(port_text) or count(server_port)
        if ":" in named and named.count(":") == 1:
            host, _, tail = named.partition(":")
            port = count(tail)
        if host == "-":
            host = ""
        if method == "CONNECT":
            return f"{host}:{port or 443}" if host else _known(path), host or None, port or 443
        asked = "" if query in ("-", "") else query if query[0] == "?" else "?" + query
        whole = f"{'/' if path in ('-', '') else path}{asked}"
        if not host:
            return whole, None, port
        scheme = scheme if scheme in _PORTS else protocol.lower()
        if scheme not in _PORTS:
            scheme = "https" if port == 443 else "http"
        usual = _PORTS[scheme]
        where = f"[{host}]" if ":" in host else host
        return f"{scheme}://{where}{'' if port in (None, usual) else f':{port}'}{whole}", host, port or usual


class _Moments(Remembered[int | None]):
    """Microseconds since 1970 of `date time` or of one stamp; UTC as the draft demands."""

    def __init__(self) -> None:
        super().__init__()
        self._times = LooseTimes()

    def read(self, key: str) -> int | None:
        """The moment of one text."""
        return self._times.read(key)


class _Denied(Remembered[bool]):
    """Whether a verdict or an action says that the request was not let through."""

    def read(self, key: str) -> bool:
        """What one text says."""
        return _DENIED.search(key) is not None


_FIRST = ("date", "time", "timestamp", "client", "method")
_SECOND = (
    "user", "type", "origin", "server", "bytes_out", "bytes_in", "milliseconds", "referrer", "user_agent", "status", "verdict",
    "result",
)  # fmt: skip
_THIRD = ("url", "path", "query", "host", "port", "server_port", "scheme", "protocol")
_TOLD = ("result", "verdict", "category", "threat")


class _Layout:
    """The columns of the lines below one #Fields line. What a log does not have is read from a `-` behind its last column."""

    def __init__(self, places: dict[str, int], width: int) -> None:
        self._places = places
        self.width = width
        needed = ("client", "path", "url", "host", "time")
        self.needed = max((place for meaning, place in places.items() if meaning in needed), default=0) + 1
        self.server_side = "path" in places and not places.keys() & {"scheme", "origin", "url"}
        self.seldom = bool(places.keys() & {"client_port", "sha256", "server_name"})
        self.first, self.second, self.third = self._getter(_FIRST), self._getter(_SECOND), self._getter(_THIRD)
        self._told = [(name, places[name]) for name in _TOLD if name in places]

    def _getter(self, names: tuple[str, ...]) -> Callable[[list[str]], tuple[str, ...]]:
        return itemgetter(*(self._places.get(name, -1) for name in names))

    def row(self, found: list[str]) -> dict[str, str]:
        """All values by meaning."""
        return {name: found[place] for name, place in self._places.items() if found[place] not in ("-", "")}

    def told(self, found: list[str]) -> dict[str, Any] | None:
        """What has no field of its own."""
        extra: dict[str, Any] = {"server_side": True} if self.server_side else {}
        for name, place in self._told:
            if found[place] not in ("-", ""):
                extra[name] = found[place]
        server = "-" if self.server_side else found[self._places.get("server", -1)]
        if server != "-":
            extra["proxy"] = server
        return extra or None


def _ftp(row: dict[str, str], verb: str, time: int, log_file: str, number: str) -> Event:
    """One command of the FTP service of IIS."""
    client, path = row["client"], row.get("file") or row.get("path")
    about_file = verb in ("STOR", "RETR", "APPE", "STOU", "DELE", "RNFR", "RNTO")
    status = count(row.get("status"))
    pushed = verb in ("STOR", "APPE", "STOU")
    sent, taken = count(row.get("bytes_in")), count(row.get("bytes_out"))
    return Event(
        kind=_FTP,
        time=time,
        log_source=NAME,
        log_file=log_file,
        record=number,
        host=row.get("server_name"),
        host_ip=row.get("server"),
        user=row.get("user"),
        file_path=path if about_file else None,
        file_size=(taken if pushed else sent) if about_file else None,
        src_ip=client,
        src_port=count(row.get("client_port")),
        dst_ip=row.get("server"),
        dst_port=count(row.get("server_port")),
        transport="tcp",
        protocol="ftp",
        method=verb,
        query=None if verb == "PASS" else row.get("path"),
        status=status,
        outcome=None if status is None else "completed" if status // 100 == 2 else "failed" if status >= 400 else None,
        extra={"server_side": True},
    )


def _known(value: str) -> str | None:
    return None if value in ("-", "") else value


def _spaced(value: str) -> str | None:
    """IIS writes `+` where a value has spaces."""
    if value in ("-", ""):
        return None
    return value.replace("+", " ") if "+" in value and " " not in value else value
