"""Download histories of Chrome, Edge and other Chromium browsers (the file `History`, SQLite).

Two layouts: until 2011 `downloads` held `full_path`, `url` and Unix seconds; since then it holds `target_path`, times in
microseconds since 1601 and, in `downloads_url_chains`, all URLs from the one clicked to the one that gave the bytes.
Source: the schema in the databases and the constants of Chromium's download history.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tidewaiter.formats.sqlite_rows import FROM_1601, Database, Row, moment, names_in, open_database, tables_of, text, whole
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.tally import tally

LARGEST_UNIX_SECONDS = 1 << 40
OUTCOMES = {0: "started", 1: "completed", 2: "cancelled", 3: "interrupted", 4: "interrupted"}
BATCH = 1_000
MOST_CHAINS = 200_000
MOST_URLS = 50

_COLUMNS = (
    "guid",
    "current_path",
    "target_path",
    "full_path",
    "url",
    "start_time",
    "end_time",
    "received_bytes",
    "total_bytes",
    "state",
    "danger_type",
    "interrupt_reason",
    "hash",
    "opened",
    "referrer",
    "site_url",
    "tab_url",
    "tab_referrer_url",
    "by_ext_id",
    "by_ext_name",
    "by_web_app_id",
    "http_method",
    "mime_type",
    "original_mime_type",
)


class Source:
    """The stream log source of Chromium download histories."""

    title = "Chrome or Edge download history"

    def recognise(self, head: bytes) -> str | None:
        """A SQLite database whose first pages create Chromium's tables."""
        if names_in(head, "downloads", "urls") or names_in(head, "downloads", "downloads_url_chains"):
            return "SQLite database with the tables downloads and urls"
        return None

    def recognise_path(self, path: Path) -> str | None:
        """The same, asked of the database where its schema does not fit the head."""
        tables = tables_of(path)
        if "downloads" in tables and ("urls" in tables or "downloads_url_chains" in tables):
            columns = tables["downloads"]
            if "start_time" in columns and ("target_path" in columns or "full_path" in columns):
                return "SQLite database with the tables downloads and urls"
        return None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield one event a row of `downloads`. Raises DamagedError where the file is no database."""
        account.recognised_as = self.title
        account.why = self.recognise(opened.head) or self.recognise_path(opened.path)
        with open_database(opened, account) as database:
            browser = _browser(database, opened.log_file)
            chains = _chains(database, account)
            events: list[Event] = []
            for row in database.rows("downloads", _COLUMNS, account):
                event = _event(row, chains.get(row.id, []), browser, opened.log_file)
                if event is None:
                    account.skip("download without a time")
                    continue
                account.parse()
                events.append(event)
                if len(events) >= BATCH:
                    yield tally(events, account)
                    events = []
            if events:
                yield tally(events, account)


def _browser(database: Database, log_file: str) -> str:
    """The browser, by its own tables or the folder it keeps its profile in."""
    path = log_file.replace("\\", "/").lower()
    if any(table.startswith("edge_") for table in database.columns) or "/microsoft/edge/" in path:
        return "Edge"
    return "Chrome"


def _chains(database: Database, account: Account) -> dict[int, list[str]]:
    """The URLs of each download in order. Its rows belong to the downloads and are not counted by themselves."""
    chains: dict[int, list[tuple[int, str]]] = {}
    lost = Account(log_file=account.log_file)
    for count, row in enumerate(database.rows("downloads_url_chains", ("id", "chain_index", "url"), lost)):
        key, index, url = whole(row.values.get("id")), whole(row.values.get("chain_index")), text(row.values.get("url"))
        if count >= MOST_CHAINS:
            account.notes.append(f"more than {MOST_CHAINS} rows in downloads_url_chains: the rest is not read")
            break
        if key is not None and url is not None and len(chains.setdefault(key, [])) < MOST_URLS:
            chains[key].append((index or 0, url))
    if lost.damaged:
        account.notes.append("downloads_url_chains is damaged: some URLs are missing")
    return {key: [url for _, url in sorted(chain)] for key, chain in chains.items()}


def _time(value: Any) -> int | None:
    """Unix seconds of the old layout or microseconds since 1601 of the new one; 0 = not set."""
    number = whole(value)
    if not number or number < 0:
        return None
    return moment(number * 1_000_000 if number < LARGEST_UNIX_SECONDS else number - FROM_1601)


def _event(row: Row, chain: list[str], browser: str, log_file: str) -> Event | None:
    values = row.values
    time = _time(values.get("start_time")) or _time(values.get("end_time"))
    if time is None:
        return None
    end = _time(values.get("end_time"))
    total, received = whole(values.get("total_bytes")), whole(values.get("received_bytes"))
    size = received if received is not None and (total is None or total <= 0) else total
    digest = values.get("hash")
    state, opened = whole(values.get("state")), whole(values.get("opened"))
    path = text(values.get("target_path")) or text(values.get("current_path")) or text(values.get("full_path"))
    extra = {
        "opened": None if opened is None else bool(opened),
        "received_bytes": received,
        "danger_type": whole(values.get("danger_type")),
        "interrupt_reason": whole(values.get("interrupt_reason")) or None,
        "url_chain": chain if len(chain) > 1 else None,
        "tab_url": text(values.get("tab_url")),
        "tab_referrer_url": text(values.get("tab_referrer_url")),
        "site_url": text(values.get("site_url")),
        "extension": text(values.get("by_ext_name")) or text(values.get("by_ext_id")),
    }
    return Event(
        kind=EventKind.DOWNLOAD,
        time=time,
        log_source="browser_chrome",
        log_file=log_file,
        record=str(row.id),
        process_name=browser,
        file_path=path,
        file_size=size,
        file_type=text(values.get("mime_type")) or text(values.get("original_mime_type")),
        sha256=digest.hex() if isinstance(digest, bytes) and len(digest) == 32 else None,
        url=chain[-1] if chain else text(values.get("url")),
        referrer=text(values.get("referrer")),
        method=text(values.get("http_method")),
        duration=end - time if end is not None and end >= time else None,
        outcome=OUTCOMES.get(-1 if state is None else state),
        extra={name: value for name, value in extra.items() if value is not None} or None,
    )
