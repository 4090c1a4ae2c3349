"""Objects of JSON files, decoded and counted: what log sources of one event an object have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tidewaiter.formats import json_objects
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event
from tidewaiter.schema.tally import tally

BATCH = 2_000
_DECODE = msgspec.json.Decoder().decode

ObjectParser = Callable[[dict[str, Any], str], "Event | str | None"]
"""(object, its number: line or place) -> its event, why it is of no use, or None where it is damaged."""


def head_objects(head: bytes, most: int = 20) -> Iterator[dict[str, Any]]:
    """The first objects of a file, by lines, in an array or over many lines. Never raises."""
    text = json_objects.as_utf8(head)
    layout = json_objects.layout_of(text) if text.lstrip()[:1] in (b"{", b"[") else None
    if layout is None:
        return
    for number, raw in enumerate(json_objects.objects_of_head(text, layout)):
        if number == most:
            return
        value = _decoded(raw)
        if value is not None:
            yield value


def events_of_objects(opened: Opened, account: Account, parse: ObjectParser, what: str) -> Iterator[list[Event]]:
    """Yield the events of the objects of a file in batches and count every object. Raises OSError."""
    text = json_objects.as_utf8(opened.head)
    layout = json_objects.layout_of(text) or json_objects.Layout.LINES
    unit = "element" if layout is json_objects.Layout.ARRAY else "line"
    events: list[Event] = []
    for number, raw, problem in json_objects.objects(opened.path, opened.head, layout):
        value = None if problem else _decoded(raw)
        event = None if value is None else parse(value, str(number))
        if event is None:
            account.damage_at(f"{unit} {number}", problem or ("no JSON object" if value is None else f"no record of {what}"))
        elif isinstance(event, str):
            account.skip(event)
        else:
            account.parse()
            events.append(event)
            if len(events) == BATCH:
                yield tally(events, account)
                events = []
    if events:
        yield tally(events, account)


def _decoded(raw: bytes) -> dict[str, Any] | None:
    try:
        value = _DECODE(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def at(value: Any, *path: str) -> Any:
    """What lies at a path of keys; None where there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_at(value: Any, *path: str) -> str | None:
    """The text at a path, None where there is none or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, str) and found else None


def number_at(value: Any, *path: str) -> int | None:
    """The whole number at a path, also where it is spelled as text."""
    found = at(value, *path)
    if isinstance(found, str) and found.isdecimal() and len(found) < 19:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 1 << 63 else None


def objects_at(value: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of the list at a path."""
    found = at(value, *path)
    return [item for item in found[:500] if isinstance(item, dict)] if isinstance(found, list) else []
