"""Which network events may matter, and which belong together: everything between two addresses is one group.

A group holds the rows of all flows between two endpoints in time order, so that FTP's two connections, the ranges of one file
over several connections, and what several sensors say of one flow meet there, while memory stays bounded by one pair.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Iterator

from tidewaiter.catalog import places, ports, wire
from tidewaiter.schema.batch import Needs
from tidewaiter.schema.event import Event, EventKind

PREFIX = "wire:"
SMALLEST_FLOW = 200
TELLING_FLOW = 20_000
"""Flows whose files sensors list anyway say something beside them where they are large."""
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
_FLOW = EventKind.FLOW
_SENSORS_ONLY = frozenset({EventKind.ALERT, EventKind.DNS_QUERY})
_PERHAPS = frozenset(map(id, _ALWAYS | _SENSORS_ONLY))  # members of an enumeration are hashed slowly
_ENCRYPTED = frozenset({"tls", "ssl", "quic", "https"})
_WITH_FILES = frozenset({"http", "http2", "smtp"})
_SMB_ACTIONS = frozenset({"SMB::FILE_READ", "SMB::FILE_WRITE"})


def is_wire(event: Event) -> bool:
    """Whether an event is of the network rather than of a host."""
    kind = event.kind
    return kind in _ALWAYS or (kind in _SENSORS_ONLY and event.host is None and event.host_ip is None)


def divided(events: list[Event]) -> tuple[list[Event], list[Event]]:
    """The network events and the others, each in order."""
    on_wire = [event for event in events if id(event.kind) in _PERHAPS and is_wire(event)]
    if not on_wire or len(on_wire) == len(events):
        return on_wire, ([] if on_wire else events)
    return on_wire, [event for event in events if not is_wire(event)]


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
        return group_of(src, dst, folder)
    known = address(src or dst or "")
    other = event.dst_host or event.src_host or event.flow_id or event.file_id or ("" if known else event.id)
    return f"{PREFIX}{folder}:{known}|{other}"


def group_of(src: str, dst: str, folder: str) -> str:
    """The group of what is between two endpoints, whichever opened it."""
    src, dst = address(src), address(dst)
    return f"{PREFIX}{folder}:{src}|{dst}" if src < dst else f"{PREFIX}{folder}:{dst}|{src}"


@functools.cache
def _carriers() -> frozenset[str]:
    return frozenset(one.protocol for one in wire.load().carrier) | _WITH_FILES


def wanted(events: Iterable[Event]) -> Iterator[Event]:
    """The events that correlation can make something of: files, requests with a body, flows that carry."""
    flow = _flow
    for event in events:
        kind = event.kind
        if flow(event) if kind is _FLOW else kind in _FILTERS and _FILTERS[kind](event):
            yield event


def _flow(event: Event) -> bool:
    ask = carrying(event.protocol, event.transport, event.dst_port)
    return ask is not None and ask(event.bytes_out or 0, event.bytes_in or 0)


def carrying(protocol: str | None, transport: str | None, dst_port: int | None) -> Callable[[int, int], bool] | None:
    """What tells by its bytes out and in whether a flow may have carried something; None where none of this kind has."""
    if protocol is not None:
        if protocol == "dns":
            return None
        if protocol in _WITH_FILES:
            return _telling_sizes
        if protocol in _carriers():
            return _any_sizes
        if protocol in _ENCRYPTED:
            return _encrypted_sizes
        if "," in protocol and not _carriers().isdisjoint(protocol.split(",")):
            return _any_sizes
    elif dst_port in ports.load().by_port:
        return _any_sizes
    return _bulk_sizes if transport == "icmp" or dst_port == 53 else _one_sided_sizes


def _any_sizes(sent: int, got: int) -> bool:
    return sent + got >= SMALLEST_FLOW


def _telling_sizes(sent: int, got: int) -> bool:
    return sent + got >= TELLING_FLOW


def _encrypted_sizes(sent: int, got: int) -> bool:
    return got >= ENCRYPTED_FLOW and got >= ONE_SIDED * sent and sent + got >= SMALLEST_FLOW


def _bulk_sizes(sent: int, got: int) -> bool:
    return sent + got >= ICMP_BULK


def _one_sided_sizes(sent: int, got: int) -> bool:
    large, small = (got, sent) if got > sent else (sent, got)
    return large >= LARGE_FLOW and large >= ONE_SIDED * small and sent + got >= SMALLEST_FLOW


def _request(event: Event) -> bool:
    return event.bytes_in != 0 or bool(event.bytes_out) or (event.extra is not None and "resp_fuids" in event.extra)


def _file(event: Event) -> bool:
    known = wire.load()
    return event.protocol not in known.not_files and event.file_type not in known.not_file_types


def _query(event: Event) -> bool:
    return event.query is not None and len(event.query) > LONG_QUERY


def _command(event: Event) -> bool:
    known = wire.load()
    return event.method in known.ftp_pull or event.method in known.ftp_push


def _handshake(event: Event) -> bool:
    return event.dst_host is not None and _is_hosting(event.dst_host)


def _action(event: Event) -> bool:
    return event.file_id is not None or event.query in _SMB_ACTIONS


def _alert(event: Event) -> bool:
    return _telling(event.outcome, (event.extra or {}).get("severity")) or event.log_source == "packet_capture"


def _telling(outcome: str | None, severity: object) -> bool:
    return outcome == "blocked" or severity == 1


def _session(event: Event) -> bool:
    return event.file_path is not None


_FILTERS: dict[EventKind, Callable[[Event], bool]] = {
    EventKind.HTTP: _request,
    EventKind.FILE_ON_WIRE: _file,
    EventKind.DNS_QUERY: _query,
    EventKind.FTP: _command,
    EventKind.TLS: _handshake,
    EventKind.SMB: _action,
    EventKind.ALERT: _alert,
    EventKind.TFTP: _session,
    EventKind.SSH: _session,
}


@functools.lru_cache(maxsize=16_384)
def _is_hosting(host: str) -> bool:
    return places.below(host, places.load().hosting) is not None


class _Needs:
    """`wanted`, asked by log sources before they make events of records."""

    def __init__(self, kinds: frozenset[EventKind], *, rows: bool) -> None:
        self._kinds, self._rows = kinds, rows

    @property
    def kinds(self) -> frozenset[EventKind]:
        """Those of a host's events that are read one by one."""
        return self._kinds

    @property
    def rows(self) -> bool:
        """As it was asked for."""
        return self._rows

    flow = staticmethod(carrying)
    alert = staticmethod(_telling)
    peer = staticmethod(_is_hosting)

    @staticmethod
    def name(query: str) -> bool:
        """Whether a name is long."""
        return len(query) > LONG_QUERY


def needs(kinds: frozenset[EventKind], *, rows: bool = False) -> Needs:
    """What correlation needs of network events, and of a host's those of these kinds; flows as rows where `rows` is set."""
    return _Needs(kinds, rows=rows)
