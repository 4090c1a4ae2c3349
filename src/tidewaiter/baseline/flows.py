"""What is usual on the wire of the evidence: how one-sided the flows of a host and service are, and who talks to whom.

It is noted while reading, in each worker, and merged: every count is a sum or a set, so the order does not matter.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from tidewaiter.schema.batch import Counted
from tidewaiter.schema.event import Event, EventKind

MOST_KEYS = 200_000
"""Counts and peers that are kept; what comes after is not noted, and `full` says so."""
HOSTS_KEPT = 4
"""Hosts that are remembered for a peer: more are not rare."""
LONGEST_NAME = 256
"""Characters of a name that is remembered."""
ENOUGH = 8
"""Flows of a host and service from which on its usual can be said."""

_FLOW = EventKind.FLOW
_NAMED = frozenset({EventKind.HTTP, EventKind.TLS})


def host_name(spelled: str | None) -> str | None:
    """The name in a Host header, without port and brackets; None where there is none."""
    if not spelled:
        return None
    return _host_name(spelled) if len(spelled) <= LONGEST_NAME else _host_name.__wrapped__(spelled)


@functools.lru_cache(maxsize=16_384)
def _host_name(spelled: str) -> str | None:
    name = spelled.strip().lower().rstrip(".")
    if name.startswith("["):
        return name[1:].partition("]")[0] or None
    return (name.partition(":")[0] if name.count(":") == 1 else name) or None


class Usual(NamedTuple):
    """The usual of a host and service: flows, median and median absolute deviation of log2(bytes in / bytes out)."""

    flows: int
    median: float
    deviation: float


class FlowBaseline(msgspec.Struct):
    """Counts by (client, service, one-sidedness in powers of two), and the hosts that talk to a peer."""

    sides: dict[tuple[str, str, int], int] = {}
    peers: dict[str, set[str]] = {}
    hosts: set[str] = set()
    redirects: dict[str, str] = {}  # target URL -> the URL that sent the client there
    full: bool = False

    def note(self, events: Iterable[Event]) -> None:
        """Take network events in."""
        sides, named = self.sides, self._named
        for event in events:
            kind, host = event.kind, event.src_ip
            if host is None:
                continue
            if kind is _FLOW:
                got = event.bytes_in or 0
                service = event.protocol or f"{event.transport}/{event.dst_port}"
                key = (host, service, got.bit_length() - (event.bytes_out or 0).bit_length())
                known = sides.get(key)
                if known is not None:
                    sides[key] = known + 1
                elif len(sides) < MOST_KEYS:
                    sides[key] = 1
                else:
                    self.full = True
                if got and event.transport != "icmp":
                    self._met(event.dst_ip, host)
            elif kind in _NAMED:
                named(event, host)

    def note_counted(self, counted: Iterable[Counted]) -> None:
        """Take in network events that were only counted."""
        for kind, _, combinations, services in counted:
            if kind is _FLOW:
                self._note_services(services)
                for host, peer, answered in combinations:
                    if answered and host is not None:
                        self._met(peer, host)
            elif kind in _NAMED:
                for host, address, name in combinations:
                    if host is not None:
                        self._met(host_name(name) or address, host)

    def _note_services(self, services: Mapping[tuple[Any, ...], int]) -> None:
        sides = self.sides
        for (host, port, protocol, transport, side), count in services.items():
            if host is None:
                continue
            key = (host, protocol or f"{transport}/{port}", side)
            known = sides.get(key)
            if known is not None:
                sides[key] = known + count
            elif len(sides) < MOST_KEYS:
                sides[key] = count
            else:
                self.full = True

    def _named(self, event: Event, host: str) -> None:
        self._met(host_name(event.dst_host) or event.dst_ip, host)
        extra = event.extra
        if extra is not None and event.url and "redirect" in extra and len(self.redirects) < MOST_KEYS:
            self.redirects[str(extra["redirect"])] = event.url

    def _met(self, peer: str | None, host: str) -> None:
        if peer is None:
            return
        known = self.peers.get(peer)
        if known is None:
            if len(self.peers) >= MOST_KEYS:
                self.full = True
                return
            self.peers[peer] = {host}
        elif len(known) < HOSTS_KEPT:
            known.add(host)
        if host not in self.hosts and len(self.hosts) < MOST_KEYS:
            self.hosts.add(host)

    def merge(self, other: FlowBaseline) -> None:
        """Take in what another worker noted."""
        for key, count in other.sides.items():
            self.sides[key] = self.sides.get(key, 0) + count
        for peer, hosts in other.peers.items():
            self.peers.setdefault(peer, set()).update(hosts)
        self.hosts |= other.hosts
        for target, url in sorted(other.redirects.items()):
            self.redirects[target] = min(url, self.redirects.get(target, url))
        self.full = self.full or other.full

    def talkers(self, peer: str | None) -> int:
        """How many hosts of the evidence talk to a peer (name or address); counted up to HOSTS_KEPT a worker."""
        return len(self.peers.get(peer or "", ()))


class Sides:
    """The one-sidedness of hosts and services, ready to be asked."""

    def __init__(self, baseline: FlowBaseline) -> None:
        self._counts: dict[tuple[str, str], dict[int, int]] = {}
        self._flows: dict[str, int] = {}
        self._usual: dict[tuple[str, str], Usual | None] = {}
        for (host, service, bucket), count in baseline.sides.items():
            self._counts.setdefault((host, service), {})[bucket] = count
            self._flows[host] = self._flows.get(host, 0) + count

    def flows(self, host: str | None, service: str) -> int:
        """How many flows of this service the host has in the evidence."""
        return sum(self._counts.get((host or "", service), {}).values())

    def total(self, host: str | None) -> int:
        """How many flows the host has in all."""
        return self._flows.get(host or "", 0)

    def usual(self, host: str | None, service: str) -> Usual | None:
        """Median and deviation over all flows of a host and service; None where there are fewer than ENOUGH."""
        key = (host or "", service)
        if key not in self._usual:
            self._usual[key] = self._compute(self._counts.get(key, {}))
        return self._usual[key]

    @staticmethod
    def _compute(counts: dict[int, int]) -> Usual | None:
        flows = sum(counts.values())
        if flows < ENOUGH:
            return None
        median = _median(counts, flows)
        away: dict[int, int] = {}
        for bucket, count in counts.items():
            distance = round(abs(bucket - median) * 2)
            away[distance] = away.get(distance, 0) + count
        return Usual(flows, median, _median(away, flows) / 2)


def _median(counts: dict[int, int], total: int) -> float:
    """The median of values that are counted."""
    low, high, seen = None, 0, 0
    for value in sorted(counts):
        seen += counts[value]
        if low is None and seen * 2 >= total:
            low = value
        if seen * 2 > total:
            high = value
            break
    return ((low or 0) + high) / 2
