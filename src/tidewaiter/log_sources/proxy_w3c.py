"""Web logs in the W3C extended layout: proxies (Blue Coat, ISA/TMG and the like) and servers (IIS, its FTP service too).

Format: `formats/w3c_lines.py`; which column holds what is in knowledge/w3c_fields.toml. A log with paths and no origin is one
of a server: then `extra.server_side` is set and the device is the server, otherwise the device is the client. Times are UTC
as the draft demands; `time-taken` is read as milliseconds, as these writers have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tidewaiter.catalog.columns import Columns, shipped
from tidewaiter.formats.access_lines import Authorities, count, is_address
from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.formats.line_log import events_of_lines, head_lines
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
_PORTS = {"http": 80, "https": 443, "ftp": 21}


class Source:
    """A web log with a #Fields line. See `log_source.StreamSource`."""

    title = "W3C extended web log"

    def __init__(self) -> None:
        self._columns = Columns(shipped("w3c_fields"), exact=True)
        self._layout = _Layout({}, 0)
        self._minutes: dict[str, int | None] = {}
        self._iso = IsoTimes()
        self._sites = Authorities()

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
        row: dict[str, str] = {}
        for meaning, place in layout.places:
            value = found[place] if place < len(found) else "-"
            if value not in ("-", ""):
                row[meaning] = value
        time = self._time(row)
        client = row.get("client")
        if time is None or client is None:
            return None
        verb = _FTP_METHOD.match(row.get("method", ""))
        if verb is not None:
            return _ftp(row, _FTP_VERB.get(verb[1], verb[1]), time, log_file, number)
        return self._http(row, client, time, log_file, number)

    def _http(self, row: dict[str, str], client: str, time: int, log_file: str, number: str) -> Event:
        server_side = self._layout.server_side
        url, host, port = self._target(row)
        method, get = row.get("method"), row.get
        numeric = is_address(client)
        sent, spent = count(get("bytes_in")), count(get("milliseconds"))
        verdict = get("verdict") or get("result") or ""
        return Event(
            kind=_HTTP,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=number,
            host=get("server_name") if server_side else None if numeric else client,
            host_ip=get("server") if server_side else client if numeric else None,
            user=get("user"),
            file_size=None if server_side and method in _PUSHES else sent,
            file_type=get("type"),
            sha256=get("sha256"),
            src_ip=client if numeric else None,
            src_port=count(get("client_port")),
            src_host=None if numeric else client,
            dst_ip=get("server") if server_side else _address(get("origin")),
            dst_port=port,
            dst_host=host,
            transport="tcp",
            protocol="http",
            bytes_out=count(get("bytes_out")),
            bytes_in=sent,
            duration=None if spent is None else spent * 1_000,
            url=url,
            referrer=_spaced(get("referrer")),
            user_agent=_spaced(get("user_agent")),
            method=method,
            status=count(get("status")) or None,
            outcome="blocked" if verdict and _DENIED.search(verdict) else None,
            extra=_extra(row, server_side),
        )

    def _time(self, row: dict[str, str]) -> int | None:
        date, clock = row.get("date"), row.get("time")
        if date is None or clock is None:
            stamp = row.get("timestamp", "").strip("[]")
            return self._iso.read(stamp) if stamp else None
        key = f"{date}T{clock[:8]}"
        known = self._minutes.get(key)
        if known is None:
            if len(self._minutes) > 50_000:
                self._minutes.clear()
            known = self._minutes[key] = self._iso.read(key)
        fraction = clock[9:15]
        return known + int(fraction.ljust(6, "0")) if known is not None and fraction.isdecimal() else known

    def _target(self, row: dict[str, str]) -> tuple[str | None, str | None, int | None]:
        """URL, host and port, put together from the columns that the log has."""
        url, path, query = row.get("url"), row.get("path"), row.get("query")
        if url is not None and "://" in url:
            site = self._sites.of(url)
            return url, site.host, count(row.get("port")) or site.port
        if path is None:
            path, query = url, None
        named = row.get("host")
        host, colon, tail = (named or "").partition(":") if named and named.count(":") == 1 else (named or "", "", "")
        port = count(tail) if colon else count(row.get("port")) or count(row.get("server_port"))
        scheme = row.get("scheme", row.get("protocol", "")).lower()
        if scheme not in _PORTS:
            scheme = "https" if port == 443 else "http"
        if row.get("method") == "CONNECT":
            return f"{host}:{port or 443}" if host else path, host or None, port or 443
        whole = f"{path or '/'}{'' if query is None else ('' if query[0] == '?' else '?') + query}"
        if not host:
            return whole, None, port
        where = f"[{host}]" if ":" in host else host
        shown = "" if port in (None, _PORTS[scheme]) else f":{port}"
        return f"{scheme}://{where}{shown}{whole}", host, port or _PORTS[scheme]


class _Layout:
    """The columns of the lines below one #Fields line."""

    def __init__(self, places: dict[str, int], width: int) -> None:
        self.places = list(places.items())
        self.width = width
        last = max((place for meaning, place in self.places if meaning in ("client", "path", "url", "host", "time")), default=0)
        self.needed = last + 1
        self.server_side = "path" in places and not places.keys() & {"scheme", "origin", "url"}


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


def _address(value: str | None) -> str | None:
    return value if value is not None and is_address(value) else None


def _spaced(value: str | None) -> str | None:
    """IIS writes `+` where a value has spaces."""
    return value.replace("+", " ") if value is not None and "+" in value and " " not in value else value


def _extra(row: dict[str, str], server_side: bool) -> dict[str, Any] | None:
    extra: dict[str, Any] = {"server_side": True} if server_side else {}
    for name in ("result", "verdict", "category", "threat"):
        if name in row:
            extra[name] = row[name]
    if not server_side and "server" in row:
        extra["proxy"] = row["server"]
    return extra or None
