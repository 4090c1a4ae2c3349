"""Times as people's exports spell them: seconds since 1970 in any unit, ISO 8601, with slashes, with the name of the month.

A time without a zone is taken as UTC. Where day and month cannot be told apart the month comes first, and `guessed` says so.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tidewaiter.formats.json_lines import IsoTimes

_KEPT = 50_000
_NUMBER = re.compile(r"(\d{9,19})(?:\.(\d{1,9}))?")
_SLASHED = re.compile(
    r"(\d{1,4})[/.](\d{1,2}|[A-Za-z]{3})[/.](\d{1,4})[ T:,]+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(?: ?([AaPp])[Mm])?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?"
)
_NAMED = re.compile(r"(?:[A-Za-z]{3,9},? )?([A-Za-z]{3})[a-z]* +(\d{1,2}),? +(\d{4})[ ,]+(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?")
_NAMED_LATE = re.compile(r"(?:[A-Za-z]{3} )?([A-Za-z]{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNITS = {9: 1_000_000, 10: 1_000_000, 13: 1_000, 16: 1}


class LooseTimes:
    """Reads times; the same text is read once."""

    def __init__(self) -> None:
        self._iso = IsoTimes()
        self._known: dict[str, int | None] = {}
        self.guessed = False

    def read(self, text: str) -> int | None:
        """Microseconds since 1970 UTC, or None where the text is no time that we know."""
        if text in self._known:
            return self._known[text]
        if len(self._known) >= _KEPT:
            self._known.clear()
        moment = self._known[text] = self._moment(text.strip(" []\"'"))
        return moment

    def _moment(self, text: str) -> int | None:
        number = _NUMBER.fullmatch(text)
        if number is not None:
            return _since_1970(number[1], number[2] or "")
        moment = self._iso.read(text.replace(" UTC", "Z") if text[4:5] == "-" else text)
        if moment is not None:
            return moment
        slashed = _SLASHED.fullmatch(text)
        if slashed is not None:
            return self._slashed(slashed)
        named = _NAMED.fullmatch(text)
        if named is not None:
            month, day, year, hour, minute, second, fraction = named.groups()
        else:
            named = _NAMED_LATE.fullmatch(text)
            if named is None:
                return None
            month, day, hour, minute, second, fraction, year = named.groups()
        return _build(year, month, day, (hour, minute, second, fraction), None, None)

    def _slashed(self, found: re.Match[str]) -> int | None:
        first, second, third, hour, minute, seconds, fraction, half, zone = found.groups()
        clock = (hour, minute, seconds, fraction)
        if len(first) == 4:
            return _build(first, second, third, clock, half, zone)
        if second.isalpha() or int(first) > 12:
            return _build(third, second, first, clock, half, zone)
        if int(second) <= 12 and half is None and first != second:
            self.guessed = True
        return _build(third, first, second, clock, half, zone)


def _since_1970(whole: str, fraction: str) -> int | None:
    unit = _UNITS.get(len(whole))
    if unit is None:
        return int(whole) // 1_000 if len(whole) == 19 else None
    return int(whole) * unit + (int(fraction[:6].ljust(6, "0")) if unit == 1_000_000 and fraction else 0)


def _build(
    year: str, month: str, day: str, clock: tuple[str, str, str | None, str | None], half: str | None, zone: str | None
) -> int | None:
    number = int(month) if month.isdecimal() else _MONTHS.index(month.lower()) + 1 if month.lower() in _MONTHS else 0
    hour, minute, second, fraction = clock
    hours = int(hour)
    if half is not None:
        hours = hours % 12 + (12 if half in "Pp" else 0)
    try:
        moment = datetime(int(year), number, int(day), hours, int(minute), min(int(second or 0), 59), tzinfo=UTC)
    except ValueError:
        return None
    micros = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000
    if zone is not None and zone[0] in "+-":
        shift = (int(zone[1:3]) * 3_600 + int(zone[-2:]) * 60) * 1_000_000
        micros += shift if zone[0] == "-" else -shift
    return micros + (int(fraction[:6].ljust(6, "0")) if fraction else 0)
