"""Download histories of Firefox (SQLite): `moz_downloads` of the old downloads.sqlite, and the annotations of downloads in
places.sqlite (`downloads/destinationFileURI`, `downloads/metaData`), which replaced it in Firefox 26.

Times are microseconds since 1970, the end time in metaData milliseconds. Source: the schema in the databases and the
constants of Mozilla's download manager.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from tidewaiter.formats.sqlite_rows import Database, Row, moment, names_in, open_database, tables_of, text, whole
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.tally import tally

BROWSER = "Firefox"
OUTCOMES = {
    0: "started",
    1: "completed",
    2: "failed",
    3: "cancelled",
    4: "interrupted",
    5: "started",
    6: "blocked",
    7: "started",
    8: "blocked",
    9: "blocked",
}
DESTINATION, METADATA = "downloads/destinationFileURI", "downloads/metaData"
MOST_ROWS = 500_000
BATCH = 1_000

_DRIVE = re.compile(r"/?([A-Za-z]):(?=[/\\]|$)")
_OLD = (
    "name",
    "source",
    "target",
    "startTime",
    "endTime",
    "state",
    "referrer",
    "currBytes",
    "maxBytes",
    "mimeType",
)


class Source:
    """The stream log source of Firefox download histories."""

    title = "Firefox download history"

    def recognise(self, head: bytes) -> str | None:
        """A SQLite database whose first pages create Mozilla's tables."""
        if names_in(head, "moz_downloads"):
            return "SQLite database with the table moz_downloads"
        if names_in(head, "moz_places", "moz_annos"):
            return "SQLite database with the tables moz_places and moz_annos"
        return None

    def recognise_path(self, path: Path) -> str | None:
        """The same, asked of the database where its schema does not fit the head."""
        tables = tables_of(path)
        if "moz_downloads" in tables:
            return "SQLite database with the table moz_downloads"
        if "moz_places" in tables and "moz_annos" in tables:
            return "SQLite database with the tables moz_places and moz_annos"
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield one event a download. Raises DamagedError where the file is no database."""
        account.recognised_as = self.title
        account.why = self.recognise(opened.head) or self.recognise_path(opened.path)
        with open_database(opened, account) as database:
            events: list[Event] = []
            for event in _all(database, opened.log_file, account):
                events.append(event)
                if len(events) >= BATCH:
                    yield tally(events, account)
                    events = []
            if events:
                yield tally(events, account)


def _all(database: Database, log_file: str, account: Account) -> Iterator[Event]:
    """The downloads of both layouts; a database holds one of them."""
    for row in database.rows("moz_downloads", _OLD, account):
        event = _old_event(row, log_file)
        if event is None:
            account.skip("download without a time")
            continue
        account.parse()
        yield event
    yield from _annotated(database, log_file, account)


def _old_event(row: Row, log_file: str) -> Event | None:
    """A row of moz_downloads."""
    values = row.values
    start, end = whole(values.get("startTime")), whole(values.get("endTime"))
    time = moment(start) or moment(end)
    if time is None:
        return None
    most, current = whole(values.get("maxBytes")), whole(values.get("currBytes"))
    state = whole(values.get("state"))
    return Event(
        kind=EventKind.DOWNLOAD,
        time=time,
        log_source="browser_firefox",
        log_file=log_file,
        record=str(row.id),
        process_name=BROWSER,
        file_path=file_url_path(text(values.get("target"))) or text(values.get("name")),
        file_size=current if most is None or most < 0 else most,
        file_type=text(values.get("mimeType")),
        url=text(values.get("source")),
        referrer=text(values.get("referrer")),
        duration=end - time if end and end >= time else None,
        outcome=OUTCOMES.get(-1 if state is None else state),
        extra=None if current is None else {"received_bytes": current},
    )


def _annotated(database: Database, log_file: str, account: Account) -> Iterator[Event]:
    """The annotations of downloads, joined by the place that they annotate."""
    quiet = Account(log_file=log_file)
    names = {row.id: row.values.get("name") for row in database.rows("moz_anno_attributes", ("name",), quiet)}
    destinations: dict[int, Row] = {}
    details: dict[int, Any] = {}
    columns = ("place_id", "anno_attribute_id", "content", "dateAdded", "lastModified")
    for count, row in enumerate(database.rows("moz_annos", columns, account)):
        place, name = whole(row.values.get("place_id")), names.get(whole(row.values.get("anno_attribute_id")) or 0)
        if count >= MOST_ROWS:
            account.notes.append(f"more than {MOST_ROWS} annotations: the rest is not read")
            break
        if place is None or name not in (DESTINATION, METADATA):
            account.skip("annotation that is no download")
        elif name == METADATA:
            account.parse()
            details[place] = row.values.get("content")
        elif place in destinations or _added(row) is None:
            account.skip("download without a time")
        else:
            account.parse()
            destinations[place] = row
    urls = _urls(database, destinations, quiet)
    if quiet.damaged:
        account.notes.append("moz_places or moz_anno_attributes is damaged: some URLs are missing")
    for place, row in destinations.items():
        yield _annotated_event(row, urls.get(place), _metadata(details.get(place)), log_file)


def _added(row: Row) -> int | None:
    """When the annotation was made."""
    return moment(whole(row.values.get("dateAdded"))) or moment(whole(row.values.get("lastModified")))


def _urls(database: Database, places: dict[int, Row], quiet: Account) -> dict[int, str | None]:
    """The URLs of these places."""
    if not places:
        return {}
    where = f"rowid BETWEEN {min(places)} AND {max(places)}"
    rows = database.rows("moz_places", ("url",), quiet, where=where)
    return {row.id: text(row.values.get("url")) for row in rows if row.id in places}


def _metadata(content: Any) -> dict[str, Any]:
    """The JSON of a metaData annotation."""
    try:
        value = msgspec.json.decode(content) if isinstance(content, str) else None
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _annotated_event(row: Row, url: str | None, details: dict[str, Any], log_file: str) -> Event:
    """One download of places.sqlite."""
    values = row.values
    time = _added(row) or 0
    end = whole(details.get("endTime"))
    end = None if end is None or not 0 < end < 1 << 50 else end * 1000
    state = whole(details.get("state"))
    deleted = details.get("deleted")
    return Event(
        kind=EventKind.DOWNLOAD,
        time=time,
        log_source="browser_firefox",
        log_file=log_file,
        record=str(row.id),
        process_name=BROWSER,
        file_path=file_url_path(text(values.get("content"))),
        file_size=whole(details.get("fileSize")),
        url=url,
        duration=end - time if end is not None and end >= time else None,
        outcome=OUTCOMES.get(-1 if state is None else state),
        extra={"deleted": deleted} if isinstance(deleted, bool) else None,
    )


def file_url_path(url: str | None) -> str | None:
    """The path in a file: URL as its system spells it: `C:\\x`, `\\\\server\\share\\x` or `/x`. Other text stays as it is."""
    if url is None or not url.lower().startswith("file:"):
        return url
    rest = unquote(url[len("file:") :])
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "/", rest.lstrip("/"))
    path = slash + path
    drive = _DRIVE.match(path)
    if drive is not None:
        return path[drive.start(1) :].replace("/", "\\")
    if host and host.lower() != "localhost":
        return f"\\\\{host}{path}".replace("/", "\\")
    if path.startswith("///"):
        return "\\\\" + path.lstrip("/").replace("/", "\\")
    return path
