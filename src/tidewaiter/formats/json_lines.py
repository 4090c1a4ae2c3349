"""JSON, one object a line, as sensors write it: recognising it, and the times in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

LONGEST_NUMBER = 400
"""Digits of a whole number; Python reads longer ones slowly, or not at all."""

OBJECTS_LOOKED_AT = 20
"""How many lines a recogniser looks at: the first may be of a kind that says little."""
MINUTES_KEPT = 50_000

_DECODE = msgspec.json.Decoder().decode


def first_objects(head: bytes, most: int = OBJECTS_LOOKED_AT) -> Iterator[dict[str, Any]]:
    """The objects on the first whole lines of `head`; ends at the first line that is not one. Never raises.

    Blank lines are passed over. A last line without an end is looked at too: the file may be one line long.
    """
    found = 0
    for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        stripped = line.strip(b" \t\r\0")
        if not stripped:
            continue
        if stripped[:1] != b"{" or found == most:
            return
        try:
            value = _DECODE(stripped)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        found += 1
        yield value


def decode_spelled(line: bytes) -> Any:
    """The value of one line of JSON with numbers too large for a computer (`1e511`) as texts, as spelled.

    Where nobody looks at such a number it is no damage; where somebody does, a text is none of the numbers it takes.
    Raises ValueError where the line is no JSON.
    """

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    def real(spelled: str) -> float | str:
        number = float(spelled)
        return number if math.isfinite(number) else spelled

    def whole(spelled: str) -> int | str:
        return int(spelled) if len(spelled) < LONGEST_NUMBER else spelled

    return json.loads(line.decode(), parse_float=real, parse_int=whole, parse_constant=constant)


class IsoTimes:
    """Reads ISO 8601 times such as `2024-05-06T07:08:09.123456+0000` into microseconds since 1970 UTC.

    Logs are in order of time, so the part up to the minute and the offset are read once a minute and remembered.
    """

    def __init__(self) -> None:
        self._minutes: dict[str, int] = {}

    def read(self, text: str) -> int | None:
        """Microseconds since 1970 UTC, or None where the text is no time. A time without an offset is taken as UTC."""
        if len(text) == 31 and text[19] == ".":  # the fixed form of sensors
            key = text[:17] + text[26:]
            minute = self._minutes.get(key)
            if minute is None:
                minute = self._any(text[:17] + "00.000000" + text[26:])
                if minute is None:
                    return None
                if len(self._minutes) >= MINUTES_KEPT:
                    self._minutes.clear()
                self._minutes[key] = minute
            digits = text[17:19] + text[20:26]  # seconds and millionths: together, the microseconds of the minute
            if digits.isdigit() and digits.isascii():
                return minute + int(digits)
        return self._any(text)

    @staticmethod
    def _any(text: str) -> int | None:
        """Any ISO 8601 time."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        try:
            span = moment - datetime(1970, 1, 1, tzinfo=UTC)
        except OverflowError:
            return None
        return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
