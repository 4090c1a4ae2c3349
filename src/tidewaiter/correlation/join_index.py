"""What joins look at of each case, and an index over it by key and nearness in time.

Busy endpoints have thousands of files within minutes: an index finds those that are near, it does not look at all of them.
"""

from __future__ import annotations

import functools
import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar

from tidewaiter.correlation.wire_cases import ANALYTIC as WIRE
from tidewaiter.reading import paths
from tidewaiter.schema import moments
from tidewaiter.schema.case import Case

SECOND = 1_000_000
URL_WINDOW = 180 * SECOND
"""The same URL asked for on a host and seen on the wire, at most so far apart."""
ENDPOINT_WINDOW = 2 * SECOND
"""A connection to an endpoint and a file from there; sensors' clocks may differ a little."""
HASH_WINDOW = 3_600 * SECOND
RECEIVE_WINDOW = 30 * SECOND

_SPLIT_PROTOCOLS = frozenset({"tftp"})
"""Protocols whose request and content are told as separate flows."""
Key = TypeVar("Key", bound=Hashable)
_SHALLOW, _DEEPEST = 2, 32
"""Slashes of a URL below which files are looked for: more than the first, at most the second."""
_FEW = 8
"""Entries of a key that are looked at one by one."""


@dataclass(slots=True)
class Entry:
    """What of a case decides a join; the case itself is elsewhere."""

    number: int
    on_wire: bool
    time: int
    host: str | None
    receiver: str | None
    sender: str | None
    port: int | None
    urls: frozenset[str]
    redirected: frozenset[str]  # URLs whose answer sent here
    redirects: frozenset[str]  # URLs that the answer sends to
    protocol: str | None
    sha256: str | None
    name: str
    times: tuple[int, ...]
    connected: int  # when it connected, else when it was asked for
    received: bool  # written by a receiving program: the other side's command is elsewhere
    whole: bool
    sent: tuple[tuple[int, str, str | None], ...]  # when, base name, host that it was sent on to
    partners: list[tuple[int, str]] = field(default_factory=list)


def entry_of(number: int, case: Case) -> Entry:
    """The entry of a case."""
    transfer = case.transfer
    on_wire = case.analytic == WIRE
    time = moments.parse_time(transfer.time) if transfer.time else None
    times = [moments.parse_time(row.time) or 0 for row in transfer.evidence[:8] if row.time]
    redirected, _, place = case.marks.get("redirected", "").partition(" ")
    name = transfer.file.name or transfer.dst.path or ""
    return Entry(
        number=number,
        on_wire=on_wire,
        time=time or 0,
        host=(transfer.device.hostname or "").lower().split(".")[0] or None,
        receiver=_address(transfer.device.ip),
        sender=_address(transfer.src.ip),
        port=transfer.src.port,
        urls=paths.url_keys([*case.urls, *([transfer.src.url] if transfer.src.url else [])]),
        redirected=paths.url_keys([place]) if redirected == "from" else frozenset(),
        redirects=paths.url_keys([place]) if redirected == "to" else frozenset(),
        protocol=transfer.protocol,
        sha256=transfer.file.sha256,
        name=paths.base_key(name),
        times=tuple(sorted({time or 0, *times})),
        connected=moments.parse_time(connected) or 0 if (connected := transfer.stages["connected"].time) else time or 0,
        received=case.analytic in ("file_from_network", "share_write"),
        whole=transfer.outcome == "completed",
        sent=case.sent,
    )


@functools.lru_cache(maxsize=8_192)
def _address(text: str | None) -> str | None:
    """An address in its shortest spelling."""
    try:
        return str(ipaddress.ip_address(text)) if text else None
    except ValueError:
        return text


def distance(left: Entry, right: Entry) -> int:
    """Microseconds between the two moments of both that are nearest to each other."""
    return _apart(left.times, right.times)


def _apart(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    return min(abs(one - other) for one in left for other in right)


def _times(entry: Entry) -> tuple[int, ...]:
    return entry.times


def times_connected(entry: Entry) -> tuple[int, ...]:
    """All moments of an entry by which it may be joined."""
    return (*entry.times, entry.connected)


class Table(Generic[Key]):
    """Entries by a key, in the order in which they came; found by how near in time they are."""

    def __init__(self, moments: Callable[[Entry], tuple[int, ...]] = _times) -> None:
        self._moments = moments
        self._all: dict[Key, list[Entry]] = {}
        self._ordered: dict[Key, tuple[list[int], list[Entry]]] = {}  # moments, and the entries that have them; once asked for

    def add(self, key: Key, entry: Entry) -> None:
        """Note an entry."""
        self._all.setdefault(key, []).append(entry)
        ordered = self._ordered.get(key)
        if ordered is not None:
            for time in self._moments(entry):
                place = bisect_right(ordered[0], time)
                ordered[0].insert(place, time)
                ordered[1].insert(place, entry)

    def remove(self, key: Key, entry: Entry) -> None:
        """Forget an entry that was added."""
        found = self._all[key]
        del found[next(place for place, one in enumerate(found) if one is entry)]
        if not found:
            del self._all[key]
            self._ordered.pop(key, None)
            return
        ordered = self._ordered.get(key)
        if ordered is not None:
            for time in self._moments(entry):
                place = bisect_left(ordered[0], time)
                while ordered[1][place] is not entry:
                    place += 1
                del ordered[0][place], ordered[1][place]

    def every(self, key: Key) -> list[Entry]:
        """Those of a key."""
        return self._all.get(key, [])

    def near(self, key: Key, times: tuple[int, ...], window: int) -> list[Entry]:
        """Those of a key with a moment at most `window` (microseconds) from one of `times`."""
        found = self._all.get(key)
        if found is None:
            return []
        if len(found) <= _FEW:
            return [entry for entry in found if _apart(times, self._moments(entry)) <= window]
        ordered = self._ordered.get(key)
        if ordered is None:
            pairs = sorted(((time, entry) for entry in found for time in self._moments(entry)), key=itemgetter(0))
            ordered = self._ordered[key] = [time for time, _ in pairs], [entry for _, entry in pairs]
        picked: dict[int, Entry] = {}
        for time in times:
            some = ordered[1][bisect_left(ordered[0], time - window) : bisect_right(ordered[0], time + window)]
            picked.update((entry.number, entry) for entry in some)
        return [picked[number] for number in sorted(picked)]


def parents(url: str) -> list[str]:
    """What a URL lies below, from the outermost that may be a repository inwards."""
    pieces = url.split("/", _DEEPEST)
    return ["/".join(pieces[:count]) for count in range(_SHALLOW + 2, len(pieces))]


class Index:
    """Wire entries by the keys that join."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_url: Table[str] = Table()
        self._by_parent: Table[str] = Table()
        self._by_redirect: Table[str] = Table()
        self._by_hash: Table[str] = Table()
        self._by_endpoint: Table[tuple[str, int]] = Table()
        self._by_sender_only: Table[str] = Table()
        self._by_session: Table[str] = Table()
        self._by_sender: Table[tuple[str, str]] = Table()
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Note a wire entry."""
        for table, key in self._keys(entry):
            table.add(key, entry)

    def remove(self, entry: Entry) -> None:
        """Forget a wire entry that was added."""
        for table, key in self._keys(entry):
            table.remove(key, entry)

    def _keys(self, entry: Entry) -> Iterator[tuple[Table[Any], Hashable]]:
        for url in entry.urls:
            yield self._by_url, url
        if entry.sender and entry.port:
            for parent in {parent for url in entry.urls for parent in parents(url)}:
                yield self._by_parent, parent
        for url in entry.redirected:
            yield self._by_redirect, url
        if entry.sha256:
            yield self._by_hash, entry.sha256
        if entry.sender and entry.protocol in _SPLIT_PROTOCOLS:
            yield self._by_sender_only, entry.sender
        if entry.sender and not entry.name:
            yield self._by_session, entry.sender
        if entry.sender and entry.port:
            yield self._by_endpoint, (entry.sender, entry.port)
        if entry.sender and entry.name:
            yield self._by_sender, (entry.sender, entry.name)

    def at(self, url: str, times: tuple[int, ...], window: int) -> list[Entry]:
        """Those with a URL, at most `window` (microseconds) from one of `times`."""
        return self._by_url.near(url, times, window)

    def siblings(self, wire: Entry) -> list[tuple[Entry, str]]:
        """What else a sensor told of the same act: the request beside the content, the data connection beside both."""
        if wire.protocol not in _SPLIT_PROTOCOLS:
            return []
        found = []
        for other in self._by_sender_only.near(wire.sender or "", wire.times, ENDPOINT_WINDOW):
            same_ends = other is not wire and other.receiver == wire.receiver and other.protocol == wire.protocol
            if same_ends and not (wire.sha256 and other.sha256) and other.name in ("", wire.name):
                found.append((other, "name"))
        return found

    def followed(self, wire: Entry) -> list[tuple[Entry, str]]:
        """What the answer of a wire entry sent its receiver to."""
        return [
            (other, "redirect")
            for url in wire.redirects
            for other in self._by_url.near(url, wire.times, ENDPOINT_WINDOW)
            if other is not wire and other.receiver == wire.receiver
        ][:1]

    def candidates(self, entry: Entry) -> list[tuple[Entry, str]]:
        """Those that may be the same transfer, the surest key first; only the best key that has any is used."""
        if entry.sha256:
            same = self._by_hash.near(entry.sha256, entry.times, HASH_WINDOW)
            if same:
                return [(wire, "sha256") for wire in same]
        for key, table in (("url", self._by_url), ("redirect", self._by_redirect)):
            near = {wire.number: wire for url in entry.urls for wire in table.near(url, entry.times, URL_WINDOW)}
            if near:
                return [(wire, key) for wire in near.values()]
        below = self._below(entry)
        if below:
            return [(wire, "below") for wire in below]
        return self._by_peer(entry)

    def _below(self, entry: Entry) -> list[Entry]:
        """Files below the URL that was asked for, as the objects of a repository are."""
        found = {
            wire.number: wire
            for url in entry.urls
            if url.count("/") > _SHALLOW
            for wire in self._by_parent.near(url, entry.times, URL_WINDOW)
            if wire.sender == entry.sender and wire.port == entry.port
        }
        return [found[number] for number in sorted(found)]

    def _by_peer(self, entry: Entry) -> list[tuple[Entry, str]]:
        """Those that only the other side and the time tell."""
        if entry.received and entry.sender:
            near = self._by_session.near(entry.sender, entry.times, RECEIVE_WINDOW)
            sessions = [wire for wire in near if wire.protocol == entry.protocol]
            if len(sessions) == 1:
                return [(sessions[0], "session")]
        if entry.sender and entry.name:
            window = RECEIVE_WINDOW if entry.received else URL_WINDOW
            named = self._by_sender.near((entry.sender, entry.name), entry.times, window)
            if named:
                return [(wire, "name") for wire in named]
        if entry.sender and entry.port and not entry.received:
            close = self._by_endpoint.near((entry.sender, entry.port), (entry.connected,), ENDPOINT_WINDOW)
            if len(close) == 1:
                return [(close[0], "endpoint")]
        return []
