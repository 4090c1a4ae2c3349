"""Windows events from any container to events of ours: the driver of all windows log sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidewaiter.errors import TidewaiterError, UnrecognisedError
from tidewaiter.formats import evtx, windows_json
from tidewaiter.formats.windows_records import Found, Route, Routes
from tidewaiter.log_source import Opened, WindowsRecord, WindowsSource
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

BATCH = 2000
SAYS_NOTHING = "windows event that says nothing of use"
_BROKEN_RECORD = (TidewaiterError, ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)


def recognise(head: bytes) -> str | None:
    """Why these first bytes are Windows events in one of our containers, or None. Never raises."""
    return evtx.recognise(head) or windows_json.recognise(head)


class WindowsReader:
    """Reads one input of Windows events: each record goes to the source registered for its provider and event id.

    A source may count in `held` the records that it keeps for joining; a record that makes no event and is not held is
    skipped as saying nothing of use.
    """

    title = "Windows events"

    def __init__(self, sources: list[WindowsSource]) -> None:
        self._routes = Routes(sources)

    def recognise(self, head: bytes) -> str | None:
        """As the function of this module."""
        return recognise(head)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield events in batches of at most 2000, and empty ones now and then as a sign of life.

        Counts every record in `account`, and says there what the input is.
        Raises UnrecognisedError where the content is none of ours, OSError where the file cannot be read.
        """
        batch: list[Event] = []
        for found in self._records(opened, account):
            if found is None:
                yield []
                continue
            made = self._events(*found, account)
            if made:
                batch.extend(made)
                while len(batch) >= BATCH:
                    yield _counted(batch[:BATCH], account)
                    batch = batch[BATCH:]
        for source in self._routes.sources:
            batch.extend(source.finish())
        for start in range(0, len(batch), BATCH):
            yield _counted(batch[start : start + BATCH], account)

    def _records(self, opened: Opened, account: Account) -> Iterable[Found]:
        why = evtx.recognise(opened.head)
        if why:
            account.recognised_as, account.why = "EVTX", why
            return evtx.EvtxRecords(opened, account, self._routes)
        why = windows_json.recognise(opened.head)
        if why:
            account.recognised_as, account.why = "Windows events (JSON)", why
            return windows_json.JsonRecords(opened, account, self._routes)
        raise UnrecognisedError(opened.log_file, "byte 0", "neither EVTX nor JSON of Windows events")

    def _events(self, route: Route, record: WindowsRecord, account: Account) -> list[Event]:
        held = getattr(route.source, "held", 0)
        try:
            made = list(route.source.events(record))
        except _BROKEN_RECORD as error:
            place = "record" if account.recognised_as == "EVTX" else "line"
            account.damage_at(f"{place} {record.record}", f"{type(error).__name__}: {error}")
            return []
        if made or getattr(route.source, "held", 0) != held:
            account.parse()
        else:
            account.skip(SAYS_NOTHING)
        return made


def _counted(batch: list[Event], account: Account) -> list[Event]:
    kinds = account.kinds
    for event in batch:
        name = f"{event.log_source}:{event.kind.value}"
        kinds[name] = kinds.get(name, 0) + 1
    first, last = min(event.time for event in batch), max(event.time for event in batch)
    account.first = first if account.first is None else min(first, account.first)
    account.last = last if account.last is None else max(last, account.last)
    return batch
