"""Counting events into the account of their input."""

from __future__ import annotations

from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Quiet
from tidewaiter.schema.event import Event, EventKind


def tally(events: list[Event], account: Account) -> list[Event]:
    """Count a batch by log source and kind, widen the account's span of time, and give the batch back."""
    if not events:
        return events
    kinds = [event.kind for event in events]
    while kinds:  # nearly always one round: counting is fast, hashing a kind is not
        kind, before = kinds[0], len(kinds)
        count = kinds.count(kind)
        kinds = [other for other in kinds if other is not kind] if count < before else []
        name = f"{events[0].log_source}:{kind.value}"
        account.kinds[name] = account.kinds.get(name, 0) + count
    times = [event.time for event in events]
    _widen(min(times), max(times), account)
    return events


def count_unseen(log_source: str, kind: EventKind, count: int, times: tuple[int, int], account: Account) -> None:
    """Count events that were not made because nobody needs them one by one; `times` are the first and the last."""
    if count:
        name = f"{log_source}:{kind.value}"
        account.kinds[name] = account.kinds.get(name, 0) + count
    _widen(*times, account)


def count_quiet(log_source: str, records: int, quiet: Quiet, account: Account) -> None:
    """Count the records that were made no events: what is needed of them is counted where its events are made."""
    for reason in quiet.skipped.values():
        account.skip(reason)
    unseen = records - len(quiet.skipped) - len(quiet.needed)
    account.parse(unseen)
    count_unseen(log_source, quiet.kind, unseen, quiet.times, account)


def _widen(first: int, last: int, account: Account) -> None:
    account.first = first if account.first is None else min(first, account.first)
    account.last = last if account.last is None else max(last, account.last)
