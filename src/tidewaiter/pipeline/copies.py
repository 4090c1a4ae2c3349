"""One event in two copies of a log (a backup beside the log, rotated parts that overlap) is taken once, before the fold.

The same event is what has the same host, log source, record number (of EVTX, auditd, Sysmon for Linux), time and content, in
two files. What has no such number stays two events, however equal. Copies are neighbours in time, so only rows of one time are
compared, and only where logs that can be copies of one another overlap in time at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.pipeline.batches import RowBatch
from tidewaiter.schema import event as schema
from tidewaiter.schema.account import Account

REASON = "duplicate"
"""Why a record of a second copy is skipped, in the account of its file."""
MOST = 4_096
"""Different events of one time that are remembered; beyond it a copy may stay."""

_SERIALS = {"linux_auditd": "serial", "linux_sysmon": "event_record_id"}
"""Log source -> where in `extra` the number stands; the record of these is the line."""
_EVTX = "EVTX"

_Sight = tuple[object, ...]
_Known = tuple[Glimpse, dict[bytes, str]]
"""The first event of its looks, and the contents of all with these looks, once there are several: content -> file."""


class Copies:
    """Leaves the copies of events out, and moves their records from parsed to skipped in the accounts of their files."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.log_file: account for account in accounts if _source(account) is not None}
        self.possible = _overlap(self._accounts.values())

    def left_out(self, batches: Iterable[Sequence[Glimpse]]) -> Iterator[Sequence[Glimpse]]:
        """The batches of one host, in time order, without copies."""
        if not self.possible:
            yield from batches
            return
        firsts: dict[_Sight, _Known] = {}  # of the latest time
        latest: int | None = None
        before: Sequence[Glimpse] | None = None  # the batch whose last row is of the latest time, where none was looked at
        counted: set[tuple[str, str]] = set()  # records of the latest time that are counted
        for batch in batches:
            times = batch.times if isinstance(batch, RowBatch) else [glimpse.time for glimpse in batch]
            if latest != times[0] and len(set(times)) == len(times):
                before, firsts, latest, counted = batch, {}, times[-1], set()
                yield batch
                continue
            if before is not None and latest == times[0]:
                firsts = {_sight(before[-1]): (before[-1], {})}
            before = None
            kept: list[Glimpse] = []
            for glimpse in batch:
                if glimpse.time != latest:
                    firsts, latest, counted = {}, glimpse.time, set()
                sight = _sight(glimpse)
                known = firsts.get(sight)
                if known is None and len(firsts) < MOST:
                    firsts[sight] = (glimpse, {})
                if known is None or not self._is_copy(glimpse, known, counted):
                    kept.append(glimpse)
            if kept:
                yield kept

    def _is_copy(self, glimpse: Glimpse, known: _Known, counted: set[tuple[str, str]]) -> bool:
        """Whether this is an event that was seen in another file; counts its record where it is, else remembers it."""
        first, contents = known
        if not contents:
            content, log_file, _ = self._content(first)
            contents[content] = log_file
        content, log_file, record = self._content(glimpse)
        owner = contents.get(content) if content else log_file
        if owner is None and len(contents) < MOST:
            contents[content] = log_file
        if owner is None or owner == log_file:
            return False
        if (log_file, record) not in counted:
            counted.add((log_file, record))
            account = self._accounts[log_file]
            account.parsed -= 1
            account.skipped[REASON] = account.skipped.get(REASON, 0) + 1
        return True

    def _content(self, glimpse: Glimpse) -> tuple[bytes, str, str]:
        """What is equal in copies of an event (empty where it has no number of its own), its file and its record."""
        event = glimpse.read()
        log_file, record = event.log_file, event.record
        account = self._accounts.get(log_file)
        if account is None:
            return b"", log_file, record
        if account.recognised_as != _EVTX:
            if (event.extra or {}).get(_SERIALS.get(event.log_source, "")) is None:
                return b"", log_file, record
            event.record = ""
        event.log_file = ""
        return schema.encode(event), log_file, record


def _sight(glimpse: Glimpse) -> _Sight:
    """What is equal in copies of an event, as far as it can be seen without unpacking it."""
    return (glimpse.kind, glimpse.key, glimpse.pid, glimpse.parent_key, glimpse.path, glimpse.sha256)


def _source(account: Account) -> str | None:
    """What copies of this log have in common: EVTX, or a log source whose records have a number; None for other logs."""
    if account.recognised_as == _EVTX:
        return _EVTX
    return next((name for kind in account.kinds if (name := kind.partition(":")[0]) in _SERIALS), None)


def _overlap(accounts: Iterable[Account]) -> bool:
    """Whether two logs of one source have a time in common."""
    ends: dict[str, int] = {}
    spans = [(one.first, one.last, _source(one) or "") for one in accounts if one.first is not None and one.last is not None]
    for first, last, source in sorted(spans):
        if source in ends and first <= ends[source]:
            return True
        ends[source] = max(last, ends.get(source, last))
    return False
