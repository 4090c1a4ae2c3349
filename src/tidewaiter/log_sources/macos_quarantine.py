"""The quarantine history of macOS (`com.apple.LaunchServices.QuarantineEventsV2`, SQLite): one row a file that an
application marked as coming from outside.

Times are seconds since 2001. Source: the schema in the databases and Apple's Launch Services constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tidewaiter.formats.sqlite_rows import Row, moment, names_in, open_database, tables_of, text, whole
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.tally import tally

TABLE = "LSQuarantineEvent"
FROM_2001 = 978_307_200
"""Seconds from 1970 to 2001."""
LARGEST_SECONDS = 1 << 40
TYPES = {
    0: "web download",
    1: "other download",
    2: "email attachment",
    3: "message attachment",
    4: "calendar attachment",
    5: "other attachment",
}
BATCH = 1_000

_COLUMNS = tuple(
    f"LSQuarantine{name}"
    for name in (
        "EventIdentifier",
        "TimeStamp",
        "AgentBundleIdentifier",
        "AgentName",
        "DataURLString",
        "SenderName",
        "SenderAddress",
        "TypeNumber",
        "OriginTitle",
        "OriginURLString",
    )
)


class Source:
    """The stream log source of the macOS quarantine history."""

    title = "macOS quarantine history"

    def recognise(self, head: bytes) -> str | None:
        """A SQLite database whose first pages create the quarantine table."""
        return f"SQLite database with the table {TABLE}" if names_in(head, TABLE) else None

    def recognise_path(self, path: Path) -> str | None:
        """The same, asked of the database where its schema does not fit the head."""
        return f"SQLite database with the table {TABLE}" if TABLE in tables_of(path) else None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield one event a row that names a URL. Raises DamagedError where the file is no database."""
        account.recognised_as = self.title
        account.why = self.recognise(opened.head) or self.recognise_path(opened.path)
        with open_database(opened, account) as database:
            events: list[Event] = []
            for row in database.rows(TABLE, _COLUMNS, account):
                event = _event(row, opened.log_file)
                if isinstance(event, str):
                    account.skip(event)
                    continue
                account.parse()
                events.append(event)
                if len(events) >= BATCH:
                    yield tally(events, account)
                    events = []
            if events:
                yield tally(events, account)


def _time(value: Any) -> int | None:
    """Mac absolute time in microseconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not math.isfinite(value) or abs(value) > LARGEST_SECONDS:
        return None
    return moment(round((value + FROM_2001) * 1_000_000))


def _event(row: Row, log_file: str) -> Event | str:
    """The event of a row, or why it is of no use."""
    values = {name.removeprefix("LSQuarantine"): value for name, value in row.values.items()}
    data, origin = text(values.get("DataURLString")), text(values.get("OriginURLString"))
    if data is None and origin is None:
        return "quarantine event without a URL"
    time = _time(values.get("TimeStamp"))
    if time is None:
        return "quarantine event without a time"
    number = whole(values.get("TypeNumber"))
    extra = {
        "quarantine_id": text(values.get("EventIdentifier")),
        "bundle_id": text(values.get("AgentBundleIdentifier")),
        "type": TYPES.get(-1 if number is None else number),
        "origin_title": text(values.get("OriginTitle")),
        "sender_name": text(values.get("SenderName")),
        "sender_address": text(values.get("SenderAddress")),
    }
    return Event(
        kind=EventKind.DOWNLOAD,
        time=time,
        log_source="macos_quarantine",
        log_file=log_file,
        record=str(row.id),
        process_name=text(values.get("AgentName")) or text(values.get("AgentBundleIdentifier")),
        url=data,
        referrer=origin,
        outcome="completed",
        extra={name: value for name, value in extra.items() if value is not None} or None,
    )
