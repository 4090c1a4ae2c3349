"""Times: int64 microseconds since 1970 UTC inside, RFC 3339 outside."""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def render_time(moment: int | None) -> str | None:
    """Microseconds since 1970 as RFC 3339 in UTC; None for unknown (0 or None)."""
    if not moment:
        return None
    try:
        seconds, micro = divmod(moment, 1_000_000)
        stamp = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)
    except (ValueError, OverflowError, OSError):
        return None
    return stamp.isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> int | None:
    """RFC 3339 as microseconds since 1970, or None."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
