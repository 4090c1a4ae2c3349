"""What a live engine keeps: positions, ticks, states and cases, committed together with its transfers and its outbox.

A tick is what came in at one turn of the engine; states and facts are what all ticks up to one amount to. Everything is JSON
with a version; ticks and states, which are most of what is written, are deflated. To go on, the last states are taken up and
the ticks after them are done again: the same rows by the same rules.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tidewaiter.baseline.counters import FACETS, Counters
from tidewaiter.errors import StateError
from tidewaiter.schema.transfer import SEVERITIES, Transfer
from tidewaiter.sink import Change, Delivery
from tidewaiter.store import tables
from tidewaiter.store.store import Store

OUTBOX_KEPT = 100_000
"""Deliveries that wait for a sink that is down; older ones are given up and counted."""
_AT_ONCE = 500
_SPENT_AT_ONCE = 16
"""Ticks that a commit takes out, once states stand for them: all at once they would hold it up."""


class Withdrawn(msgspec.Struct, frozen=True):
    """A transfer that is none after all, or went into another one."""

    id: str
    superseded_by: str | None = None


class Commit(msgspec.Struct, kw_only=True):
    """Everything that one tick changes. Values are JSON texts; None removes."""

    tick: int
    data: bytes | None = None  # None: nothing came in
    positions: Mapping[str, bytes] = {}
    cases: Mapping[str, bytes | None] = {}
    transfers: Sequence[Transfer] = ()
    withdrawn: Sequence[Withdrawn] = ()


class LiveStore:
    """The live part of a store. One engine uses it at a time, and its couriers from their own threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.given_up = 0  # deliveries that a sink did not get in time
        with store.database.reading() as connection:
            last = connection.execute(sa.select(sa.func.max(tables.outbox.c.sequence))).scalar()
            cursor = connection.execute(sa.select(sa.func.max(tables.outbox_cursor.c.sequence))).scalar()
        self._spent = -1  # states stand for the ticks up to this one
        self._sequence = max(int(last or 0), int(cursor or 0))

    # -------------------------------------------------------------------- going on
    def positions(self) -> dict[str, bytes]:
        """Log file -> what was kept of its position."""
        return dict(self._all(tables.live_position))

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Name and JSON of every state."""
        return ((name, _inflated(data)) for name, data in self._all(tables.live_state))

    def cases(self) -> Iterator[tuple[str, bytes]]:
        """Key and JSON of every case of the window."""
        return self._all(tables.live_case)

    def counters(self, most: int) -> Iterator[tuple[str, str, str, float, int, int]]:
        """The strongest counters of the history, `most` of each facet: facet, key, host, level, first, last."""
        for facet in FACETS:
            for key, host, cell in self.store.history.strongest(facet, most):
                yield facet, key, host, cell.level, cell.first, cell.last

    def ticks(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Number and JSON of every tick after one, in order."""
        while True:
            query = sa.select(tables.live_tick).where(tables.live_tick.c.number > after).order_by(tables.live_tick.c.number)
            with self.store.database.reading() as connection:
                rows = connection.execute(query.limit(20)).all()
            if not rows:
                return
            for row in rows:
                after = row.number
                yield row.number, _inflated(bytes(row.data))

    def _all(self, table: sa.Table) -> Iterator[tuple[str, bytes]]:
        last = ""
        while True:
            query = sa.select(table).where(table.c.key > last).order_by(table.c.key).limit(_AT_ONCE)
            with self.store.database.reading() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            for row in rows:
                last = row.key
                yield json.loads(row.name), bytes(row.data)

    # ------------------------------------------------------------------ committing
    def commit(self, commit: Commit) -> list[Delivery]:
        """Keep a tick with all that it changes, or nothing of it. Returns what went to the outbox. Raises StoreError."""
        with self.store.database.writing() as connection:
            if commit.data is not None:
                connection.execute(tables.live_tick.insert(), {"number": commit.tick, "data": _deflated([commit.data])})
            self._take_out_spent(connection)
            _put(connection, tables.live_position, commit.positions)
            _put(connection, tables.live_case, commit.cases)
            _, changed = self.store.upsert_within(connection, commit.transfers)
            deliveries = self._deliveries(connection, changed, commit.withdrawn)
            if deliveries:
                rows = [{"sequence": one.sequence, "data": msgspec.json.encode(one)} for one in deliveries]
                connection.execute(tables.outbox.insert(), rows)
        if deliveries:
            self._sequence = deliveries[-1].sequence
        return deliveries

    def _deliveries(
        self, connection: sa.Connection, changed: Sequence[Transfer], withdrawn: Sequence[Withdrawn]
    ) -> list[Delivery]:
        if not changed and not withdrawn:
            return []
        now = time.time_ns() // 1_000
        names = [*(one.id for one in withdrawn), *(one.id for one in changed)]
        query = sa.select(tables.live_told).where(tables.live_told.c.transfer_id.in_(names))
        known = {row.transfer_id: (row.revision, row.highest) for row in connection.execute(query)}
        found: list[Delivery] = []

        def tell(identity: str, transfer: Transfer | None, superseded_by: str | None) -> None:
            revision, highest = known.get(identity, (0, 0))
            if transfer is not None:
                highest = max(highest, SEVERITIES.index(transfer.severity))
            change: Change = "withdrawn" if transfer is None else "update" if revision else "new"
            known[identity] = (revision + 1, highest)
            found.append(
                Delivery(
                    sequence=self._sequence + 1 + len(found),
                    id=identity,
                    revision=revision + 1,
                    change=change,
                    transfer=transfer,
                    superseded_by=superseded_by,
                    at=now,
                    highest=SEVERITIES[highest],
                )
            )

        for gone in withdrawn:
            self._remove(connection, gone)
            if gone.id in known:  # else nobody was told of it
                tell(gone.id, None, gone.superseded_by)
        for one in changed:
            tell(one.id, one, None)
        connection.execute(tables.live_told.delete().where(tables.live_told.c.transfer_id.in_(names)))
        rows = [{"transfer_id": name, "revision": told, "highest": rank} for name, (told, rank) in sorted(known.items())]
        if rows:
            connection.execute(tables.live_told.insert(), rows)
        return found

    @staticmethod
    def _remove(connection: sa.Connection, gone: Withdrawn) -> None:
        """Take a transfer out; an analyst's verdicts on it go on to the one that it went into."""
        if gone.superseded_by is not None:
            there = connection.execute(
                sa.select(tables.transfer.c.id).where(tables.transfer.c.id == gone.superseded_by)
            ).first()
            if there is not None:
                mine = tables.verdict.c.transfer_id == gone.id
                connection.execute(tables.verdict.update().where(mine).values(transfer_id=gone.superseded_by))
        connection.execute(tables.evidence.delete().where(tables.evidence.c.transfer_id == gone.id))
        connection.execute(tables.verdict.delete().where(tables.verdict.c.transfer_id == gone.id))
        connection.execute(tables.transfer.delete().where(tables.transfer.c.id == gone.id))

    def put_states(self, states: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """Keep states by name, each in pieces. They may be made while they are asked for: they are large. Raises StoreError."""
        with self.store.database.writing() as connection:
            for name, pieces in states:
                _put(connection, tables.live_state, {name: _deflated(pieces)})

    def keep_states(self, upto: int, states: Iterable[tuple[str, bytes | None]], counted: Counters) -> None:
        """Keep the last of the states that stand for all ticks up to one; what those counted is learned.

        Commits take those ticks out by and by. Raises StoreError.
        """
        with self.store.database.writing() as connection:
            for name, data in states:
                _put(connection, tables.live_state, {name: None if data is None else _deflated([data])})
            self.store.history.add(connection, counted)
        self._spent = upto

    def _take_out_spent(self, connection: sa.Connection) -> None:
        """Take out the oldest of the ticks that states stand for."""
        number = tables.live_tick.c.number
        first = connection.execute(sa.select(sa.func.min(number))).scalar()
        if first is not None and first <= self._spent:
            connection.execute(tables.live_tick.delete().where(number <= min(self._spent, first + _SPENT_AT_ONCE - 1)))

    # ---------------------------------------------------------------------- outbox
    def after(self, sequence: int, limit: int) -> list[Delivery]:
        """The deliveries after one, in order."""
        query = sa.select(tables.outbox.c.data).where(tables.outbox.c.sequence > sequence).order_by(tables.outbox.c.sequence)
        with self.store.database.reading() as connection:
            rows = connection.execute(query.limit(limit)).scalars().all()
        return [msgspec.json.decode(bytes(row), type=Delivery) for row in rows]

    def newest(self) -> int:
        """The sequence of the last delivery."""
        return self._sequence

    def cursor(self, name: str) -> int:
        """The last delivery that a sink has; one that is new begins with what comes now."""
        query = sa.select(tables.outbox_cursor.c.sequence).where(tables.outbox_cursor.c.sink == name)
        with self.store.database.reading() as connection:
            found = connection.execute(query).scalar()
        if found is not None:
            return int(found)
        self.acknowledge(name, self._sequence)
        return self._sequence

    def acknowledge(self, name: str, sequence: int) -> None:
        """A sink has everything up to this delivery."""
        with self.store.database.writing() as connection:
            connection.execute(tables.outbox_cursor.delete().where(tables.outbox_cursor.c.sink == name))
            connection.execute(tables.outbox_cursor.insert(), {"sink": name, "sequence": sequence})

    def prune(self, sinks: Iterable[str]) -> int:
        """Remove what all these sinks have, and what is beyond OUTBOX_KEPT; returns how many that some sink never got."""
        names = list(sinks)
        with self.store.database.writing() as connection:
            query = sa.select(sa.func.min(tables.outbox_cursor.c.sequence)).where(tables.outbox_cursor.c.sink.in_(names))
            everyone = int(connection.execute(query).scalar() or 0) if names else self._sequence
            bound = self._sequence - OUTBOX_KEPT
            connection.execute(tables.outbox.delete().where(tables.outbox.c.sequence <= max(everyone, bound)))
        lost = max(0, bound - everyone) if names else 0
        self.given_up += lost
        return lost


def _deflated(pieces: Iterable[bytes]) -> bytes:
    deflating = zlib.compressobj(1)
    return b"".join([*map(deflating.compress, pieces), deflating.flush()])


def _inflated(data: bytes) -> bytes:
    """The text again. Raises StateError where it is not whole."""
    if data[:1] != b"x":  # of a store from before they were deflated
        return data
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise StateError(f"a kept tick or state of the watch is damaged ({error})") from error


def _put(connection: sa.Connection, table: sa.Table, values: Mapping[str, bytes | None]) -> None:
    """Replace rows by name; None removes."""
    rows = [{"key": _key(name), "name": json.dumps(name), "data": data} for name, data in values.items()]
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        connection.execute(table.delete().where(table.c.key.in_([row["key"] for row in some])))
        kept = [row for row in some if row["data"] is not None]
        if kept:
            connection.execute(table.insert(), kept)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
