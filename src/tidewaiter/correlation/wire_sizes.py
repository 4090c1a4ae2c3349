"""Flows that carried something although no sensor shows what: file protocols, and flows that are far more one way."""

from __future__ import annotations

from tidewaiter.baseline.flows import ENOUGH, Sides, host_name
from tidewaiter.catalog import ports, wire
from tidewaiter.correlation.wire_flow import Flow, flow_summary, new_carried, protocol_of
from tidewaiter.correlation.wire_keys import ENCRYPTED_FLOW, ICMP_BULK
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event

RATIO = 4
"""One side of a flow without a known protocol sends so many times what the other does."""
ENCRYPTED_RATIO = 8
OUTLIER = 3.5
"""Robust z-score from which on a flow is out of the usual of its host and service."""
SCALE = 1.4826
"""Makes the median absolute deviation comparable with a standard deviation."""
FEWEST = 1_000

_ENCRYPTED = frozenset({"tls", "ssl", "quic", "https"})
_TALK = frozenset(
    {"dns", "ntp", "dhcp", "snmp", "mdns", "ssdp", "netbios", "nbns", "krb5", "ldap", "sip", "rtp", "stun", "radius"}
)


def of_flow(flow: Flow, sides: Sides, *, hosting: str | None) -> Carried | None:
    """The weak finding that a flow without visible content amounts to, or None."""
    event = max(flow.flows, key=lambda one: (one.bytes_in or 0) + (one.bytes_out or 0))
    got, sent = event.bytes_in or 0, event.bytes_out or 0
    if event.transport == "icmp":
        return _of(event, flow, "icmp-tunnel", got > sent) if got + sent >= ICMP_BULK and min(got, sent) > 0 else None
    protocol = protocol_of(event.protocol, event.dst_port)
    if protocol in ("failed", "unknown"):
        protocol = ports.load().by_port.get(event.dst_port or 0)
    push = sent > got
    large, small = max(got, sent), min(got, sent)
    least = wire.load().least(protocol)
    if least is not None:
        enough = large >= least and (protocol not in ("ssh", "smb", "nfs") or large >= RATIO * small)
        return _of(event, flow, protocol, push) if enough and small > 0 else None
    if protocol in _ENCRYPTED:
        return _encrypted(event, flow, sides, hosting)
    bare = protocol is None and event.transport in ("tcp", "udp") and event.dst_port != 53
    one_way = large >= FEWEST and large >= RATIO * small and small > 0
    return _of(event, flow, event.transport, push) if bare and one_way and _stands_out(event, sides) else None


def _encrypted(event: Event, flow: Flow, sides: Sides, hosting: str | None) -> Carried | None:
    got, sent = event.bytes_in or 0, event.bytes_out or 0
    if got < ENCRYPTED_FLOW or got < ENCRYPTED_RATIO * sent:
        return None
    if hosting is None and not _stands_out(event, sides):
        return None
    return _of(event, flow, "tls", push=False)


def deviation(event: Event, sides: Sides) -> tuple[float, int] | None:
    """Robust z-score of a flow's one-sidedness among the flows of its host and service, and how many those are."""
    usual = sides.usual(event.src_ip, event.protocol or f"{event.transport}/{event.dst_port}")
    if usual is None:
        return None
    side = (event.bytes_in or 0).bit_length() - (event.bytes_out or 0).bit_length()
    return (side - usual.median) / max(SCALE * usual.deviation, 0.75), usual.flows


def _stands_out(event: Event, sides: Sides) -> bool:
    """Whether a flow is out of the usual; where there are too few flows to know the usual, all that are one-sided are."""
    known = deviation(event, sides)
    if known is not None:
        return abs(known[0]) >= OUTLIER
    return sides.flows(event.src_ip, event.protocol or f"{event.transport}/{event.dst_port}") < ENOUGH


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
