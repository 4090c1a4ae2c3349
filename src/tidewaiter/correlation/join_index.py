"""What joins look at of each case, and an index over it by key and nearness in time.

Busy endpoints have thousands of files within minutes: an index finds those that are near, it does not look at all of them.
"""

from __future__ import annotations

import functools
import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

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


class _Table(Generic[Key]):
    """Entries by a key, in the order in which they came; found by how near in time they are."""

    def __init__(self) -> None:
        self._all: dict[Key, list[Entry]] = {}
        self._ordered: dict[Key, tuple[list[int], list[int]]] = {}  # moments, and the places of the entries that have them

    def add(self, key: Key, entry: Entry) -> None:
        """Note an entry. All are added before any is asked for."""
        self._all.setdefault(key, []).append(entry)

    def near(self, key: Key, times: tuple[int, ...], window: int) -> list[Entry]:
        """Those of a key with a moment at most `window` (microseconds) from one of `times`."""
        found = self._all.get(key)
        if found is None:
            return []
        if len(found) <= _FEW:
            return [entry for entry in found if _apart(times, entry.times) <= window]
        ordered = self._ordered.get(key)
        if ordered is None:
            pairs = sorted((time, place) for place, entry in enumerate(found) for time in entry.times)
            ordered = self._ordered[key] = [time for time, _ in pairs], [place for _, place in pairs]
        moments, places = ordered
        picked: set[int] = set()
        for time in times:
            picked.update(places[bisect_left(moments, time - window) : bisect_right(moments, time + window)])
        return [found[place] for place in sorted(picked)]


def _parents(url: str) -> list[str]:
    """What a URL lies below, from the outermost that may be a repository inwards."""
    pieces = url.split("/", _DEEPEST)
    return ["/".join(pieces[:count]) for count in range(_SHALLOW + 2, len(pieces))]


class Index:
    """Wire entries by the keys that join."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_url: _Table[str] = _Table()
        self._by_parent: _Table[str] = _Table()
        self._by_redirect: _Table[str] = _Table()
        self._by_hash: _Table[str] = _Table()
        self._by_endpoint: _Table[tuple[str, int]] = _Table()
        self._by_sender_only: _Table[str] = _Table()
        self._by_session: _Table[str] = _Table()
        self._by_sender: _Table[tuple[str, str]] = _Table()
        for entry in entries:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        for url in entry.urls:
            self._by_url.add(url, entry)
        if entry.sender and entry.port:
            for parent in {parent for url in entry.urls for parent in _parents(url)}:
                self._by_parent.add(parent, entry)
        for url in entry.redirected:
            self._by_redirect.add(url, entry)
        if entry.sha256:
            self._by_hash.add(entry.sha256, entry)
        if entry.sender and entry.protocol in _SPLIT_PROTOCOLS:
            self._by_sender_only.add(entry.sender, entry)
        if entry.sender and not entry.name:
            self._by_session.add(entry.sender, entry)
        if entry.sender and entry.port:
            self._by_endpoint.add((entry.sender, entry.port), entry)
        if entry.sender and entry.name:
            self._by_sender.add((entry.sender, entry.name), entry)

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
