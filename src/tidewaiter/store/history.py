"""The baseline as the store keeps it: learned from inputs once each, fading, bounded for each facet."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.baseline.counters import FACETS, Cell, Counters, Key, Known, known_of, sum_of
from tidewaiter.baseline.decay import HALF_LIFE
from tidewaiter.errors import UsageError
from tidewaiter.store import tables
from tidewaiter.store.connection import Database
from tidewaiter.store.tables import clean_text

KEPT = 100_000
"""Counters of one facet in the store; the weakest beyond it are given up."""
_AT_ONCE = 200

_counter, _setting, _evicted, _learned = (
    tables.baseline_counter,
    tables.baseline_setting,
    tables.baseline_evicted,
    tables.baseline_input,
)


class Facet(NamedTuple):
    """What the history holds of one facet."""

    name: str
    counters: int
    keys: int
    hosts: int
    evicted: int
    first: int | None
    last: int | None


class History:
    """A Memory over the store: what it is asked is looked up and kept for the next question."""

    is_history = True

    def __init__(self, database: Database, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept
        self._rows = functools.lru_cache(maxsize=20_000)(self._look_up)
        self._gone: dict[str, int] | None = None

    @property
    def half_life(self) -> float:
        """Days after which an observation counts half."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(_setting.c.value).where(_setting.c.name == "half_life")).scalar()
        return float(found or HALF_LIFE)

    @property
    def empty(self) -> bool:
        """Whether nothing was learned yet."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(_counter.c.facet).limit(1)).first() is None

    # --------------------------------------------------------------- questions
    def known(self, facet: str, key: str, host: str) -> Known | None:
        """What was learned of a key."""
        return known_of(iter(self._rows(facet, key)), host)

    def _look_up(self, facet: str, key: str) -> tuple[tuple[str, Cell], ...]:
        wanted = sa.and_(_counter.c.facet == facet, _counter.c.key == clean_text(key))
        query = sa.select(_counter.c.host, _counter.c.level, _counter.c.first, _counter.c.last).where(wanted)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(_counter.c.host))
            return tuple((row.host, Cell(row.level, row.first, row.last)) for row in rows)

    def complete(self, facet: str) -> bool:
        """Whether no counter of the facet was given up."""
        if self._gone is None:
            with self._database.reading() as connection:
                self._gone = {row.facet: row.evicted for row in connection.execute(sa.select(_evicted))}
        return not self._gone.get(facet)

    def facets(self) -> Iterator[Facet]:
        """What there is of each facet, in the order of FACETS."""
        columns = (
            sa.func.count(),
            sa.func.count(_counter.c.key.distinct()),
            sa.func.count(_counter.c.host.distinct()),
            sa.func.min(_counter.c.first),
            sa.func.max(_counter.c.last),
        )
        with self._database.reading() as connection:
            gone = {row.facet: row.evicted for row in connection.execute(sa.select(_evicted))}
            for name in FACETS:
                row = connection.execute(sa.select(*columns).where(_counter.c.facet == name)).one()
                yield Facet(name, row[0], row[1], row[2], gone.get(name, 0), row[3], row[4])

    def strongest(self, facet: str, most: int) -> list[tuple[str, str, Cell]]:
        """The strongest counters of a facet: key, host, counter."""
        query = sa.select(_counter).where(_counter.c.facet == facet)
        ordered = query.order_by(_counter.c.level.desc(), _counter.c.key, _counter.c.host).limit(most)
        with self._database.reading() as connection:
            return [(row.key, row.host, Cell(row.level, row.first, row.last)) for row in connection.execute(ordered)]

    def learned(self, digests: Sequence[str]) -> set[str]:
        """Which of these contents were learned from."""
        found: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(digests), _AT_ONCE):
                query = sa.select(_learned.c.digest).where(_learned.c.digest.in_(digests[start : start + _AT_ONCE]))
                found.update(connection.execute(query).scalars())
        return found

    # ---------------------------------------------------------------- learning
    def begin(self, half_life: float | None) -> float:
        """Settle the half-life (days) of the baseline and return it. Raises UsageError where it is another one already."""
        with self._database.writing() as connection:
            found = connection.execute(sa.select(_setting.c.value).where(_setting.c.name == "half_life")).scalar()
            if found is None:
                found = half_life or HALF_LIFE
                connection.execute(_setting.insert(), {"name": "half_life", "value": found})
        if half_life is not None and half_life != found:
            raise UsageError(f"this baseline was learned with a half-life of {found:g} days; it cannot be changed")
        return float(found)

    def learn(self, counters: Counters, log_file: str, digest: str) -> bool:
        """Add what one input shows, in one transaction; False where its content was learned from before."""
        with self._database.writing() as connection:
            if connection.execute(sa.select(_learned.c.digest).where(_learned.c.digest == digest)).first() is not None:
                return False
            self.add(connection, counters)
            now = time.time_ns() // 1_000
            connection.execute(_learned.insert(), {"digest": digest, "log_file": clean_text(log_file), "learned_at": now})
        return True

    def add(self, connection: sa.Connection, counters: Counters) -> None:
        """Add counts, in a transaction of the caller's."""
        by_facet: dict[str, list[tuple[Key, Cell]]] = {}
        for facet, key, cell in counters.all():
            by_facet.setdefault(facet, []).append((key, cell))
        for facet, found in by_facet.items():
            for start in range(0, len(found), _AT_ONCE):
                self._add(connection, facet, found[start : start + _AT_ONCE])
            self._bound(connection, facet, counters.evicted.get(facet, 0))
        self._rows.cache_clear()
        self._gone = None

    def _add(self, connection: sa.Connection, facet: str, cells: Iterable[tuple[Key, Cell]]) -> None:
        told: dict[Key, Cell] = {}
        for (key, host), cell in cells:
            place = (clean_text(key) or "", clean_text(host) or "")
            told[place] = sum_of(told[place], cell) if place in told else cell
        wanted = sa.tuple_(_counter.c.key, _counter.c.host).in_(list(told))
        query = sa.select(_counter).where(_counter.c.facet == facet, wanted)
        for row in connection.execute(query):
            place = (row.key, row.host)
            told[place] = sum_of(told[place], Cell(row.level, row.first, row.last))
        rows = [
            {"facet": facet, "key": key, "host": host, "level": cell.level, "first": cell.first, "last": cell.last}
            for (key, host), cell in told.items()
        ]
        kind = sqlite.insert if self._database.is_sqlite else postgresql.insert
        insert = kind(_counter)
        taken = {name: insert.excluded[name] for name in ("level", "first", "last")}
        connection.execute(insert.on_conflict_do_update(index_elements=["facet", "key", "host"], set_=taken), rows)

    def _bound(self, connection: sa.Connection, facet: str, before: int) -> None:
        """Give up the weakest counters beyond what is kept; count them, and the `before` that a worker gave up."""
        held = connection.execute(sa.select(sa.func.count()).where(_counter.c.facet == facet)).scalar_one()
        over = max(0, held - self._kept)
        if over:
            order = (_counter.c.level, _counter.c.last, _counter.c.key, _counter.c.host)
            weakest = sa.select(_counter.c.key, _counter.c.host).where(_counter.c.facet == facet).order_by(*order).limit(over)
            place = sa.tuple_(_counter.c.key, _counter.c.host)
            connection.execute(_counter.delete().where(_counter.c.facet == facet, place.in_(weakest)))
        if over + before:
            gone = _evicted.c.evicted + over + before
            done = connection.execute(_evicted.update().where(_evicted.c.facet == facet).values(evicted=gone))
            if not done.rowcount:
                connection.execute(_evicted.insert(), {"facet": facet, "evicted": over + before})
