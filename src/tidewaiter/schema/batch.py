"""Events of which those that nobody needs one by one are only counted: most flows carry nothing, most names tell nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from tidewaiter.schema.event import Event, EventKind

COUNTED_FIELDS: dict[EventKind, tuple[str, ...]] = {
    EventKind.FLOW: ("src_ip", "dst_ip", "dst_port", "protocol", "transport", "side", "answered"),
    EventKind.DNS_QUERY: ("src_ip", "query"),
    EventKind.TLS: ("src_ip", "dst_ip", "dst_host"),
}
"""The kinds that may be counted, and the fields of a combination. `side` is log2(bytes in) - log2(bytes out) by their lengths
in bits, `answered` whether any byte came back and the transport is not ICMP."""


class Counted(NamedTuple):
    """How often each combination of fields came among the events of one kind and day."""

    kind: EventKind
    day: int  # days since 1970 UTC
    combinations: Mapping[tuple[Any, ...], int]  # values in the order of COUNTED_FIELDS


class Quiet(NamedTuple):
    """What records of one kind and day come to, most of which nobody needs one by one."""

    kind: EventKind
    times: tuple[int, int]  # the first and the last, in microseconds
    counted: Counted | None
    needed: list[int]  # places of the records that are needed one by one
    skipped: dict[int, str]  # place -> why a record is of no use


class Batch(list[Event]):
    """Events one by one, beside counts of events of which some may be listed too."""

    def __init__(self, events: Iterable[Event] = (), counted: Iterable[Counted] = ()) -> None:
        """Events that are all in the counts."""
        super().__init__(events)
        self.counted = tuple(counted)
        self._others: list[Event] = []

    def add_uncounted(self, events: list[Event]) -> None:
        """List events that are not in the counts."""
        self += events
        self._others += events

    def uncounted(self) -> list[Event]:
        """The listed events that are not in the counts."""
        return self._others


class Needs(Protocol):
    """Which events are needed one by one: the questions that a log source asks before it makes an event of a record."""

    @property
    def kinds(self) -> frozenset[EventKind]:
        """Of a host's events, the kinds that are needed one by one; of others it is enough to know that a host's logs show
        them."""
        ...

    def flow(
        self, protocol: str | None, transport: str | None, dst_port: int | None, bytes_out: int | None, bytes_in: int | None
    ) -> bool:
        """Whether a flow may have carried something."""
        ...

    def name(self, query: str) -> bool:
        """Whether a name that was asked for may carry something itself."""
        ...

    def peer(self, dst_host: str) -> bool:
        """Whether a handshake with this name tells something of the flow."""
        ...

    def alert(self, outcome: str | None, severity: object) -> bool:
        """Whether an alert of a sensor is told."""
        ...
