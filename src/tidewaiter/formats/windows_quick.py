"""Lines of NXLog, the most frequent form of Windows events as JSON, straight to events: without a dictionary of all values.

What is read so is exactly what `windows_shapes` and the log source would make of the line; where that is not sure, the line is
left to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec

from tidewaiter.errors import TidewaiterError
from tidewaiter.formats.windows_records import Route, lower, microseconds, plain_time, zoned_microseconds
from tidewaiter.formats.windows_shapes import UNUSUAL, Clock
from tidewaiter.formats.windows_spared import Spared
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

LONGEST = 4_000
"""Bytes of the longest line that is read so: no number on it has more digits than Python reads."""
BROKEN = (TidewaiterError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)
"""What a log source raises where a record is not as it should be."""
_NOT_SO = (msgspec.DecodeError, UnicodeError, RecursionError, ValueError)
_NAMES_KEPT = 64


class Values(msgspec.Struct, rename="pascal", gc=False):
    """The values of a record that its source asks for, as decoded; None where it has none."""

    utc_time: Any = None

    def many(self) -> bool:
        """Whether these are surely more values than an element has that only wraps others (see `named_values`)."""
        return False


MakeOfValues = Callable[[Any, int, str, str, str | None], Event]
"""Values, time of the event in microseconds, log file, record, computer -> event."""


class Quick(NamedTuple):
    """How a log source makes the event of a record of one event id."""

    form: type[Values]
    moment: Callable[[int | None, int], int]  # UtcTime, time of the record -> time of the event, all in microseconds
    make: MakeOfValues | None = None  # None where it is quick only to count the record


class _Never:
    """What no JSON value is: a key of this type is not to be there."""


_Some = Annotated[str, msgspec.Meta(min_length=1)]
_HEAD: list[tuple[str, Any, Any]] = [
    ("event_time", str, msgspec.field(name="EventTime")),
    ("source_name", _Some, msgspec.field(name="SourceName")),
    ("event_id", int, msgspec.field(name="EventID")),
    ("channel", _Some, msgspec.field(name="Channel")),
    ("hostname", _Some, msgspec.field(name="Hostname")),
]


def _line_of(form: type[Values]) -> type[msgspec.Struct]:
    """The form of a whole line: the values, what NXLog writes of every event, and nothing that makes it another form."""
    absent = [(f"no_{place}", _Never, msgspec.field(name=name, default=None)) for place, name in enumerate(UNUSUAL)]
    return msgspec.defstruct("Line", [*_HEAD, *absent], bases=(form,), kw_only=True, gc=False)


def straight(form: type[Values], system: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The form of a record converted from XML: `{"Event": {"System": ..., "EventData": {"Name": value, ...}}}`, no other."""
    data = msgspec.defstruct(
        "EventData", [("no_data", _Never, msgspec.field(name="Data", default=None))], bases=(form,), gc=False
    )
    body = msgspec.defstruct("Body", [("System", system), ("EventData", data)], gc=False)
    return msgspec.defstruct("Document", [("Event", body)], gc=False)


class About(NamedTuple):
    """What the lines of one file have in common."""

    log_file: str
    account: Account
    clock: Clock
    spared: Spared


class QuickLines:
    """Reads the lines of one file that have one event id."""

    def __init__(self, quick: Quick, route: Route, provider: str, event_id: int) -> None:
        """`provider` in lower case."""
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(_line_of(quick.form)).decode
        self._quick, self._route, self._provider, self._event_id = quick, route, provider, event_id
        self._names = {provider}
        self.useful = quick.make is not None or route.spared is not None

    def read(self, line: bytes, number: int, about: About) -> Event | bool | None:
        """The event of a line; True where it was counted and makes none, None where it has to be read as others are."""
        if len(line) > LONGEST or not (line.isascii() or _is_text(line)):
            return None
        try:
            values = self._decode(line)
        except _NOT_SO:
            return None
        if values.event_id != self._event_id or (values.source_name not in self._names and not self._is(values.source_name)):
            return None
        make, host = self._quick.make, values.hostname
        if self._route.spared is not None:
            if not about.spared.knows(self._provider, self._event_id, host):
                return None
        elif make is None:
            return None
        stated, zoned = plain_time(values.event_time), False
        if stated is None:
            stated, zoned = zoned_microseconds(values.event_time)
            if stated is None:
                return None
        own = plain_time(values.utc_time)
        if own is None:
            own = microseconds(values.utc_time)
        time = self._quick.moment(own, stated if zoned else about.clock.settled(own, stated, host))
        if self._route.spared is not None or make is None:
            return about.spared.takes(self._route, self._provider, self._event_id, host, time)
        try:
            return make(values, time, about.log_file, str(number), host)
        except BROKEN as error:
            about.account.damage_at(f"line {number}", f"{type(error).__name__}: {error}")
            return True

    def _is(self, name: str) -> bool:
        """Whether this is the provider as another log spells it."""
        if lower(name) != self._provider:
            return False
        if len(self._names) < _NAMES_KEPT:
            self._names.add(name)
        return True


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
