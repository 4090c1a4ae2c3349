"""What EVTX and JSON readers of Windows events have in common: which records are wanted, named values, times."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tidewaiter.log_source import WindowsRecord, WindowsSource
from tidewaiter.schema.event import Event, EventKind

NO_USE = "windows event of no use here"
"""Reason of records that no log source maps: their provider and event id say so."""

_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE_CALL = re.compile(r"/Date\((-?\d{1,15})\)/")
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_MOMENTS_KEPT = 4_096
_LONG_NAME = 200
_TO_THE_SECOND, _WITH_MILLISECONDS = 19, 23  # characters
_FEW = 3  # an element that only wraps others has at most its attributes beside them
_YEARS = (0, 253_402_300_799)  # seconds of 1970 to 9999: what a bare number may mean


class PassOver:
    """When records of one provider and event id need not be read: all the patterns are found in their JSON text.

    A pattern begins with the name of a value, `"Name":`, which is looked for first.
    """

    def __init__(self, provider: str, patterns: tuple[str, ...], reason: str) -> None:
        """`provider` in lower case. Raises ValueError where a pattern does not begin with the name of a value."""
        self.reason = reason
        self._provider = self._spelled = provider.encode()
        named = [_behind_name(pattern) for pattern in patterns]
        self._texts = [(name, len(name), re.compile(rest).match) for name, rest in named]
        self._bytes = [(name.encode(), len(name.encode()), re.compile(rest.encode()).match) for name, rest in named]

    def has_text(self, text: str) -> bool:
        """Whether the record with this JSON text is passed over."""
        for name, length, match in self._texts:
            at = text.find(name)
            while at >= 0 and not match(text, at + length):
                at = text.find(name, at + 1)
            if at < 0:
                return False
        return True

    def has_bytes(self, raw: bytes) -> bool:
        """As `has_text`; the provider's name has to be in the text as well."""
        for name, length, match in self._bytes:
            at = raw.find(name)
            while at >= 0 and not match(raw, at + length):
                at = raw.find(name, at + 1)
            if at < 0:
                return False
        return self._spelled in raw or self._names_provider(raw)

    def _names_provider(self, raw: bytes) -> bool:
        at = raw.lower().find(self._provider)
        if at < 0:
            return False
        self._spelled = raw[at : at + len(self._provider)]  # as this log spells it: the next record is quicker
        return True


_VALUE_NAME = re.compile(r'"\w+":')


def _behind_name(pattern: str) -> tuple[str, str]:
    name = _VALUE_NAME.match(pattern)
    if name is None:
        raise ValueError(f"{pattern}: a pattern of records to pass over begins with the name of a value")
    return name[0], pattern[name.end() :]


class Route(NamedTuple):
    """Where a record goes, and when it may be passed over unread."""

    source: WindowsSource
    pass_over: PassOver | None = None
    holds: bool = False  # the source keeps records for joining and counts them in `held`
    spared: EventKind | None = None  # what every such record says is of this kind, and one event a computer is enough


Found = tuple[Route, WindowsRecord] | list[Event] | None
"""A wanted record, or the events of some, each of one; None is a sign of life between records that nobody wants."""


class Routes:
    """The log source of each provider and event id.

    A source may have `pass_over: Mapping[int, tuple[tuple[str, ...], str]]`, by event id patterns (see PassOver) that are all
    found in the JSON text of records to be skipped, and the reason; and `channels: Mapping[str, str]`, the provider (lower
    case) that a record has which names only its channel (lower case). One with `kinds: Mapping[int, EventKind]`, the event ids
    of which every record makes one event of this kind, has `moment(record)`, the time of that event. One with `quick:
    Mapping[int, windows_quick.Quick]` says by event id how to make the event of a record without a detour.
    """

    def __init__(self, sources: Iterable[WindowsSource]) -> None:
        self.sources = list(sources)
        self._of: dict[str, list[WindowsSource]] = {}
        self._routes: dict[tuple[str, int], Route] = {}  # those asked for so far
        self._channels: dict[str, str] = {}
        self._needed: frozenset[EventKind] | None = None
        self.passed_over: dict[int, PassOver] = {}
        self.event_ids: frozenset[int] = frozenset().union(
            *(ids for source in self.sources for ids in source.providers.values())
        )
        for source in self.sources:
            self._channels.update(getattr(source, "channels", {}))
            for provider, ids in source.providers.items():
                self._of.setdefault(provider, []).append(source)
                for event_id, rule in getattr(source, "pass_over", {}).items():
                    if event_id in ids:
                        self.passed_over[event_id] = _compiled(provider, *rule)

    def spare(self, needed: frozenset[EventKind]) -> None:
        """Mark the routes of records that nobody needs one by one."""
        self._needed = needed
        self._routes.clear()

    def find(self, provider: str, event_id: int) -> Route | None:
        """The route of a record, or None where no source maps it. `provider` in any case."""
        provider = lower(provider)
        route = self._routes.get((provider, event_id))
        if route is None:
            for source in self._of.get(provider, ()):
                if event_id in source.providers[provider]:
                    route = self._routes[provider, event_id] = self._made(source, provider, event_id)
        return route

    def quick(self, event_id: int) -> tuple[Any, Route, str] | None:
        """How records of this event id are read quickly, their route and provider; None where only one by one can be told."""
        offered = [
            (source.quick[event_id], provider)  # type: ignore[attr-defined]  # it has one
            for source in self.sources
            if event_id in getattr(source, "quick", ())
            for provider, ids in source.providers.items()
            if event_id in ids
        ]
        if len(offered) != 1 or event_id in self.passed_over:
            return None
        route = self.find(offered[0][1], event_id)
        return None if route is None else (offered[0][0], route, offered[0][1])

    def _made(self, source: WindowsSource, provider: str, event_id: int) -> Route:
        rule = getattr(source, "pass_over", {}).get(event_id)
        kind = getattr(source, "kinds", {}).get(event_id)
        spared = kind if self._needed is not None and kind not in self._needed else None
        return Route(source, _compiled(provider, *rule) if rule else None, hasattr(source, "held"), spared)

    def provider_of_channel(self, channel: str | None) -> str | None:
        """The provider that a channel is known to belong to: its own name before the slash, or what a source says."""
        if not channel:
            return None
        name = channel.lower()
        return self._channels.get(name) or (name.partition("/")[0] if "/" in name else None)


@functools.cache
def _compiled(provider: str, patterns: tuple[str, ...], reason: str) -> PassOver:
    return PassOver(provider, patterns, reason)


def lower(name: str) -> str:
    """A name in lower case, as a rule the same object each time: few providers write very many records."""
    return _lower(name) if len(name) < _LONG_NAME else name.lower()


_lower = functools.lru_cache(maxsize=1_024)(str.lower)


def microseconds(value: Any) -> int | None:
    """A time as microseconds since 1970 UTC; None where it is none. Times without a zone are taken as UTC.

    Understands ISO 8601 with any fraction, `/Date(milliseconds)/`, and numbers of seconds or milliseconds.
    """
    if value is None:
        return None
    known = _moments.get(value) if value.__class__ is str else None
    return (known or zoned_microseconds(value))[0]


_moments: dict[str, tuple[int | None, bool]] = {}
"""Texts that were read lately: a record has its time in several values, and others have the same one."""


def zoned_microseconds(value: Any) -> tuple[int | None, bool]:
    """As `microseconds`, and whether the value itself says its zone."""
    if value.__class__ is str:
        known = _moments.get(value)
        if known is None:
            if not 8 <= len(value) <= 64:
                return None, False
            known = _of_text(value)
            if len(_moments) >= _MOMENTS_KEPT:
                _moments.clear()
            _moments[value] = known
        return known
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _of_number(value), True
    return None, False


def _of_text(value: str) -> tuple[int | None, bool]:
    plain = plain_time(value)
    if plain is not None:
        return plain, False
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


def plain_time(value: Any) -> int | None:
    """A time spelled `2026-01-02 10:00:00`, also with `.500` behind it, in microseconds; None for any other.

    So Sysmon and NXLog write it, and records of one second are many.
    """
    if value.__class__ is not str:
        return None
    if len(value) == _TO_THE_SECOND:
        return _seconds(value)
    if len(value) == _WITH_MILLISECONDS and value[19] == ".":
        whole, milliseconds = _seconds(value[:19]), value[20:]
        if whole is not None and milliseconds.isascii() and milliseconds.isdecimal():
            return whole + 1_000 * int(milliseconds)
    return None


@functools.lru_cache(maxsize=_MOMENTS_KEPT)
def _seconds(value: str) -> int | None:
    """A time without a zone to the second, `2026-01-02 10:00:00`; None where it is not spelled so."""
    if (value[4], value[7], value[13], value[16]) != ("-", "-", ":", ":") or not value[17:].isdecimal():
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if moment.tzinfo is not None else (moment - _EPOCH) // _MICROSECOND


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
