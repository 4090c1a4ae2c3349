"""Numbered steps that bring a store to the newest form. A step that was released is never changed: a new one is added."""

from __future__ import annotations

import importlib
import time

import sqlalchemy as sa

from tidewaiter.errors import StoreError

STEPS: tuple[str, ...] = ("m0001_transfers", "m0002_baseline", "m0003_live")
"""Modules of this folder in order; the n-th makes version n. Each has `apply(connection)`."""

NEWEST = len(STEPS)

_version = sa.table("store_version", sa.column("version", sa.Integer), sa.column("applied_at", sa.BigInteger))


def current(connection: sa.Connection) -> int:
    """The version of the store, 0 for an empty database."""
    if not sa.inspect(connection).has_table("store_version"):
        return 0
    found = connection.execute(sa.select(sa.func.max(_version.c.version))).scalar()
    return int(found or 0)


def migrate(connection: sa.Connection, upto: int = NEWEST) -> int:
    """Apply what is missing, within the caller's transaction; returns how many steps were taken.

    Raises StoreError where the store is of a later release, or the database holds somebody else's tables of our names.
    """
    have = current(connection)
    if have > NEWEST:
        raise StoreError(f"the store is of version {have}, this program knows up to {NEWEST}: use a later release")
    if have == 0 and sa.inspect(connection).has_table("transfer"):
        raise StoreError("the database holds a table called transfer that is not ours: give a database of its own")
    for number in range(have + 1, upto + 1):
        importlib.import_module(f"tidewaiter.store.migrations.{STEPS[number - 1]}").apply(connection)
        connection.execute(_version.insert(), {"version": number, "applied_at": time.time_ns() // 1_000})
    return max(0, upto - have)
