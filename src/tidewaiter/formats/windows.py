"""Windows events from any container to events of ours: the driver of all windows log sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tidewaiter.errors import UnrecognisedError
from tidewaiter.formats import evtx, windows_json
from tidewaiter.formats.windows_quick import BROKEN
from tidewaiter.formats.windows_records import Found, Routes
from tidewaiter.formats.windows_spared import Spared
from tidewaiter.log_source import Opened, WindowsSource
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Needs
from tidewaiter.schema.event import Event, EventKind

BATCH = 2000
SAYS_NOTHING = "windows event that says nothing of use"


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

    def spare(self, needs: Needs) -> None:
        """Make one event a computer of the kinds that nobody needs one by one; the others are counted."""
        self._routes.spare(needs.kinds)

    def recognise(self, head: bytes) -> str | None:
        """As the function of this module."""
        return recognise(head)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield events in batches of at most 2000, and empty ones now and then as a sign of life.

        Counts every record in `account`, and says there what the input is.
        Raises UnrecognisedError where the content is none of ours, OSError where the file cannot be read.
        """
        batch: list[Event] = []
        spared = Spared()
        parsed = 0
        try:
            for found in self._records(opened, account, spared):
                if found is None:
                    yield []
                    continue
                if isinstance(found, list):
                    parsed += len(found)
                    batch += found
                    while len(batch) >= BATCH:
                        yield _counted(batch[:BATCH], account)
                        batch = batch[BATCH:]
                    continue
                route, record = found
                source, holds = route.source, route.holds
                if route.spared is not None:
                    time = source.moment(record)  # type: ignore[attr-defined]  # those with `kinds` have it
                    if spared.takes(route, record.provider, record.event_id, record.computer, time):
                        continue
                held = getattr(source, "held", 0) if holds else 0
                try:
                    made = source.events(record)
                    if made.__class__ is not tuple:
                        made = list(made)
                except BROKEN as error:
                    place = "record" if account.recognised_as == "EVTX" else "line"
                    account.damage_at(f"{place} {record.record}", f"{type(error).__name__}: {error}")
                    continue
                if made:
                    parsed += 1
                    batch += made
                    while len(batch) >= BATCH:
                        yield _counted(batch[:BATCH], account)
                        batch = batch[BATCH:]
                elif holds and getattr(source, "held", 0) != held:
                    parsed += 1
                else:
                    account.skip(SAYS_NOTHING)
        finally:
            account.parse(parsed)
            spared.count(account)
        for source in self._routes.sources:
            batch.extend(source.finish())
        for start in range(0, len(batch), BATCH):
            yield _counted(batch[start : start + BATCH], account)

    def _records(self, opened: Opened, account: Account, spared: Spared) -> Iterable[Found]:
        why = evtx.recognise(opened.head)
        if why:
            account.recognised_as, account.why = "EVTX", why
            return evtx.EvtxRecords(opened, account, self._routes, spared)
        why = windows_json.recognise(opened.head)
        if why:
            account.recognised_as, account.why = "Windows events (JSON)", why
            return windows_json.JsonRecords(opened, account, self._routes, spared)
        raise UnrecognisedError(opened.log_file, "byte 0", "neither EVTX nor JSON of Windows events")


def _counted(batch: list[Event], account: Account) -> list[Event]:
    """Note in the account what the events of a batch are, and their times."""
    kinds = account.kinds
    for (source, kind), count in Counter([(event.log_source, id(event.kind)) for event in batch]).items():
        named = f"{source}:{_KINDS[kind]}"
        kinds[named] = kinds.get(named, 0) + count
    times = [event.time for event in batch]
    first, last = min(times), max(times)
    account.first = first if account.first is None else min(first, account.first)
    account.last = last if account.last is None else max(last, account.last)
    return batch


_KINDS = {id(kind): kind.value for kind in EventKind}
"""By identity: members of an enumeration are hashed slowly, and there is one object for each."""
