"""Which network events may matter, and which belong together: everything between two addresses is one group.

A group holds the rows of all flows between two endpoints in time order, so that FTP's two connections, the ranges of one file
over several connections, and what several sensors say of one flow meet there, while memory stays bounded by one pair.
"""

from __future__ import annotations

import functools
import ipaddress

from tidewaiter.catalog import places, ports, wire
from tidewaiter.schema.event import Event, EventKind

PREFIX = "wire:"
SMALLEST_FLOW = 200
ONE_SIDED = 2
LARGE_FLOW = 1_000
ENCRYPTED_FLOW = 16_000
ICMP_BULK = 64_000
LONG_QUERY = 60

_ALWAYS = frozenset(
    {
        EventKind.HTTP, EventKind.FLOW, EventKind.FILE_ON_WIRE, EventKind.FTP, EventKind.SMB, EventKind.TFTP, EventKind.TLS,
        EventKind.SSH,
    }
)  # fmt: skip
_SENSORS_ONLY = frozenset({EventKind.ALERT, EventKind.DNS_QUERY})
_ENCRYPTED = frozenset({"tls", "ssl", "quic", "https"})
_WITH_FILES = frozenset({"http", "http2", "smtp"})
_SMB_ACTIONS = frozenset({"SMB::FILE_READ", "SMB::FILE_WRITE"})


def is_wire(event: Event) -> bool:
    """Whether an event is of the network rather than of a host."""
    kind = event.kind
    return kind in _ALWAYS or (kind in _SENSORS_ONLY and event.host is None and event.host_ip is None)


@functools.lru_cache(maxsize=65_536)
def address(text: str) -> str:
    """An address in its one spelling; text that is none stays as it is. IPv4 inside IPv6 is IPv4."""
    if ":" not in text:
        return text
    try:
        known = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return text
    return str(known.ipv4_mapped or known)


def group_key(event: Event, folder: str) -> str:
    """The group of an event of the logs in `folder`: its two endpoints, or as much of them as it names."""
    src, dst = event.src_ip, event.dst_ip
    if src is not None and dst is not None:
        src, dst = address(src), address(dst)
        return f"{PREFIX}{folder}:{src}|{dst}" if src < dst else f"{PREFIX}{folder}:{dst}|{src}"
    known = address(src or dst or "")
    other = event.dst_host or event.src_host or event.flow_id or event.file_id or ("" if known else event.id)
    return f"{PREFIX}{folder}:{known}|{other}"


@functools.cache
def _carriers() -> frozenset[str]:
    return frozenset(one.protocol for one in wire.load().carrier) | _WITH_FILES


def wanted(event: Event) -> bool:
    """Whether correlation can make something of the event: a file, a request with a body, a flow that carries."""
    kind = event.kind
    if kind is EventKind.FLOW:
        return _flow(event)
    if kind is EventKind.HTTP:
        return event.bytes_in != 0 or bool(event.bytes_out) or (event.extra is not None and "resp_fuids" in event.extra)
    if kind is EventKind.FILE_ON_WIRE:
        known = wire.load()
        return event.protocol not in known.not_files and event.file_type not in known.not_file_types
    if kind is EventKind.DNS_QUERY:
        return event.query is not None and len(event.query) > LONG_QUERY
    if kind is EventKind.FTP:
        known = wire.load()
        return event.method in known.ftp_pull or event.method in known.ftp_push
    if kind is EventKind.TLS:
        return event.dst_host is not None and _is_hosting(event.dst_host)
    if kind is EventKind.SMB:
        return event.file_id is not None or event.query in _SMB_ACTIONS
    if kind is EventKind.ALERT:
        extra = event.extra or {}
        return event.outcome == "blocked" or extra.get("severity") == 1 or event.log_source == "packet_capture"
    return kind is EventKind.TFTP or event.file_path is not None


def _flow(event: Event) -> bool:
    sent, got = event.bytes_out or 0, event.bytes_in or 0
    if sent + got < SMALLEST_FLOW:
        return False
    protocol = event.protocol
    if protocol is not None:
        if protocol in _carriers():
            return True
        if protocol == "dns":
            return False
        if protocol in _ENCRYPTED:
            return got >= ENCRYPTED_FLOW and got >= ONE_SIDED * sent
        if "," in protocol and not _carriers().isdisjoint(protocol.split(",")):
            return True
    elif event.dst_port in ports.load().by_port:
        return True
    if event.transport == "icmp":
        return sent + got >= ICMP_BULK
    if event.dst_port == 53:
        return sent + got >= ICMP_BULK
    large, small = (got, sent) if got > sent else (sent, got)
    return large >= LARGE_FLOW and large >= ONE_SIDED * small


@functools.lru_cache(maxsize=16_384)
def _is_hosting(host: str) -> bool:
    return places.below(host, places.load().hosting) is not None
