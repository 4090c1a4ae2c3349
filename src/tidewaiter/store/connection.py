"""Opening a store: what the caller names, how SQLite and PostgreSQL are set up, and transactions that mean the same on both.

One writer at a time: SQLite's write lock, or an advisory lock on PostgreSQL, both waited for. Readers see the last state that
was committed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from tidewaiter.errors import StoreError, UsageError
from tidewaiter.store import migrations
from tidewaiter.store.checkpoints import LONGEST_LOG, Checkpoints

PATIENCE = 60
"""Seconds that a writer waits for another one."""

LOCK = 0x71DE3A17E4
"""Number of the advisory lock that PostgreSQL's writers share."""

_WRITES = "tidewaiter_writes"


def store_url(place: str) -> URL:
    """The address of a store: a file name is SQLite, else a URL of SQLite or PostgreSQL. Raises UsageError."""
    if "://" not in place:
        return URL.create("sqlite", database=place)
    try:
        url = make_url(place)
    except (exc.ArgumentError, ValueError):
        raise UsageError("the store's URL cannot be read: postgresql://user@host/database is one") from None
    kind = url.drivername.split("+")[0]
    if kind in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite")
    raise UsageError(f"a store is a file or a URL of PostgreSQL; {kind} is not known")


class Database:
    """An engine with its transactions. Every error of the database leaves it as a StoreError without statement or password."""

    def __init__(self, place: str, *, create: bool) -> None:
        self.url = store_url(place)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.shown = self.url.database or "" if self.is_sqlite else self.url.render_as_string(hide_password=True)
        if self.is_sqlite and not create and not Path(self.url.database or "").is_file():
            raise UsageError(f"there is no store at {self.shown}: tidewaiter scan PATH --store {self.shown} makes one")
        self._checkpoints: Checkpoints | None = None
        with self._told():
            try:
                self.engine = _engine(self.url, is_sqlite=self.is_sqlite)
            except ModuleNotFoundError:
                raise StoreError("PostgreSQL needs psycopg: pip install 'tidewaiter[postgres]'") from None

    def upgrade(self, *, create: bool) -> None:
        """Bring the tables to the newest version; without `create` an empty database is an error."""
        with self.reading() as connection:
            have = migrations.current(connection)
        if have == 0 and not create:
            raise UsageError(f"there is no store at {self.shown}: tidewaiter scan PATH --store makes one")
        if have != migrations.NEWEST:
            with self.writing() as connection:
                migrations.migrate(connection)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state and writes nothing."""
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction as the only writer; all of it is kept, or nothing where the block raises."""
        with self._told(), self.engine.connect() as connection:
            options: dict[str, Any] = {_WRITES: True}
            if not self.is_sqlite:  # what is read must be of after the wait for the lock, which is a statement itself
                options["isolation_level"] = "READ COMMITTED"
            connection = connection.execution_options(**options)
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                yield connection
        if self._checkpoints is not None:
            self._checkpoints.committed()

    def checkpoint_aside(self) -> None:
        """From now on commits wait for no checkpoint (SQLite): for an engine that commits all the time."""
        if self.is_sqlite and self._checkpoints is None:
            sa.event.listen(self.engine, "connect", _checkpoints_rarely)
            self.engine.dispose()  # what is connected to already knows nothing of it
            self._checkpoints = Checkpoints(self.shown)

    def close(self) -> None:
        """Close all connections."""
        if self._checkpoints is not None:
            self._checkpoints.close()
        self.engine.dispose()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            problem = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0][:300]
            raise StoreError(f"store {self.shown}: {problem}") from None
        except exc.SQLAlchemyError as error:
            raise StoreError(f"store {self.shown}: {type(error).__name__}") from None


def _checkpoints_rarely(raw: Any, _record: Any) -> None:
    raw.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG}").close()


def _engine(url: URL, *, is_sqlite: bool) -> sa.Engine:
    if not is_sqlite:
        return sa.create_engine(url, isolation_level="REPEATABLE READ", connect_args={"connect_timeout": 15})
    engine = sa.create_engine(url, connect_args={"timeout": PATIENCE, "check_same_thread": True})

    @sa.event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # the driver begins no transactions of its own
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA trusted_schema = OFF")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
