"""What an event says about what is usual: cheap enough to be asked of every event that is read anyway."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from tidewaiter.baseline import names
from tidewaiter.baseline.counters import ANY, Counters, Tallies
from tidewaiter.baseline.decay import DAY, HALF_LIFE
from tidewaiter.catalog.roles import program_name
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_TRANSFERS = frozenset({ActionKind.INGRESS, ActionKind.LATERAL})
_LOOPBACK = ("127.", "::1", "0.0.0.0", "::")  # noqa: S104 - compared with, nothing listens there


class Observer:
    """Counts observations of one process. Events without a time, or of the future, are counted as late and left out."""

    def __init__(self, half_life: float = HALF_LIFE) -> None:
        self.tallies = Tallies(half_life)
        self._horizon = clock.time_ns() // 1_000 + 2 * DAY
        self._handlers: dict[EventKind, Callable[[Event, str, int, int], None]] = {
            EventKind.PROCESS_START: self._started,
            EventKind.CONNECTION: self._connected,
            EventKind.DNS_QUERY: self._resolved,
            EventKind.FILE_CREATE: self._appeared,
            EventKind.FILE_ON_WIRE: self._carried,
            EventKind.DOWNLOAD: self._carried,
            EventKind.HTTP: self._requested,
            EventKind.TLS: self._requested,
            EventKind.FLOW: self._flowed,
        }

    def observe(self, host: str, event: Event, findings: Sequence[Finding] = ()) -> None:
        """Take one event of a host (its comparison key) in."""
        time = event.time
        if not 0 < time < self._horizon:
            self.tallies.late()
            return
        handler = self._handlers.get(event.kind)
        if handler is None and not findings:
            return
        name, day = names.host_of(host), time // DAY
        self.tallies.note("host", ANY, name, time, day)
        if handler is not None:
            handler(event, name, time, day)
        for finding in findings:
            if finding.action is not None and finding.action.kind in _TRANSFERS:
                self.tallies.note("utility", ANY, name, time, day)
                self.tallies.note("utility", names.bounded(finding.action.utility), name, time, day)

    def take(self) -> Counters:
        """What was counted since the last time."""
        return self.tallies.take()

    def _started(self, event: Event, host: str, time: int, day: int) -> None:
        program = program_name(event.process_path or event.process_name)
        if program:
            self.tallies.note("program", names.bounded(program), host, time, day)
        self._hash(event, host, time, day)

    def _hash(self, event: Event, host: str, time: int, day: int) -> None:
        value = event.sha256 or event.sha1 or event.md5
        if value:
            self.tallies.note("hash", names.bounded(value.lower()), host, time, day)

    def _connected(self, event: Event, host: str, time: int, day: int) -> None:
        if event.initiated is False:
            return
        address = event.dst_ip
        if address is not None and address.startswith(_LOOPBACK):
            return
        self._spoke(event.dst_host, event, host, time, day)
        self._reached(event, host, time, day)

    def _resolved(self, event: Event, host: str, time: int, day: int) -> None:
        self._spoke(event.query, event, host, time, day)

    def _spoke(self, peer: str | None, event: Event, host: str, time: int, day: int) -> None:
        """A program, or the host, spoke to a name or asked for it."""
        note = self.tallies.note
        program = program_name(event.process_path or event.process_name)
        if program:
            note("network_program", names.bounded(program), host, time, day)
        domain = names.domain_of(peer)
        if domain is not None:
            note("domain", ANY, host, time, day)
            note("domain", domain, host, time, day)
            if program:
                note("program_domain", names.bounded(f"{program} {domain}"), host, time, day)

    def _reached(self, event: Event, host: str, time: int, day: int) -> None:
        if event.dst_ip:
            self.tallies.note("address", names.bounded(event.dst_ip), host, time, day)
        if event.dst_port:
            service = f"{event.dst_port} {event.protocol or event.transport or ''}".rstrip()
            self.tallies.note("service", names.bounded(service), host, time, day)

    def _appeared(self, event: Event, host: str, time: int, day: int) -> None:
        if event.file_path:
            self.tallies.note("landing", names.landing_of(event.file_path), host, time, day)
        self._hash(event, host, time, day)

    def _carried(self, event: Event, host: str, time: int, day: int) -> None:
        self._spoke(event.dst_host or _host_in(event.url), event, host, time, day)
        self._hash(event, host, time, day)

    def _requested(self, event: Event, host: str, time: int, day: int) -> None:
        self._spoke(event.dst_host or _host_in(event.url), event, host, time, day)

    def _flowed(self, event: Event, host: str, time: int, day: int) -> None:
        self._reached(event, host, time, day)


def _host_in(url: str | None) -> str | None:
    """The host that a URL names, or None."""
    if not url:
        return None
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
