"""What EVTX and JSON readers of Windows events have in common: which records are wanted, named values, times."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tidewaiter.log_source import WindowsRecord, WindowsSource

NO_USE = "windows event of no use here"
"""Reason of records that no log source maps: their provider and event id say so."""

_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE_CALL = re.compile(r"/Date\((-?\d{1,15})\)/")
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_FEW = 3  # an element that only wraps others has at most its attributes beside them
_YEARS = (0, 253_402_300_799)  # seconds of 1970 to 9999: what a bare number may mean


class PassOver(NamedTuple):
    """When records of one provider and event id need not be read: all the patterns are found in their JSON text."""

    provider: bytes  # lower case
    patterns: tuple[re.Pattern[str], ...]
    byte_patterns: tuple[re.Pattern[bytes], ...]
    reason: str

    def has_text(self, text: str) -> bool:
        """Whether the record with this JSON text is passed over."""
        return all(pattern.search(text) for pattern in self.patterns)

    def has_bytes(self, raw: bytes) -> bool:
        """As `has_text`; the provider's name has to be in the text as well."""
        return self.provider in raw.lower() and all(pattern.search(raw) for pattern in self.byte_patterns)


class Route(NamedTuple):
    """Where a record goes, and when it may be passed over unread."""

    source: WindowsSource
    pass_over: PassOver | None = None


Found = tuple[Route, WindowsRecord] | None
"""A wanted record; None is a sign of life between records that nobody wants."""


class Routes:
    """The log source of each provider and event id.

    A source may have `pass_over: Mapping[int, tuple[tuple[str, ...], str]]`, by event id regular expressions that are all
    found in the JSON text of records to be skipped, and the reason; and `channels: Mapping[str, str]`, the provider (lower
    case) that a record has which names only its channel (lower case).
    """

    def __init__(self, sources: Iterable[WindowsSource]) -> None:
        self.sources = list(sources)
        self._routes: dict[tuple[str, int], Route] = {}
        self._channels: dict[str, str] = {}
        self.passed_over: dict[int, PassOver] = {}
        for source in self.sources:
            rules: Mapping[int, tuple[tuple[str, ...], str]] = getattr(source, "pass_over", {})
            self._channels.update(getattr(source, "channels", {}))
            for provider, ids in source.providers.items():
                for event_id in ids:
                    rule = rules.get(event_id)
                    pass_over = _compiled(provider, *rule) if rule else None
                    self._routes[provider, event_id] = Route(source, pass_over)
                    if pass_over is not None:
                        self.passed_over[event_id] = pass_over
        self.event_ids = frozenset(event_id for _, event_id in self._routes)

    def find(self, provider: str, event_id: int) -> Route | None:
        """The route of a record, or None where no source maps it. `provider` in any case."""
        return self._routes.get((provider.lower(), event_id))

    def provider_of_channel(self, channel: str | None) -> str | None:
        """The provider that a channel is known to belong to: its own name before the slash, or what a source says."""
        if not channel:
            return None
        name = channel.lower()
        return self._channels.get(name) or (name.partition("/")[0] if "/" in name else None)


@functools.cache
def _compiled(provider: str, patterns: tuple[str, ...], reason: str) -> PassOver:
    return PassOver(
        provider.encode(),
        tuple(re.compile(pattern) for pattern in patterns),
        tuple(re.compile(pattern.encode()) for pattern in patterns),
        reason,
    )


def microseconds(value: Any) -> int | None:
    """A time as microseconds since 1970 UTC; None where it is none. Times without a zone are taken as UTC.

    Understands ISO 8601 with any fraction, `/Date(milliseconds)/`, and numbers of seconds or milliseconds.
    """
    moment, _ = zoned_microseconds(value)
    return moment


def zoned_microseconds(value: Any) -> tuple[int | None, bool]:
    """As `microseconds`, and whether the value itself says its zone."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _of_number(value), True
    if not isinstance(value, str) or not 8 <= len(value) <= 64:
        return None, False
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        call = _DATE_CALL.fullmatch(value.strip())
        if call:
            return int(call[1]) * 1000, True
        try:
            moment = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", value.strip().removesuffix(" UTC")))
        except ValueError:
            return None, False
    if moment.tzinfo is None:
        return (moment - _EPOCH) // _MICROSECOND, False
    return (moment - _EPOCH_UTC) // _MICROSECOND, True


def _of_number(value: float) -> int | None:
    seconds = value / 1000 if value > _YEARS[1] / 100 else value
    if not _YEARS[0] < seconds < _YEARS[1]:
        return None
    return round(seconds * 1_000_000)


def named_values(data: Any) -> dict[str, Any]:
    """EventData or UserData as a flat mapping; unnamed values are "0", "1", ... in their order.

    Takes what XML-to-JSON converters make of it: `{"Name": value}`, `{"Data": {"#text": [...]}}`,
    `{"Data": [{"@Name": ..., "#text": ...}]}`, and UserData's one wrapping element.
    """
    if not isinstance(data, dict):
        return {} if data is None else {"0": data}
    if "Data" not in data:
        if len(data) > _FEW:
            return data
        inner = [value for key, value in data.items() if key[:1] not in ("#", "@")]
        if len(inner) == 1 and isinstance(inner[0], dict) and "#text" not in inner[0]:
            return named_values(inner[0])  # UserData: its values sit in one element named by the provider
        return data
    flat = {key: value for key, value in data.items() if key != "Data"}
    values = data["Data"]
    if isinstance(values, dict) and isinstance(values.get("#text"), list):
        values = values["#text"]
    unnamed = 0
    for value in values if isinstance(values, list) else [values]:
        name, text = _named_value(value)
        if name is None:
            name, unnamed = str(unnamed), unnamed + 1
        flat[name] = text
    return flat


def _named_value(value: Any) -> tuple[str | None, Any]:
    if not isinstance(value, dict):
        return None, value
    attributes = value.get("#attributes")
    name = value.get("@Name") or value.get("Name") or (attributes.get("Name") if isinstance(attributes, dict) else None)
    return (name if isinstance(name, str) else None), value.get("#text", value.get("Value", value.get("text")))


def event_number(value: Any) -> int | None:
    """An event id as a number: plain, as text, or as an object with qualifiers; None where it is none."""
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 7 else None
    if isinstance(value, dict):
        return event_number(value.get("#text", value.get("Value")))
    return None
