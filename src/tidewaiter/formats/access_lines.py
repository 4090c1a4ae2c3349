"""Lines of access logs in the Common Log Format and its relatives, as servers and proxies write them.

Format: Apache's "Log Files" (common, combined, `vhost_combined`) and nginx's `log_format combined`; the time also as
Python's http.server and reporting proxies write it (`[24/Nov/2026 02:54:46]`, `[24/11/2026 02:54:46]`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

_TAIL = (
    r" \[(\d\d/\w{2,3}/\d{4}[ :][\d:]{8}(?: [+-]\d{4})?)\] "
    r"\"((?:[^\"\\]++|\\.|\"(?! (?:\d{3}|-)(?: |$)))*+)\" (\d{3}|-)(?: (\d+|-)(?= |$))?(.*)"
)
LINE = re.compile(r"(?:([^\s\[\"]+(?::\d{1,5}|(?= [\d.]{7,15} \S+ \S+ \[))) )??([^\s\[\"]+) (\S+) (\S+)" + _TAIL)
"""[virtual host] client ident user [time] "request" status size, then what the layout adds: nine groups."""

SPACED = re.compile(r"(?:([^\s\[\"]+:\d{1,5}) )?([^\s\[\"]+) (\S+) ([^\[\"]{1,200}?)" + _TAIL)
"""The same for users whose names hold spaces; slower, so asked second."""

_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)(?:"|$)')
_MONTHS = {
    name: number
    for number, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_KEPT = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(value: str) -> int | None:
    day, month, year = int(value[:2]), value[3:-1].partition("/")[0].lower(), value[3:].partition("/")[2][:4]
    clock = value.partition(year)[2]
    number = _MONTHS.get(month)
    if number is None:
        if not (month.isdecimal() and len(month) == 2):
            return None
        number = int(month)
        if number > 12 >= day:  # month first
            day, number = number, day
    try:
        hour, minute, second = clock[1:3], clock[4:6], clock[7:9]
        moment = datetime(int(year), number, day, int(hour), int(minute), min(int(second), 59), tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    offset = clock[10:]
    shift = (int(offset[1:3]) * 3_600 + int(offset[3:5]) * 60) * (-1 if offset[0] == "-" else 1) if offset else 0
    return (moment.days * 86_400 + moment.seconds - shift) * 1_000_000


def quoted(rest: str) -> list[str | None]:
    """The quoted texts behind the size in order (referrer, user agent ...); `-` is None."""
    return [None if value in ("-", "") else _plain(value) for value in _QUOTED.findall(rest)]


def request_parts(request: str) -> tuple[str | None, str]:
    """(method, target) of a request line; the method is None where the line is no request. Targets may hold spaces."""
    method, _, target = request.partition(" ")
    if not method.isupper() or not target:
        return None, _plain(request)
    before, _, version = target.rpartition(" ")
    if version.startswith("HTTP/"):
        target = before
    return method, _plain(target)


def _plain(value: str) -> str:
    """The text without the backslashes before quotes that Apache writes."""
    return value.replace('\\"', '"') if '\\"' in value else value


Kept = TypeVar("Kept")


class Remembered(dict[str, Kept]):
    """What a text means, read once: lines repeat addresses, sites and codes. Bounded."""

    def __missing__(self, key: str) -> Kept:
        if len(self) >= _KEPT:
            self.clear()
        value = self[key] = self.read(key)
        return value

    def read(self, key: str) -> Kept:
        """The meaning of one text."""
        raise NotImplementedError


class Numeric(Remembered[bool]):
    """Whether a text is an address."""

    def read(self, key: str) -> bool:
        """See `is_address`."""
        return is_address(key)


class AccessTimes(Remembered[int | None]):
    """Reads the times between brackets into microseconds since 1970 UTC, None where the text is no time.

    A time without an offset is taken as UTC.
    """

    def read(self, key: str) -> int | None:
        """The moment of one text."""
        return _moment(key)


class Authority(NamedTuple):
    """Host and port of a URL."""

    host: str | None
    port: int | None


_PORTS = {"http": 80, "https": 443, "ftp": 21}


class Authorities(Remembered[Authority]):
    """Host and port of URLs; those of the same site are read once."""

    def of(self, url: str) -> Authority:
        """Host and port of an absolute URL or of `host:port`; (None, None) where it names none."""
        start = url.find("://")
        if start > 0:
            end = url.find("/", start + 3)
            return self[url[:end] if end > 0 else url]
        return self[url]

    def read(self, key: str) -> Authority:
        """See `authority`."""
        return authority(key)


def authority(site: str) -> Authority:
    """Host and port of `scheme://user@host:port` or `host:port`."""
    try:
        parts = urlsplit(site if "://" in site else f"//{site}")
        port = parts.port or _PORTS.get(parts.scheme)
        host = parts.hostname
    except ValueError:
        return Authority(None, None)
    return Authority(host, port) if host else Authority(None, None)


def is_address(value: str) -> bool:
    """Whether the text looks like an IPv4 or IPv6 address: digits and dots, or colons among hex digits."""
    return (value.count(".") == 3 and value.replace(".", "").isdigit()) or (value.count(":") > 1 and "." not in value[:4])


def count(value: str | None) -> int | None:
    """A decimal number, or None for `-`, nothing and anything else."""
    return int(value) if value and len(value) < 19 and value.isdecimal() and value.isascii() else None
