"""The prefix of syslog lines: RFC 3164 (no year), RFC 5424, and the ISO form that rsyslog and journald write.

A time without a year gets the year that `YearGuess` decides; a time without a zone is taken as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tidewaiter.formats.text_lines import text

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_ISO = rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?"
ISO_TIME = re.compile(_ISO)
_BSD_TIME = rb"(\w{3}) +(\d{1,2})(?: (\d{4}))? (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
_BSD_LINE = re.compile(rb"(?:<\d{1,3}>)?" + _BSD_TIME + rb" (?:(\S+) )?")
_ISO_LINE = re.compile(rb"(?:<\d{1,3}>)?(?:1 )?" + _ISO + rb" (?:(\S+) )?")
_HOST = re.compile(
    rb"(?:<\d{1,3}>)?(?:1 )?(?:[A-Z][a-z]{2} +\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*)"
    rb" ([^\s:\[]+) "
)


class SyslogLine(NamedTuple):
    """The prefix of one line."""

    time: int | None  # microseconds since 1970 UTC; None where the line has no year and none was given
    host: str | None
    rest: bytes  # from the program's name on
    month: int
    dated: bool  # the line names its year


def prefix_host(line: bytes) -> bytes | None:
    """The host of a syslog line, or None when the line does not begin like one."""
    found = _HOST.match(line)
    return found[1] if found and found[1] != b"-" else None


def parse_iso(raw: bytes) -> int | None:
    """Microseconds since 1970 of `2024-01-02T03:04:05.678Z` (also with a space, an offset, or no zone: UTC)."""
    found = ISO_TIME.match(raw)
    return None if found is None else _iso_time(found.groups())


def split(line: bytes, year: int | None = None) -> SyslogLine | None:
    """The parts of a syslog line, or None when it does not begin with a time that we know.

    `year` is used where the line has none (RFC 3164); without it the time is None.
    """
    found = _ISO_LINE.match(line)
    if found is not None:
        groups = found.groups()
        time = _iso_time(groups[:8])
        if time is None:
            return None
        return SyslogLine(time, text(groups[8]) if groups[8] else None, line[found.end() :], int(groups[1]), dated=True)
    found = _BSD_LINE.match(line)
    if found is None or found[1].lower() not in _MONTHS:
        return None
    month_name, day, own_year, hour, minute, second, fraction, host = found.groups()
    month = _MONTHS.index(month_name.lower()) + 1
    known = int(own_year) if own_year else year
    time = None if known is None else _micros(known, month, int(day), int(hour), int(minute), int(second), fraction, None)
    if known is not None and time is None:
        return None
    return SyslogLine(time, text(host) if host else None, line[found.end() :], month, dated=own_year is not None)


class YearGuess:
    """The year of lines that have none.

    `known` is a year that the file names itself elsewhere (in an ISO line, in the XML of an event). Without one the year is
    1970, so that the order within the file holds, no run depends on today's date, and a reader sees at once that the year is
    unknown. Lines are taken to be in order of time: a month that jumps back by more than half a year begins the next year.
    """

    def __init__(self, known: int | None = None) -> None:
        self._year = known or 1970
        self._month = 0

    def of(self, month: int) -> int:
        """The year of the next line without one."""
        if self._month - month > 6:
            self._year += 1
        elif self._month and month - self._month > 6:
            return max(self._year - 1, 1970)  # a straggler from before the turn of the year
        self._month = month
        return self._year


def _iso_time(groups: tuple[bytes, ...]) -> int | None:
    year, month, day, hour, minute, second, fraction, zone = groups
    return _micros(int(year), int(month), int(day), int(hour), int(minute), int(second), fraction, zone)


def _micros(
    year: int, month: int, day: int, hour: int, minute: int, second: int, fraction: bytes | None, zone: bytes | None
) -> int | None:
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    whole = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) + (second - min(second, 59))
    if zone and zone != b"Z":
        offset = int(zone[1:3]) * 3_600 + int(zone[-2:]) * 60
        whole += offset if zone[:1] == b"-" else -offset
    return whole * 1_000_000 + (int(fraction[:6].ljust(6, b"0")) if fraction else 0)
