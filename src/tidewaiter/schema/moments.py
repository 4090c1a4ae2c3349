"""Times: int64 microseconds since 1970 UTC inside, RFC 3339 outside."""

from __future__ import annotations

import functools
from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def render_time(moment: int | None) -> str | None:
    """Microseconds since 1970 as RFC 3339 in UTC; None for unknown (0 or None)."""
    if not moment:
        return None
    seconds, micro = divmod(moment, 1_000_000)
    stamp = _second(seconds)
    if stamp is None:
        return None
    return f"{stamp}.{micro:06}Z" if micro else f"{stamp}Z"


@functools.lru_cache(maxsize=8_192)
def _second(seconds: int) -> str | None:
    """A second as ISO 8601 without its offset; logs name the same one again and again."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    except (ValueError, OverflowError, OSError):
        return None


def parse_time(text: str) -> int | None:
    """RFC 3339 as microseconds since 1970, or None."""
    if len(text) == 27 and text[19] == "." and text[26] == "Z":  # as `render_time` writes it
        micro = text[20:26]
        if micro.isascii() and micro.isdecimal():
            whole = _parsed(text[:19] + "Z")
            return None if whole is None else whole + int(micro)
    return _parsed(text)


@functools.lru_cache(maxsize=8_192)
def _parsed(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
