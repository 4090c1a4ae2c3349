"""Syslog prefixes of text lines, for every log source that reads syslog: RFC 3164, RFC 5424, and the ISO form of rsyslog.

Whatever the layout, what follows the prefix is given as RFC 3164 has it: `program[pid]: message`.

The same time stands on many lines, so each is read once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidewaiter.formats.syslog import YearGuess, split

_YEAR = re.compile(rb"(?:^|[\n> ])((?:19|20)\d\d)-\d\d-\d\dT\d\d:")
_PREFIX = re.compile(
    r"(?:<\d{1,3}>)?(1 )?"
    r"([A-Z][a-z]{2} +\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) +"
    r"(?:(?![^\s:\[\]]{1,64}(?:\[\d+\])?: )(?!\w{1,3}\(\d{1,3}\) )(\S+) )?"
)
"""Version of RFC 5424, time, host: a word that is no `program[pid]:` and no severity of ESXi."""
_STRUCTURED = re.compile(r"([^\s:\[]\S*) (\S+) \S+ (?:-(?= |$)|(?:\[(?:[^\]\\]|\\.){0,2000}+\]){1,20}+(?= |$)) ?\ufeff?")
"""Program, process, message id and structured data of RFC 5424."""
_LIKE_STRUCTURED = re.compile(r"[^\s:\[]+ \d{1,12} \S{1,32} (?:-|\[[^\s\]]+ [^\s=\]]+=\") ?")
"""How what follows the host looks where only the version was left off: some collectors do that."""
_PROGRAM = re.compile(r"[^\s:\[\]]{1,64}(?:\[\d+\])?: ")


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
        if version or (" - " in rest and _LIKE_STRUCTURED.match(rest)):
            structured = _STRUCTURED.match(rest)
            if structured is not None:
                pid = f"[{structured[2]}]" if structured[2].isdecimal() else ""
                rest = f"{structured[1]}{pid}: {rest[structured.end() :]}"
        return Prefix(self._time, None if host == "-" else host, rest)

    def unwrapped(self, line: str) -> str:
        """The message alone of a syslog line; any other line as it is."""
        prefix = self.split(line)
        if prefix is None:
            return line
        program = _PROGRAM.match(prefix.rest)
        return line if program is None else prefix.rest[program.end() :]

    def _read(self, stamp: str) -> int | None:
        raw = stamp.encode() + b" host "
        prefix = split(raw, 1970)
        if prefix is not None and not prefix.dated:
            prefix = split(raw, self._years.of(prefix.month))
        return prefix.time if prefix is not None else None
