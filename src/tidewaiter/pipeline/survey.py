"""What logs hold, counted by host, log source and kind of event, without looking for transfers in them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tidewaiter.correlation import keys, wire_keys
from tidewaiter.schema.event import Event, EventKind

NETWORK = ""
"""The key under which network events are counted: a sensor sees many hosts."""
HOSTS_KEPT = 50_000
"""Hosts that are told apart; events of further ones are counted together."""
OVERFLOW = "(further hosts)"


_YEARLESS = 315_532_800_000_000
"""1980: what is before has a time without a year, or none."""


class Sight(msgspec.Struct):
    """How many events, and the times of the first and the last (microseconds; None where no event has one)."""

    events: int = 0
    first: int | None = None
    last: int | None = None

    def take(self, time: int) -> None:
        """Count one event."""
        self.events += 1
        if time > _YEARLESS:
            self.first = time if self.first is None or time < self.first else self.first
            self.last = time if self.last is None or time > self.last else self.last

    def add(self, other: Sight) -> None:
        """Count in what was counted elsewhere."""
        self.events += other.events
        self.first = min(filter(None, (self.first, other.first)), default=None)
        self.last = max(filter(None, (self.last, other.last)), default=None)


class Survey(msgspec.Struct):
    """Host key -> `log source:kind`, or `log source:kind:what the event holds` -> what was seen of it."""

    hosts: dict[str, dict[str, Sight]] = {}

    def note(self, events: Iterable[Event]) -> None:
        """Count events."""
        for event in events:
            host = NETWORK if wire_keys.is_wire(event) and not event.log_source.startswith(_OF_A_HOST) else keys.host_key(event)
            seen = self.hosts.get(host)
            if seen is None:
                host = host if len(self.hosts) < HOSTS_KEPT else OVERFLOW
                seen = self.hosts.setdefault(host, {})
            for marker in markers(event):
                sight = seen.get(marker)
                if sight is None:
                    sight = seen[marker] = Sight()
                sight.take(event.time)

    def merge(self, other: Survey) -> None:
        """Count in what another reader counted."""
        for host, found in other.hosts.items():
            seen = self.hosts.setdefault(host, {})
            for marker, sight in found.items():
                seen.setdefault(marker, Sight()).add(sight)


_OF_A_HOST = ("linux_", "esxi_", "windows_", "macos_")


def markers(event: Event) -> tuple[str, ...]:
    """Under what an event is counted: its log source and kind, and again with each thing that not every such event holds."""
    base = f"{event.log_source}:{event.kind.value}"
    held = []
    if event.kind is EventKind.PROCESS_START and (event.command_line or event.argv):
        held.append(f"{base}:command_line")
    if event.sha256 or event.sha1 or event.md5:
        held.append(f"{base}:hash")
    return (base, *held)
