"""The store of transfers, inputs and verdicts. Every statement is parameterised: what logs contain is data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from tidewaiter.errors import UsageError
from tidewaiter.schema.account import Account
from tidewaiter.schema.moments import parse_time, render_time
from tidewaiter.schema.transfer import SEVERITIES, Transfer, Verdict
from tidewaiter.store import merging, tables
from tidewaiter.store.connection import Database
from tidewaiter.store.history import History
from tidewaiter.store.inputs import LogInput
from tidewaiter.store.tables import clean_text

BATCH = 500
"""Transfers of one transaction."""
BATCH_BYTES = 4_000_000
"""JSON of one transaction, so that records with huge fields do not pile up in memory."""

VERDICTS = ("true_positive", "benign", "unsure")


def single(found: Sequence[Transfer], asked: str, where: str) -> Transfer:
    """The transfer that was asked for by its id or the beginning of it. Raises UsageError where none or several are meant."""
    exact = [transfer for transfer in found if transfer.id == asked]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if not found:
        raise UsageError(f"no transfer {where} has an id that starts with {asked!r}")
    raise UsageError(f"several transfers {where} have an id that starts with {asked!r}: {', '.join(one.id for one in found)}")


class Filters(NamedTuple):
    """Which transfers to give; times are microseconds since 1970 UTC."""

    min_severity: str = "informational"
    since: int | None = None
    until: int | None = None
    hosts: tuple[str, ...] = ()
    verdict: str | None = None  # one of VERDICTS, or "none"
    utility: str | None = None


class Changes(msgspec.Struct):
    """What an upsert did, in transfers."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0

    def add(self, other: Changes) -> None:
        """Count in what another batch did."""
        self.added += other.added
        self.updated += other.updated
        self.unchanged += other.unchanged


def open_store(place: str, *, create: bool = True) -> Store:
    """Open the store in a file (SQLite) or at a URL, and bring it to the newest version.

    Raises UsageError where `create` is false and there is none, StoreError where the database does not do its part.
    """
    database = Database(place, create=create)
    try:
        database.upgrade(create=create)
    except BaseException:  # raised again: only what was begun is undone first
        database.close()
        raise
    return Store(database)


class Store:
    """An open store; a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.history = History(database)
        self.changes = Changes()  # of all upserts since it was opened

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    # ---------------------------------------------------------------- transfers
    def keep(self, transfers: Iterable[Transfer]) -> Iterator[Transfer]:
        """Pass transfers on while keeping them, a transaction for each BATCH."""
        waiting: list[Transfer] = []
        size = 0
        for transfer in transfers:
            waiting.append(transfer)
            size += _weight(transfer)
            if len(waiting) >= BATCH or size >= BATCH_BYTES:
                self.upsert(waiting)
                yield from waiting
                waiting, size = [], 0
        self.upsert(waiting)
        yield from waiting

    def upsert(self, transfers: Sequence[Transfer]) -> Changes:
        """Keep transfers in one transaction: new ones are added, known ones stand, are replaced or joined (`merging`)."""
        if not transfers:
            return Changes()
        with self.database.writing() as connection:
            changes, _ = self.upsert_within(connection, transfers)
        self.changes.add(changes)
        return changes

    def upsert_within(self, connection: sa.Connection, transfers: Sequence[Transfer]) -> tuple[Changes, list[Transfer]]:
        """`upsert` inside a transaction of the caller's; also the records that were added or changed, as they are kept."""
        changes, changed = Changes(), []
        told: dict[str, Transfer] = {}
        for transfer in transfers:
            plain = _plain(transfer)
            before = told.get(plain.id)
            told[plain.id] = plain if before is None else _settled(before, plain)
        kept = self._records(connection, list(told))
        now = time.time_ns() // 1_000
        for identity in sorted(told):
            before, after = kept.get(identity), told[identity]
            if before is None:
                connection.execute(tables.transfer.insert(), {**_columns(after), "added_at": now, "updated_at": now})
                changes.added += 1
            else:
                after = _settled(before, after)
                if after == before:
                    changes.unchanged += 1
                    continue
                values = {**_columns(after), "updated_at": now}
                connection.execute(tables.transfer.update().where(tables.transfer.c.id == identity), values)
                connection.execute(tables.evidence.delete().where(tables.evidence.c.transfer_id == identity))
                changes.updated += 1
            changed.append(after)
            rows = list(_evidence(after))
            if rows:
                connection.execute(tables.evidence.insert(), rows)
        return changes, changed

    @staticmethod
    def _records(connection: sa.Connection, identities: Sequence[str]) -> dict[str, Transfer]:
        found = {}
        for start in range(0, len(identities), BATCH):
            some = identities[start : start + BATCH]
            query = sa.select(tables.transfer.c.id, tables.transfer.c.record).where(tables.transfer.c.id.in_(some))
            for identity, record in connection.execute(query):
                found[identity] = msgspec.json.decode(record, type=Transfer)
        return found

    def transfers(self, filters: Filters | None = None) -> Iterator[Transfer]:
        """The transfers in time order with their latest verdict, read a few at a time from one state of the store."""
        with self.database.reading() as connection:
            query = _ordered(_filtered(_with_verdict(), filters or Filters()))
            with connection.execution_options(yield_per=200).execute(query) as rows:
                for row in rows:
                    yield _transfer(row)

    def count(self) -> int:
        """How many transfers there are."""
        with self.database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(tables.transfer)).scalar_one())

    def find(self, prefix: str, most: int = 6) -> list[Transfer]:
        """Up to `most` transfers whose id begins so."""
        start = clean_text(prefix.lower()) or ""
        with self.database.reading() as connection:
            begins = sa.func.substr(tables.transfer.c.id, 1, len(start)) == start
            query = _ordered(_with_verdict().where(begins)).limit(most)
            return [_transfer(row) for row in connection.execute(query)]

    # ----------------------------------------------------------------- verdicts
    def judge(self, identity: str, verdict: str, note: str, by: str, at: int | None = None) -> None:
        """Add an analyst's verdict on a transfer; the latest one stands, all are kept. Raises UsageError."""
        if verdict not in VERDICTS:
            raise UsageError(f"a verdict is one of {', '.join(VERDICTS)}")
        values = {"transfer_id": identity, "verdict": verdict, "note": clean_text(note), "by": clean_text(by)}
        with self.database.writing() as connection:
            known = connection.execute(sa.select(tables.transfer.c.id).where(tables.transfer.c.id == identity)).first()
            if known is None:
                raise UsageError(f"no transfer in the store has the id {identity!r}")
            connection.execute(tables.verdict.insert(), {**values, "at": at or time.time_ns() // 1_000})

    def verdicts(self, identity: str) -> list[Verdict]:
        """All verdicts on a transfer, the oldest first."""
        query = sa.select(tables.verdict).where(tables.verdict.c.transfer_id == identity).order_by(tables.verdict.c.number)
        with self.database.reading() as connection:
            return [
                Verdict(verdict=row.verdict, note=row.note, by=row.by, at=render_time(row.at))
                for row in connection.execute(query)
            ]

    # ------------------------------------------------------------------- inputs
    def checkpoint(self, inputs: Iterable[LogInput]) -> None:
        """Remember the state of inputs; what was known of the same log file is replaced."""
        now = time.time_ns() // 1_000
        rows = {one.key: one for one in inputs}
        with self.database.writing() as connection:
            for key, one in sorted(rows.items()):
                values = {
                    "log_file": clean_text(one.log_file),
                    "size": one.size,
                    "digest": one.digest,
                    "state": one.state,
                    "accounts": _json(one.accounts),
                    "scanned_at": now,
                }
                done = connection.execute(tables.log_input.update().where(tables.log_input.c.key == key), values)
                if not done.rowcount:
                    connection.execute(tables.log_input.insert(), {**values, "key": key})

    def inputs(self) -> Iterator[LogInput]:
        """Every input that was scanned into the store, by name."""
        query = sa.select(tables.log_input).order_by(tables.log_input.c.log_file, tables.log_input.c.key)
        with self.database.reading() as connection, connection.execution_options(yield_per=200).execute(query) as rows:
            for row in rows:
                told = msgspec.json.decode(row.accounts, type=list[Account])
                yield LogInput(log_file=row.log_file, size=row.size, digest=row.digest, state=row.state, accounts=told)


def _settled(kept: Transfer, told: Transfer) -> Transfer:
    """The record that stands."""
    change = merging.compare(kept, told)
    if change == "join":
        return merging.join(kept, told)
    return told if change == "replace" else kept


def _weight(transfer: Transfer) -> int:
    """About how many bytes a transfer takes, without encoding it."""
    lines = sum(len(row.summary) + 200 for row in transfer.evidence)
    return 1_000 + lines + len(transfer.process.command_line or "") + len(transfer.src.url or "")


def _json(value: Any) -> str:
    """The value as JSON text that any database takes; halves of surrogate pairs become question marks."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace").decode()


def _plain(transfer: Transfer) -> Transfer:
    """The record as it is kept: without a verdict, with texts as they come back from JSON."""
    return msgspec.json.decode(_json(msgspec.structs.replace(transfer, verdict=msgspec.UNSET)), type=Transfer)


def _columns(transfer: Transfer) -> dict[str, Any]:
    host = (clean_text(transfer.device.hostname) or "").lower()
    return {
        "id": transfer.id,
        "host": host or None,
        "host_short": host.split(".", 1)[0] or None,
        "ip": clean_text(transfer.device.ip),
        "time": parse_time(transfer.time) if transfer.time else None,
        "severity": SEVERITIES.index(transfer.severity),
        "score": transfer.score,
        "utility": (clean_text(transfer.utility) or "").lower() or None,
        "stages": sum(record.state == "seen" for record in transfer.stages.values()),
        "record": _json(transfer),
    }


def _evidence(transfer: Transfer) -> Iterator[dict[str, Any]]:
    for position, row in enumerate(transfer.evidence):
        yield {
            "transfer_id": transfer.id,
            "position": position,
            "log_file": clean_text(row.log_file),
            "record": clean_text(row.record),
            "time": parse_time(row.time) if row.time else None,
            "log_source": clean_text(row.log_source),
        }


def _with_verdict() -> sa.Select[Any]:
    """Records with the latest verdict on each."""
    latest = (
        sa.select(sa.func.max(tables.verdict.c.number))
        .where(tables.verdict.c.transfer_id == tables.transfer.c.id)
        .correlate(tables.transfer)
        .scalar_subquery()
    )
    columns = (
        tables.transfer.c.record,
        tables.verdict.c.verdict,
        tables.verdict.c.note,
        tables.verdict.c.by,
        tables.verdict.c.at,
    )
    return sa.select(*columns).select_from(tables.transfer.outerjoin(tables.verdict, tables.verdict.c.number == latest))


def _filtered(query: sa.Select[Any], filters: Filters) -> sa.Select[Any]:
    columns = tables.transfer.c
    rank = SEVERITIES.index(filters.min_severity)
    if rank:
        query = query.where(columns.severity >= rank)
    if filters.since is not None:
        query = query.where(columns.time >= filters.since)
    if filters.until is not None:
        query = query.where(columns.time <= filters.until)
    if filters.hosts:
        names = [clean_text(host.lower()) for host in filters.hosts]
        query = query.where(sa.or_(columns.host.in_(names), columns.host_short.in_(names), columns.ip.in_(names)))
    if filters.utility is not None:
        query = query.where(columns.utility == clean_text(filters.utility.lower()))
    if filters.verdict == "none":
        query = query.where(tables.verdict.c.verdict.is_(None))
    elif filters.verdict is not None:
        query = query.where(tables.verdict.c.verdict == filters.verdict)
    return query


def _ordered(query: sa.Select[Any]) -> sa.Select[Any]:
    return query.order_by(sa.nulls_first(tables.transfer.c.time.asc()), tables.transfer.c.id)


def _transfer(row: Any) -> Transfer:
    transfer = msgspec.json.decode(row.record, type=Transfer)
    if row.verdict is not None:
        transfer.verdict = _verdict(row)
    return transfer


def _verdict(row: Any) -> Verdict:
    return Verdict(verdict=row.verdict, note=row.note, by=row.by, at=render_time(row.at))
