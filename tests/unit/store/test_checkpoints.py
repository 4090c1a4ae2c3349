"""Checkpoints beside the writer: what is committed comes into the database, and the log begins anew."""

from __future__ import annotations

import time
from pathlib import Path

import sqlalchemy as sa

from tidewaiter.store.connection import Database

MB = 1_000_000


def test_commits_come_into_the_database_and_the_log_stays_short(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    database = Database(str(path), create=True)
    try:
        with database.writing() as connection:
            connection.execute(sa.text("create table kept (data blob)"))
        database.checkpoint_aside()
        for turn in range(1, 5):
            with database.writing() as connection:
                connection.execute(sa.text("insert into kept values (zeroblob(2000000))"))
            _wait_until(path, turn * 2 * MB)
        assert (tmp_path / "watch.db-wal").stat().st_size < 5 * MB
    finally:
        database.close()


def _wait_until(path: Path, size: int) -> None:
    end = time.monotonic() + 30
    while path.stat().st_size < size:
        assert time.monotonic() < end, "nothing was copied from the log into the database"
        time.sleep(0.05)


def test_a_writer_makes_none_itself_before_the_log_is_long(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    database = Database(str(path), create=True)
    try:
        database.checkpoint_aside()
        with database.reading() as connection:
            assert connection.execute(sa.text("pragma wal_autocheckpoint")).scalar() == 16_384
    finally:
        database.close()
