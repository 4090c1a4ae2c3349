"""Syslog prefixes of text lines: `formats/syslog.py` for readers that hold text, with the year of lines that have none.

The same time stands on many lines, so each is read once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidewaiter.formats.syslog import YearGuess, split

_YEAR = re.compile(rb"(?:^|[\n> ])((?:19|20)\d\d)-\d\d-\d\dT\d\d:")
_PREFIX = re.compile(
    r"(?:<\d{1,3}>)?(1 )?"
    r"([A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) +"
    r"(?:(?![^\s:\[\]]{1,64}(?:\[\d+\])?: )(?!\w{1,3}\(\d{1,3}\) )(\S+) )?"
)
"""Version of RFC 5424, time, host: a word that is no `program[pid]:` and no severity of ESXi."""
_STRUCTURED = re.compile(r"(\S+) (\d+|-) \S+ (?:-|\[(?:[^\]\\]|\\.){0,2000}\]) ?\ufeff?")


class Prefix(NamedTuple):
    """The prefix of a line and what follows it."""

    time: int  # microseconds since 1970 UTC
    host: str | None
    rest: str  # `program[pid]: message`


class Prefixes:
    """Takes syslog lines apart. `head` may name the year that the lines themselves leave out."""

    def __init__(self, head: bytes = b"") -> None:
        named = _YEAR.search(head)
        self._years = YearGuess(int(named[1]) if named else None)
        self._stamp, self._time = "", 0

    def split(self, line: str) -> Prefix | None:
        """Time, host and rest of a line; None where it begins with no time that we know."""
        found = _PREFIX.match(line)
        if found is None:
            return None
        version, stamp, host = found.groups()
        if stamp != self._stamp:
            time = self._read(stamp)
            if time is None:
                return None
            self._stamp, self._time = stamp, time
        rest = line[found.end() :]
        if version:
            structured = _STRUCTURED.match(rest)
            if structured is not None:
                pid = "" if structured[2] == "-" else f"[{structured[2]}]"
                rest = f"{structured[1]}{pid}: {rest[structured.end() :]}"
        return Prefix(self._time, host, rest)

    def _read(self, stamp: str) -> int | None:
        raw = stamp.encode() + b" host "
        prefix = split(raw, 1970)
        if prefix is not None and not prefix.dated:
            prefix = split(raw, self._years.of(prefix.month))
        return prefix.time if prefix is not None else None
