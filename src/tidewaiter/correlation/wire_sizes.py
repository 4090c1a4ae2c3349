"""Flows that carried something although no sensor shows what: file protocols, and flows that are far more one way."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from tidewaiter.baseline.flows import ENOUGH, Sides, host_name
from tidewaiter.catalog import ports, wire
from tidewaiter.correlation.wire_flow import Flow, flow_summary, new_carried, protocol_of
from tidewaiter.correlation.wire_keys import ENCRYPTED_FLOW, ICMP_BULK
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event, EventKind

if TYPE_CHECKING:
    from tidewaiter.correlation.glimpse import Glimpse

RATIO = 4
"""One side of a flow without a known protocol sends so many times what the other does."""
ENCRYPTED_RATIO = 8
OUTLIER = 3.5
"""Robust z-score from which on a flow is out of the usual of its host and service."""
SCALE = 1.4826
"""Makes the median absolute deviation comparable with a standard deviation."""
FEWEST = 1_000
LONGEST_NAME = 64
"""Characters of a protocol's name that is remembered."""

_ENCRYPTED = frozenset({"tls", "ssl", "quic", "https"})
_TALK = frozenset(
    {"dns", "ntp", "dhcp", "snmp", "mdns", "ssdp", "netbios", "nbns", "krb5", "ldap", "sip", "rtp", "stun", "radius"}
)


class Prospect(Enum):
    """What a flow record can amount to where no other record of the network tells of the same two endpoints."""

    NOTHING = "nothing"
    UNUSUAL = "where it is out of the usual of its host and service"
    SOMETHING = "something"


def prospect(event: Event) -> Prospect:
    """By the sizes and the protocol alone."""
    return prospect_of(event.protocol, event.transport, event.dst_port, event.bytes_in or 0, event.bytes_out or 0)


def prospect_of(spelled: str | None, transport: str | None, dst_port: int | None, got: int, sent: int) -> Prospect:
    """The same of a flow that is no event yet."""
    if transport == "icmp":
        return Prospect.SOMETHING if got + sent >= ICMP_BULK and min(got, sent) > 0 else Prospect.NOTHING
    protocol, least = known_protocol(spelled, dst_port)
    large, small = (got, sent) if got > sent else (sent, got)
    if least is not None:
        enough = large >= least and (protocol not in ("ssh", "smb", "nfs") or large >= RATIO * small)
        return Prospect.SOMETHING if enough and small > 0 else Prospect.NOTHING
    if protocol in _ENCRYPTED:
        return Prospect.UNUSUAL if got >= ENCRYPTED_FLOW and got >= ENCRYPTED_RATIO * sent else Prospect.NOTHING
    bare = protocol is None and transport in ("tcp", "udp") and dst_port != 53
    one_way = large >= FEWEST and large >= RATIO * small and small > 0
    return Prospect.UNUSUAL if bare and one_way else Prospect.NOTHING


def known_protocol(spelled: str | None, dst_port: int | None) -> tuple[str | None, int | None]:
    """The protocol of a flow, and from how many bytes on it is one that carries files; None where it is none such."""
    if spelled is None or len(spelled) <= LONGEST_NAME:
        return _known(spelled, dst_port)
    return _known.__wrapped__(spelled, dst_port)


@functools.lru_cache(maxsize=16_384)
def _known(spelled: str | None, dst_port: int | None) -> tuple[str | None, int | None]:
    protocol = protocol_of(spelled, dst_port)
    if protocol in ("failed", "unknown"):
        protocol = ports.load().by_port.get(dst_port or 0)
    return protocol, wire.load().least(protocol)


def _protocol(event: Event) -> str | None:
    return known_protocol(event.protocol, event.dst_port)[0]


def of_flow(flow: Flow, sides: Sides, *, hosting: str | None) -> Carried | None:
    """The weak finding that a flow without visible content amounts to, or None."""
    known = flow.flows
    event = known[0] if len(known) == 1 else max(known, key=lambda one: (one.bytes_in or 0) + (one.bytes_out or 0))
    prospects = prospect(event)
    if prospects is Prospect.NOTHING:
        return None
    got, sent = event.bytes_in or 0, event.bytes_out or 0
    if event.transport == "icmp":
        return _of(event, flow, "icmp-tunnel", got > sent)
    protocol = _protocol(event)
    if prospects is Prospect.UNUSUAL:
        encrypted = protocol in _ENCRYPTED
        if not (encrypted and hosting is not None) and not stands_out(event.src_ip, service_of(event), side_of(event), sides):
            return None
        protocol = "tls" if encrypted else event.transport
        return _of(event, flow, protocol, push=not encrypted and sent > got)
    return _of(event, flow, protocol, push=sent > got)


def service_of(event: Event) -> str:
    """The service of a flow as the baseline names it."""
    return event.protocol or f"{event.transport}/{event.dst_port}"


def side_of(event: Event) -> int:
    """How one-sided a flow is, in powers of two."""
    return (event.bytes_in or 0).bit_length() - (event.bytes_out or 0).bit_length()


def stands_out(host: str | None, service: str, side: int, sides: Sides) -> bool:
    """Whether a flow is out of the usual by a robust z-score of its one-sidedness; where there are too few flows to know the
    usual, all that are one-sided are."""
    usual = sides.usual(host, service)
    if usual is not None:
        return abs((side - usual.median) / max(SCALE * usual.deviation, 0.75)) >= OUTLIER
    return sides.flows(host, service) < ENOUGH


def nothing_alone(glimpses: Sequence[Glimpse], sides: Sides) -> bool:
    """Whether these records, all that the network shows of two endpoints, are flows that amount to nothing."""
    for glimpse in glimpses:
        if glimpse.kind is not EventKind.FLOW or glimpse.sign:
            return False
        if glimpse.path is not None and stands_out(glimpse.key, glimpse.path, glimpse.pid or 0, sides):
            return False
    return True


def _of(event: Event, flow: Flow, protocol: str | None, push: bool) -> Carried:
    carried = new_carried(event, flow, push=push)
    carried.protocol, carried.shown = protocol, "flow"
    carried.flow_out, carried.flow_in = event.bytes_out, event.bytes_in
    carried.outcome = "completed" if event.outcome in (None, "completed") else "partial"
    for name in flow.names:
        carried.server_name = carried.server_name or host_name(name.dst_host)
        carried.user_agent = carried.user_agent or name.user_agent
        carried.cite(name, f"{name.protocol} to {name.dst_host or name.dst_ip}", "connected")
    carried.cite(event, flow_summary(event), "connected")
    carried.notes += ("no sensor shows the content: only the sizes speak",)
    return carried
