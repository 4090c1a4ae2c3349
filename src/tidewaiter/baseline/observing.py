"""What events say about what is usual: cheap enough to be asked of every event that is read anyway.

A batch is first counted by the raw fields that matter; what a combination of them counts for is worked out once and remembered.
"""

from __future__ import annotations

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
            if some and known in _CARRIED:
                sums: _Sums = {}
                _add_carried(sums, Counter(map(_CARRIED_FIELDS, some)))
                self._add(sums, day)
            elif some:
                fields, facets = _KINDS[known]
                for raw, count in Counter(map(fields, some)).items():
                    self._count((known, *raw), raw[:3], facets, raw[3:], day, count)

    def observe_counted(self, counted: Iterable[Counted]) -> None:
        """Take in network events that a log source has counted; their times lie in the past."""
        for kind, day, combinations, services in counted:
            sums: _Sums = {}
            (_add_flows if kind is EventKind.FLOW else _add_names)(sums, combinations, services)
            self._add(sums, day)

    def _add(self, sums: _Sums, day: int) -> None:
        for facet, cells in sums.items():
            self.tallies.add(facet, cells, day)

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
        yield "service", _service(port, protocol, transport)


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

_CARRIED = frozenset({id(EventKind.FILE_ON_WIRE), id(EventKind.HTTP)})
"""Kinds of which a log of a sensor holds very many, hardly two alike: they are added up together."""
_CARRIED_FIELDS = _getter("kind", "dst_host", "url", *_HASHES)

KINDS = frozenset(kind for kind in EventKind if id(kind) in _KINDS)
"""The kinds that are observed."""


# ------------------------------------------------------------------------- what was counted by log sources
_Combinations = Mapping[tuple[Any, ...], int]
_Sums = dict[str, dict[tuple[str, str], int]]


def _add_flows(sums: _Sums, pairs: _Combinations, services: _Combinations) -> None:
    """Flows by who opened them and what they reached, and by service."""
    hosts: dict[str | None, int] = {}
    addresses = sums.setdefault("address", {})
    bounded, host_of = names.bounded, names.host_of
    for (src, dst, _), count in pairs.items():
        hosts[src] = hosts.get(src, 0) + count
        if dst:
            cell = (bounded(dst), host_of(src))
            addresses[cell] = addresses.get(cell, 0) + count
    _add_hosts(sums, hosts)
    reached = sums.setdefault("service", {})
    for (src, port, protocol, transport, _), count in services.items():
        if port:
            cell = (_service(port, protocol, transport), host_of(src))
            reached[cell] = reached.get(cell, 0) + count


def _add_names(sums: _Sums, combinations: _Combinations, _services: _Combinations) -> None:
    """Names by who asked for them: the first and the last of the fields."""
    hosts: dict[str | None, int] = {}
    by_name: dict[tuple[str | None, str | None], int] = {}
    domains = sums.setdefault("domain", {})
    domain_of, host_of = names.domain_of, names.host_of
    for fields, count in combinations.items():
        src = fields[0]
        hosts[src] = hosts.get(src, 0) + count
        domain = domain_of(fields[-1])
        if domain is not None:
            named = (src, domain)
            by_name[named] = by_name.get(named, 0) + count
    _add_hosts(sums, hosts)
    for (src, domain), count in by_name.items():
        host = host_of(src)
        for cell in ((ANY, host), (names.bounded(domain or ""), host)):
            domains[cell] = domains.get(cell, 0) + count


def _add_carried(sums: _Sums, combinations: _Combinations) -> None:
    """Requests, and files by their hashes, by who opened the connection and the name of the other side."""
    named: dict[tuple[str | None, str | None], int] = {}
    hashes = sums.setdefault("hash", {})
    for (host, host_ip, src_ip, kind, peer, url, sha256, sha1, md5), count in combinations.items():
        who = host or host_ip or src_ip
        if kind is not EventKind.HTTP:
            peer = peer or _host_in(url)
            value = sha256 or sha1 or md5
            if value:
                cell = (names.bounded(value.lower()), names.host_of(who))
                hashes[cell] = hashes.get(cell, 0) + count
        named[who, peer] = named.get((who, peer), 0) + count
    _add_names(sums, named, {})


def _add_hosts(sums: _Sums, hosts: Mapping[str | None, int]) -> None:
    cells = sums.setdefault("host", {})
    for src, count in hosts.items():
        cell = (ANY, names.host_of(src))
        cells[cell] = cells.get(cell, 0) + count


def _service(port: int, protocol: str | None, transport: str | None) -> str:
    return names.bounded(f"{port} {protocol or transport or ''}".rstrip())
