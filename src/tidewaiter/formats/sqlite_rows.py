"""Rows of a SQLite database that nobody trusts: read-only, immutable, only plain tables, only plain columns, within bounds.

A database may carry views and triggers that run for ever or call functions; none of them is touched: only tables of the
schema are read, an authorizer refuses everything but reading, and a progress handler ends what takes too long. A damaged
page costs the rows on it: reading goes on from the other end of the table.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote

from tidewaiter.errors import DamagedError
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account

MAGIC = b"SQLite format 3\0"
LONGEST_VALUE = 1 << 20
"""Bytes of one value; a row with a longer one is damaged."""
SECONDS = 120.0
"""Processor time for one database."""
STEPS = 10_000
"""Virtual machine steps between two looks at the clock."""
ROWS_A_LOOK = 256
"""Rows between two looks at the clock: the steps are counted anew for each row."""
LONGEST_TEXT = 32_768
"""Characters of a text column that are handed on."""
MOST_NAMES = 10_000
MOST_BAD_ROWS = 1_000
FAILURES = (sqlite3.Error, ValueError, OverflowError, MemoryError)
"""What a broken database makes the module raise; ValueError where an error message is itself no text."""
FROM_1601 = 11_644_473_600_000_000
"""Microseconds from 1601 to 1970."""
YEAR_10000 = 253_402_300_800_000_000
"""Microseconds from 1970 to the year 10000."""

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}


class Row(NamedTuple):
    """One row: its rowid and its columns by name. Values are int, float, str, bytes or None."""

    id: int
    values: Mapping[str, Any]


class Database:
    """An open database; a context manager. Raises sqlite3.Error from the constructor where it is none at all."""

    def __init__(self, path: Path) -> None:
        uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        self._deadline = time.process_time() + SECONDS
        self._connection.text_factory = lambda raw: raw[: LONGEST_TEXT * 4].decode("utf-8", "replace")[:LONGEST_TEXT]
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
        self._connection.set_progress_handler(self._too_late, STEPS)
        self.columns: dict[str, tuple[str, ...]] = {}
        try:
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._connection.execute("PRAGMA cache_size = -8192")
            self._read_schema()
            self._connection.set_authorizer(lambda action, *_: 0 if action in _ALLOWED else 1)
        except BaseException:  # raised again: only what was begun is undone first
            self._connection.close()
            raise

    def __enter__(self) -> Database:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def _too_late(self) -> int:
        """Not zero: the running statement ends."""
        return int(time.process_time() > self._deadline)

    def _read_schema(self) -> None:
        """The tables (never views or virtual tables) and their columns; damage in the schema leaves what came before."""
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' LIMIT ?"
        for (name,) in self._connection.execute(query, (MOST_NAMES,)).fetchall():
            if not isinstance(name, str) or "\0" in name:
                continue
            try:
                found = self._connection.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
            except FAILURES:
                continue
            self.columns[name] = tuple(str(column[1]) for column in found)

    def rows(self, table: str, wanted: tuple[str, ...], account: Account, *, where: str = "") -> Iterator[Row]:
        """Yield the rows of a table by rowid with those of the `wanted` columns that it has; `where` is ours, never the log's.

        Rows that cannot be read are counted in `account` as damaged. A table that is not there has no rows.
        """
        if table not in self.columns:
            return
        names = tuple(name for name in wanted if name in self.columns[table])
        listed = ", ".join(("rowid", *map(_quoted, names)))
        base = f"SELECT {listed} FROM {_quoted(table)} WHERE {where or '1'}"  # noqa: S608 - names are quoted, `where` is ours
        last: int | None = None
        try:
            for count, row in enumerate(self._connection.execute(f"{base} ORDER BY rowid")):
                last = row[0]
                yield Row(row[0], dict(zip(names, row[1:], strict=True)))
                if not count % ROWS_A_LOOK and self._too_late():
                    account.damage_at(f"{table} after row {last}", "reading takes too long: the rest is not read")
                    return
        except FAILURES:
            yield from self._around_damage(table, base, names, last, account)

    def _around_damage(
        self, table: str, base: str, names: tuple[str, ...], last: int | None, account: Account
    ) -> Iterator[Row]:
        """The rows behind `last` one by one, as reading ahead loses the row before the damage. A bad row is stepped over;
        where that fails, the page is bad and reading goes on from the other end."""
        for _ in range(MOST_BAD_ROWS):
            try:
                while row := self._one(f"{base}{_behind(last)} ORDER BY rowid LIMIT 1"):
                    last = row[0]
                    yield Row(row[0], dict(zip(names, row[1:], strict=True)))
            except FAILURES as error:
                account.damage_at(f"{table} after row {last or 0}", str(error))
            else:
                return
            if self._too_late():
                return
            try:
                skipped = self._one(f"SELECT rowid FROM {_quoted(table)} WHERE 1{_behind(last)} ORDER BY rowid LIMIT 1")  # noqa: S608 - the name is quoted
            except FAILURES:
                yield from self._from_the_end(base, names, last)
                return
            if skipped is None:
                return
            last = skipped[0]
        account.notes.append(f"{table}: more than {MOST_BAD_ROWS} bad rows, the rest is not read")

    def _from_the_end(self, base: str, names: tuple[str, ...], last: int | None) -> Iterator[Row]:
        """The rows behind the damage, which stays between the two ends."""
        before = ""
        with suppress(*FAILURES):  # counted when the damage was met from the front
            while row := self._one(f"{base}{_behind(last)}{before} ORDER BY rowid DESC LIMIT 1"):
                before = f" AND rowid < {int(row[0])}"
                yield Row(row[0], dict(zip(names, row[1:], strict=True)))

    def _one(self, query: str) -> tuple[Any, ...] | None:
        """The first row of a query."""
        row: tuple[Any, ...] | None = self._connection.execute(query).fetchone()
        return row


def _behind(last: int | None) -> str:
    """The condition for rows behind the last one."""
    return "" if last is None else f" AND rowid > {int(last)}"


def open_database(opened: Opened, account: Account) -> Database:
    """Open an input as a database; raises DamagedError where it is none. Notes where changes lie in a separate log."""
    try:
        database = Database(opened.path)
    except (*FAILURES, OSError) as error:
        raise DamagedError(opened.log_file, "database", str(error)) from error
    with suppress(OSError):
        if opened.path.with_name(opened.path.name + "-wal").stat().st_size:
            account.notes.append("the newest changes are in a -wal file beside the database, which is not read")
    return database


def _quoted(name: str) -> str:
    """An identifier, quoted."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def names_in(head: bytes, *tables: str) -> bool:
    """True where the head of a database names all these tables in CREATE TABLE statements."""
    if not head.startswith(MAGIC):
        return False
    text = head.lower()
    return all(
        any(b"create table " + left + table.lower().encode() + right in text for left, right in _QUOTES) for table in tables
    )


_QUOTES = (
    (b"", b" "),
    (b"", b"("),
    (b"", b"\n"),
    (b'"', b'"'),
    (b"'", b"'"),
    (b"`", b"`"),
    (b"[", b"]"),
    (b"if not exists ", b" "),
    (b"if not exists ", b"("),
)


def tables_of(path: Path) -> Mapping[str, tuple[str, ...]]:
    """The tables of a database with their columns; none where it cannot be opened."""
    try:
        with Database(path) as database:
            return database.columns
    except (*FAILURES, OSError):
        return {}


def whole(value: Any) -> int | None:
    """A value as a whole number that fits 64 bits, or None: SQLite columns hold any type."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if value != value or abs(value) >= 1 << 63:
        return None
    return int(value)


def moment(micros: int | None) -> int | None:
    """A time in microseconds since 1970, or None where it is not set or lies beyond the year 9999 or before 1601."""
    return micros if micros and -FROM_1601 < micros < YEAR_10000 else None


def text(value: Any) -> str | None:
    """A value as text, or None where it is none or empty."""
    if isinstance(value, bytes):
        value = value[:LONGEST_TEXT].decode("utf-8", "replace")
    return value or None if isinstance(value, str) else None
