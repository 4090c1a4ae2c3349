"""Looking for the records of a drill: in the store that a running watch writes, or in what a scan of logs finds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tidewaiter.catalog.drill import DRILLED, Method
from tidewaiter.errors import StoreError, UsageError
from tidewaiter.schema.transfer import Transfer

INTERVAL = 0.2
"""Seconds between two looks into the store: delays are not told more finely than that."""
SLACK = 5_000_000
"""Microseconds by which the clock of a log may be behind."""


_NETWORK = ("suricata", "zeek", "netflow", "packet", "firewall", "proxy", "web_server", "ftp_server")
"""How the names of log sources begin that are not of the host which the file reached."""


@dataclass(frozen=True, slots=True)
class Needle:
    """By what the records of one method are known."""

    name: str  # of the marker's file
    sha256: str
    address: str
    port: int | None  # None where other methods share it


@dataclass(slots=True)
class Sighting:
    """What was found of one method. Times are seconds since 1970; None where the records were not seen to come."""

    records: dict[str, Transfer] = field(default_factory=dict)
    first: float | None = None  # when the first record was there
    last: float | None = None  # when it said the most that it came to say

    def best(self) -> Transfer | None:
        """The record that shows most."""
        return max(self.records.values(), key=lambda one: (*_told(one), one.score, one.id), default=None)


def stages_seen(transfer: Transfer) -> set[str]:
    """The stages of a drill that a record shows."""
    return {stage for stage in DRILLED if stage in transfer.stages and transfer.stages[stage].state == "seen"}


def of_network(log_source: str) -> bool:
    """Whether a log source tells of the network, not of the host that the file reached."""
    return log_source.startswith(_NETWORK)


def joined(transfer: Transfer) -> bool:
    """Whether a record rests on evidence of the host and of the network."""
    return {of_network(row.log_source) for row in transfer.evidence} == {True, False}


def _told(transfer: Transfer) -> tuple[int, bool]:
    """How much a record tells."""
    return len(stages_seen(transfer)), joined(transfer)


def belongs(transfer: Transfer, needle: Needle) -> bool:
    """Whether a record is of the transfer that a method made."""
    src = transfer.src
    texts = [src.url, src.path, transfer.dst.path, transfer.file.name, transfer.process.command_line]
    if any(needle.name in text for text in texts if text) or transfer.file.sha256 == needle.sha256:
        return True
    if needle.port is None:
        return False
    if src.port == needle.port and needle.address in (src.ip, src.hostname):
        return True
    endpoints = (f"{needle.address}:{needle.port}", f"{needle.address} {needle.port}")
    words = [f"{text} " for text in (src.url, transfer.process.command_line) if text]
    return any(f"{endpoint}{end}" in text for endpoint in endpoints for text in words for end in " /'\"")


def sort(transfers: Iterable[Transfer], needles: Mapping[str, Needle], found: dict[str, Sighting], now: float | None) -> None:
    """Put all records that there are to the methods that they belong to; `now` is when they were seen to be there.

    A record that is there no longer, since a watch has joined it with another, is forgotten.
    """
    present: dict[str, dict[str, Transfer]] = {}
    for transfer in transfers:
        for method, needle in needles.items():
            if belongs(transfer, needle):
                present.setdefault(method, {})[transfer.id] = transfer
    for method in present.keys() | found.keys():
        sighting = found.setdefault(method, Sighting())
        before = sighting.best()
        sighting.records = present.get(method, {})
        after = sighting.best()
        if after is not None and sighting.first is None:
            sighting.first = now
        if after is not None and (before is None or _told(after) > _told(before)):
            sighting.last = now


def complete(method: Method, sighting: Sighting | None) -> bool:
    """Whether one record shows all that logs can be expected to show of a method, from the host and from the network."""
    best = sighting.best() if sighting is not None else None
    return best is not None and joined(best) and set(DRILLED) - set(method.why) <= stages_seen(best)


class Lookout(threading.Thread):
    """Looks into a store again and again, so that it is known when a record came."""

    def __init__(self, place: str, needles: Mapping[str, Needle], since: float) -> None:
        super().__init__(name="lookout", daemon=True)
        self._place = place
        self._since = int(since * 1_000_000) - SLACK
        self._needles = needles
        self._found: dict[str, Sighting] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.problem = ""  # why the store could not be read the last time

    def found(self) -> dict[str, Sighting]:
        """What has been found so far."""
        with self._lock:
            return dict(self._found)

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()

    def wait(self, methods: Sequence[Method], seconds: float) -> None:
        """Until every method has all that can be expected, or for so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.found()
            if all(complete(method, found.get(method.id)) for method in methods):
                return
            time.sleep(INTERVAL)

    def run(self) -> None:
        """Look until it is over, and once more then."""
        while not self._over.is_set():
            try:
                self._look()
            except (StoreError, UsageError) as error:  # a store that is busy or away for a moment is asked again
                self.problem = str(error)
                self._over.wait(INTERVAL)

    def _look(self) -> None:
        from tidewaiter.store.store import Filters, open_store

        with open_store(self._place, create=False) as store:
            while True:
                over, began = self._over.is_set(), time.monotonic()
                records = list(store.transfers(Filters(since=self._since)))
                with self._lock:
                    sort(records, self._needles, self._found, time.time())
                self.problem = ""
                if over:
                    return
                self._over.wait(max(INTERVAL, time.monotonic() - began))  # a busy store is looked into half of the time


def scanned(paths: Sequence[str], needles: Mapping[str, Needle], since: float) -> dict[str, Sighting]:
    """What a scan of logs finds of the methods. Raises NothingReadableError."""
    from tidewaiter.engines.local import scan
    from tidewaiter.pipeline.config import ScanOptions

    found: dict[str, Sighting] = {}
    with scan(paths, options=ScanOptions(since=int(since * 1_000_000) - SLACK)) as result:
        sort(result.transfers(), needles, found, None)
    return found
