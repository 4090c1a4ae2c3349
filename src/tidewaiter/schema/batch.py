"""Events of which those that nobody needs one by one are only counted: most flows carry nothing, most names tell nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tidewaiter.schema.event import Event, EventKind

COUNTED_FIELDS: dict[EventKind, tuple[str, ...]] = {
    EventKind.FLOW: ("src_ip", "dst_ip", "answered"),
    EventKind.DNS_QUERY: ("src_ip", "query"),
    EventKind.TLS: ("src_ip", "dst_ip", "dst_host"),
}
"""The kinds that may be counted, and the fields of a combination. `answered`: any byte came back and the transport is not
ICMP."""
SERVICE_FIELDS = ("src_ip", "dst_port", "protocol", "transport", "side")
"""The fields by which flows are counted beside that. `side` is log2(bytes in) - log2(bytes out) by their lengths in bits."""
COUNTS_KEPT = 20_000
"""Combinations that a log source collects before it hands them on."""

Row = tuple[Any, ...]


class Counted(NamedTuple):
    """How often each combination of fields came among the events of one kind and day."""

    kind: EventKind
    day: int  # days since 1970 UTC
    combinations: Mapping[Row, int]  # values in the order of COUNTED_FIELDS
    services: Mapping[Row, int] = {}  # of flows: values in the order of SERVICE_FIELDS


class Counts:
    """Counts of many blocks, until they are taken."""

    def __init__(self) -> None:
        self._known: dict[tuple[EventKind, int], tuple[Counter[Row], Counter[Row]]] = {}

    def add(self, kind: EventKind, day: int, rows: Iterable[Row], services: Iterable[Row] = ()) -> None:
        """Count events by their fields: rows in the order of COUNTED_FIELDS, of flows also in that of SERVICE_FIELDS."""
        known = self._known.get((kind, day))
        if known is None:
            known = self._known[kind, day] = (Counter(), Counter())
        known[0].update(rows)
        known[1].update(services)

    def take(self, least: int = 0) -> tuple[Counted, ...]:
        """What was counted since the last time, where it has so many combinations."""
        if not self._known or sum(len(rows) + len(services) for rows, services in self._known.values()) < least:
            return ()
        taken = tuple(Counted(kind, day, *counts) for (kind, day), counts in self._known.items())
        self._known = {}
        return taken


class FlowRow(NamedTuple):
    """One flow as columns: what an event of the kind FLOW holds, in the units that events have."""

    time: int
    record: str
    src_ip: str | None
    src_port: int | None
    dst_ip: str | None
    dst_port: int | None
    transport: str | None
    protocol: str | None
    bytes_out: int | None
    bytes_in: int | None
    duration: int | None
    flow_id: str | None
    community_id: str | None
    outcome: str | None
    extra: dict[str, Any] | None


class FlowRows(NamedTuple):
    """Flows of one log that may matter once it is known what else there is between their endpoints."""

    log_source: str
    log_file: str
    rows: Sequence[FlowRow]


def flow_event(log_source: str, log_file: str, row: FlowRow | Sequence[Any]) -> Event:
    """The event of a row."""
    (
        time,
        record,
        src_ip,
        src_port,
        dst_ip,
        dst_port,
        transport,
        protocol,
        sent,
        got,
        duration,
        uid,
        community,
        outcome,
        extra,
    ) = row
    return Event(
        kind=EventKind.FLOW,
        time=time,
        log_source=log_source,
        log_file=log_file,
        record=record,
        src_ip=src_ip,
        src_port=src_port,
        dst_ip=dst_ip,
        dst_port=dst_port,
        transport=transport,
        protocol=protocol,
        bytes_out=sent,
        bytes_in=got,
        duration=duration,
        flow_id=uid,
        community_id=community,
        outcome=outcome,
        extra=extra,
    )


class Quiet(NamedTuple):
    """What records of one kind and day come to, most of which nobody needs one by one."""

    kind: EventKind
    times: tuple[int, int]  # the first and the last, in microseconds
    needed: list[int]  # places of the records that are needed one by one
    skipped: dict[int, str]  # place -> why a record is of no use
    flows: list[FlowRow]  # those that are needed and were not left to events


class Batch(list[Event]):
    """Events one by one, beside counts of events of which some may be listed too, and flows as rows."""

    def __init__(self, events: Iterable[Event] = (), counted: Iterable[Counted] = (), flows: FlowRows | None = None) -> None:
        """Events and flows that are all in the counts, in these or in those of another batch."""
        super().__init__(events)
        self.counted = tuple(counted)
        self.flows = flows
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

    @property
    def rows(self) -> bool:
        """Whether flows may be given as rows."""
        ...

    def flow(self, protocol: str | None, transport: str | None, dst_port: int | None) -> Callable[[int, int], bool] | None:
        """Whether a flow of this kind may have carried something, asked with its bytes out and in; None where it never does."""
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


def carrying(
    needs: Needs,
    protocols: Sequence[str | None],
    transports: Sequence[str | None],
    ports: Sequence[int | None],
    sent: Sequence[int],
    got: Sequence[int],
) -> list[int]:
    """The places of flows, given as columns, that may have carried something."""
    kinds = list(zip(protocols, transports, ports, strict=True))
    asks = {kind: needs.flow(*kind) for kind in set(kinds)}
    asked = [asks[kind] for kind in kinds]
    return [
        place for place, (ask, out, back) in enumerate(zip(asked, sent, got, strict=True)) if ask is not None and ask(out, back)
    ]
