"""What events say about what is usual: cheap enough to be asked of every event that is read anyway.

A batch is first counted by the raw fields that matter; what a combination of them counts for is worked out once and remembered.
"""

from __future__ import annotations

import functools
import time as clock
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

from tidewaiter.baseline import names
from tidewaiter.baseline.counters import ANY, Counters, Tallies
from tidewaiter.baseline.decay import DAY, HALF_LIFE
from tidewaiter.catalog.roles import program_name
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.batch import Counted
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_TRANSFERS = frozenset({ActionKind.INGRESS, ActionKind.LATERAL})
_LOOPBACK = ("127.", "::1", "0.0.0.0", "::")  # noqa: S104 - compared with, nothing listens there
_PLANS = 50_000
"""Combinations whose counters are remembered."""

Facet = tuple[str, str]
"""Facet and key."""


class Observer:
    """Counts observations of one process. Events without a time, or of the future, are counted as late and left out."""

    def __init__(self, half_life: float = HALF_LIFE) -> None:
        self.tallies = Tallies(half_life)
        self._horizon = clock.time_ns() // 1_000 + 2 * DAY
        self._plans: dict[tuple[Any, ...], list[list[int]]] = {}
        self._made = (0, 0)  # generation of the counters and the day that the plans are of

    def observe(self, events: Sequence[Event]) -> None:
        """Take a batch of events in."""
        if not events:
            return
        times = [event.time for event in events]
        first, last = min(times), max(times)
        if not 0 < first <= last < self._horizon:
            usable = [event for event in events if 0 < event.time < self._horizon]
            self.tallies.late(len(events) - len(usable))
            self.observe(usable)
        elif first // DAY == last // DAY:
            self._of_day(events, first // DAY)
        else:
            by_day: dict[int, list[Event]] = {}
            for event in events:
                by_day.setdefault(event.time // DAY, []).append(event)
            for day, some in by_day.items():
                self._of_day(some, day)

    def _of_day(self, events: Iterable[Event], day: int) -> None:
        slots: dict[int, list[Event]] = {known: [] for known in _KINDS}
        for event in events:
            slot = slots.get(id(event.kind))
            if slot is not None:
                slot.append(event)
        for known, some in slots.items():
            if some:
                fields, facets = _KINDS[known]
                for raw, count in Counter(map(fields, some)).items():
                    self._count((known, *raw), raw[:3], facets, raw[3:], day, count)

    def observe_counted(self, counted: Iterable[Counted]) -> None:
        """Take in network events that a log source has counted; their times lie in the past."""
        tallies = self.tallies
        for kind, day, combinations in counted:
            sums: dict[tuple[str, str, str], int] = {}
            for fields, count in _FIELDS_COUNTED[kind](combinations):
                host = names.host_of(fields[0])
                for facet, key in (("host", ANY), *_facets_counted(kind, fields[1:])):
                    cell = (facet, key, host)
                    sums[cell] = sums.get(cell, 0) + count
            for (facet, key, host), count in sums.items():
                tallies.cell(facet, key, host, day)[1] += count

    def found(self, event: Event, findings: Iterable[Finding]) -> None:
        """Take in what the analytics found in one event: which utility transfers a file."""
        if not 0 < event.time < self._horizon:
            return
        place = (event.host, event.host_ip, None)
        for finding in findings:
            if finding.action is not None and finding.action.kind in _TRANSFERS:
                fields = (event.process_path, event.process_name, finding.action.utility, finding.action.urls)
                self._count(("found", *place, *fields), place, _used, fields, event.time // DAY, 1)

    def _count(
        self,
        raw: tuple[Any, ...],
        place: tuple[str | None, ...],
        facets: Callable[..., Iterator[Facet]],
        fields: tuple[Any, ...],
        day: int,
        count: int,
    ) -> None:
        """Add to every counter that a combination counts for."""
        tallies = self.tallies
        if self._made != (tallies.generation, day) or len(self._plans) >= _PLANS:
            self._plans.clear()
            self._made = (tallies.generation, day)
        plan = self._plans.get(raw)
        if plan is None:
            host = names.host_of(place[0] or place[1] or place[2])
            keys = [("host", ANY), *facets(*fields)]
            plan = [tallies.cell(facet, names.bounded(key), host, day) for facet, key in keys]
            if tallies.generation != self._made[0]:  # counters were moved meanwhile: those of before are not open any more
                plan = [tallies.cell(facet, names.bounded(key), host, day) for facet, key in keys]
            else:
                self._plans[raw] = plan
        for cell in plan:
            cell[1] += count

    def take(self) -> Counters:
        """What was counted since the last time."""
        return self.tallies.take()


# ---------------------------------------------------------------- what kinds of events count for
def _used(path: str | None, name: str | None, utility: str, urls: tuple[str, ...]) -> Iterator[Facet]:
    """A utility transfers a file; the program speaks to the sources that its command names."""
    yield "utility", ANY
    yield "utility", utility
    for peer in {_host_in(url) for url in urls[:20]}:
        yield from _spoke(path, name, peer)


def _started(path: str | None, name: str | None, *hashes: str | None) -> Iterator[Facet]:
    program = program_name(path or name)
    if program:
        yield "program", program
    yield from _hash(*hashes)


def _hash(*hashes: str | None) -> Iterator[Facet]:
    value = next(filter(None, hashes), None)
    if value:
        yield "hash", value.lower()


def _connected(
    path: str | None, name: str | None, initiated: bool | None, peer: str | None, address: str | None, *service: Any
) -> Iterator[Facet]:
    if initiated is not False and not (address or "").startswith(_LOOPBACK):
        yield from _spoke(path, name, peer)
        yield from _reached(address, *service)


def _spoke(path: str | None, name: str | None, peer: str | None) -> Iterator[Facet]:
    """A program, or the host, spoke to a name or asked for it."""
    program = program_name(path or name)
    if program:
        yield "network_program", program
    domain = names.domain_of(peer)
    if domain is not None:
        yield "domain", ANY
        yield "domain", domain
        if program:
            yield "program_domain", f"{program} {domain}"


def _reached(address: str | None, port: int | None, protocol: str | None, transport: str | None) -> Iterator[Facet]:
    if address:
        yield "address", address
    if port:
        yield "service", f"{port} {protocol or transport or ''}".rstrip()


def _appeared(folder: str | None, kind: str | None, *hashes: str | None) -> Iterator[Facet]:
    if folder is not None and kind is not None:
        yield "landing", names.landing_of(folder, kind)
    yield from _hash(*hashes)


def _carried(peer: str | None, url: str | None, *hashes: str | None) -> Iterator[Facet]:
    yield from _spoke(None, None, peer or _host_in(url))
    yield from _hash(*hashes)


def _requested(peer: str | None) -> Iterator[Facet]:
    return _spoke(None, None, peer)


def _host_in(url: str | None) -> str | None:
    """The host that a URL names, or None."""
    if not url:
        return None
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _file_fields(event: Event) -> tuple[str | None, ...]:
    """The fields of a new file: without the name, which is hardly ever the same."""
    path = event.file_path
    if path is None:
        return (event.host, event.host_ip, None, None, None, event.sha256, event.sha1, event.md5)
    cut = max(path.rfind("\\"), path.rfind("/"))
    dot = path.rfind(".")
    kind = path[dot + 1 :] if dot > cut + 1 else "-"
    return (event.host, event.host_ip, None, path[: max(cut, 0)], kind, event.sha256, event.sha1, event.md5)


def _getter(*fields: str) -> Callable[[Event], tuple[Any, ...]]:
    """Who it is about (on the network's side, who opened the connection), and the fields."""
    return attrgetter("host", "host_ip", "src_ip", *fields)


_PROGRAM = ("process_path", "process_name")
_HASHES = ("sha256", "sha1", "md5")
_REACHED = ("dst_ip", "dst_port", "protocol", "transport")

_KINDS: dict[int, tuple[Callable[[Event], tuple[Any, ...]], Callable[..., Iterator[Facet]]]] = {
    id(EventKind.PROCESS_START): (_getter(*_PROGRAM, *_HASHES), _started),
    id(EventKind.CONNECTION): (_getter(*_PROGRAM, "initiated", "dst_host", *_REACHED), _connected),
    id(EventKind.DNS_QUERY): (_getter(*_PROGRAM, "query"), _spoke),
    id(EventKind.FILE_CREATE): (_file_fields, _appeared),
    id(EventKind.FILE_ON_WIRE): (_getter("dst_host", "url", *_HASHES), _carried),
    id(EventKind.DOWNLOAD): (_getter("dst_host", "url", *_HASHES), _carried),
    id(EventKind.HTTP): (_getter("dst_host"), _requested),
    id(EventKind.TLS): (_getter("dst_host"), _requested),
    id(EventKind.FLOW): (_getter(*_REACHED), _reached),
}
"""By identity: members of an enumeration are hashed slowly, and there is one object for each."""

KINDS = frozenset(kind for kind in EventKind if id(kind) in _KINDS)
"""The kinds that are observed."""


# ------------------------------------------------------------------------- what was counted by log sources
def _fields_of_flows(combinations: Mapping[tuple[Any, ...], int]) -> Iterable[tuple[tuple[Any, ...], int]]:
    """Without the sizes: flows to one service are one combination."""
    sums: dict[tuple[Any, ...], int] = {}
    for (src, dst, port, protocol, transport, _, _), count in combinations.items():
        fields = (src, dst, port, protocol, transport)
        sums[fields] = sums.get(fields, 0) + count
    return sums.items()


_FIELDS_COUNTED: dict[EventKind, Callable[[Mapping[tuple[Any, ...], int]], Iterable[tuple[tuple[Any, ...], int]]]] = {
    EventKind.FLOW: _fields_of_flows,
    EventKind.DNS_QUERY: lambda combinations: combinations.items(),
    EventKind.TLS: lambda combinations: (((src, name), count) for (src, _, name), count in combinations.items()),
}


@functools.lru_cache(maxsize=16_384)
def _facets_counted(kind: EventKind, fields: tuple[Any, ...]) -> tuple[Facet, ...]:
    """What the fields of a combination, without who it is about, count for."""
    found = _reached(*fields) if kind is EventKind.FLOW else _spoke(None, None, *fields)
    return tuple((facet, names.bounded(key)) for facet, key in found)
