"""One flow while its records come in, and a file on it as the sensors say."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

from tidewaiter.baseline.flows import host_name
from tidewaiter.catalog import ports
from tidewaiter.correlation.wire_keys import address
from tidewaiter.formats.community_id import community_id
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event

FlowKey = tuple[str, str, str]
"""Log source, capture where the log source reads captures, id of the flow there."""

_PROTOCOLS = {"ftp-data": "ftp", "ftp_data": "ftp", "cifs": "smb", "smb2": "smb", "dce_rpc": "smb", "http/2": "http2"}


def text(value: Any) -> str:
    """A value of `extra` for a person."""
    return "" if value is None else str(value)


def protocol_of(spelled: str | None, port: int | None) -> str | None:
    """The protocol of a flow as sensors name it, the most telling of several; by the port where no sensor named it."""
    if spelled is None:
        return ports.load().by_port.get(port or 0)
    return _most_telling(spelled)


@functools.lru_cache(maxsize=1_024)
def _most_telling(spelled: str) -> str:
    names = spelled.lower().split(",")
    name = next((name for name in names if name in ("http", "http2", "smb", "ftp", "ftp-data", "smtp", "nfs", "ssh")), names[0])
    return _PROTOCOLS.get(name, name)


@dataclass(eq=False)
class Flow:
    """What is known of one flow and not yet reported."""

    first: int
    last: int
    flows: list[Event] = field(default_factory=list)
    requests: list[Event] = field(default_factory=list)
    files: list[Event] = field(default_factory=list)
    actions: list[Event] = field(default_factory=list)  # SMB
    alerts: list[Event] = field(default_factory=list)
    names: list[Event] = field(default_factory=list)  # TLS, SSH
    carries: bool = False  # a file of it was reported
    control: bool = False  # it is an FTP or TFTP control connection
    logs: set[str] = field(default_factory=set)  # files that tell of it

    @property
    def pending(self) -> int:
        """Records that wait to be joined."""
        return len(self.requests) + len(self.files) + len(self.actions)

    def add(self, event: Event) -> None:
        """Take the times of a record."""
        end = event.time + (event.duration or 0)
        self.first, self.last = min(self.first, event.time), max(self.last, end)
        self.logs.add(event.log_file)


def new_carried(event: Event, flow: Flow | None, *, push: bool) -> Carried:
    """A file that this event shows, with the endpoints of the flow."""
    src, dst = address(event.src_ip or "") or None, address(event.dst_ip or "") or None
    src_port, dst_port, transport = event.src_port, event.dst_port, event.transport
    carried = Carried(
        time=event.time,
        last=event.time,
        protocol=protocol_of(event.protocol, dst_port),
        transport=transport,
        client_ip=src,
        client_port=src_port,
        server_ip=dst,
        server_port=dst_port,
        server_name=host_name(event.dst_host),
        push=push,
        user=event.user,
        community_id=event.community_id,
    )
    if event.host is not None and (push or event.host_ip in (None, src)):
        carried.host_name = event.host
    if flow is not None:
        take_flow(carried, flow)
    _turn(carried)
    return carried


def _turn(carried: Carried) -> None:
    """Where a capture begins in the middle, the sensor may take the server for the client: the expected port tells."""
    known = ports.load()
    if known.expected(carried.protocol, carried.server_port) is False and known.expected(carried.protocol, carried.client_port):
        carried.client_ip, carried.server_ip = carried.server_ip, carried.client_ip
        carried.client_port, carried.server_port = carried.server_port, carried.client_port
        carried.flow_out, carried.flow_in = carried.flow_in, carried.flow_out
        carried.push = not carried.push


def take_flow(carried: Carried, flow: Flow) -> None:
    """Endpoints, size and evidence of the flow that carries it."""
    for event in flow.flows:
        carried.client_port = carried.client_port if carried.client_port is not None else event.src_port
        carried.server_port = carried.server_port if carried.server_port is not None else event.dst_port
        carried.transport = carried.transport or event.transport
        carried.community_id = carried.community_id or event.community_id
        if carried.flow_in is None:
            carried.flow_in, carried.flow_out = event.bytes_in, event.bytes_out
        if carried.protocol is None:
            carried.protocol = protocol_of(event.protocol, event.dst_port)
    if carried.server_port is None or carried.client_port is None:
        for event in flow.requests:
            carried.client_port, carried.server_port = event.src_port, event.dst_port
            carried.transport = carried.transport or event.transport
            break
    for event in flow.alerts:
        if event.target and event.target not in carried.alerts:
            carried.alerts += (event.target,)


def cite_flow(carried: Carried, flow: Flow) -> None:
    """The flow's own records as evidence, after those of the content."""
    for event in flow.flows[:2]:
        carried.cite(event, flow_summary(event), "connected")
    for event in flow.alerts[:3]:
        carried.cite(event, f"alert: {event.target}")


def flow_summary(event: Event) -> str:
    """A flow in words."""
    sizes = f"{event.bytes_out if event.bytes_out is not None else '?'} bytes out, "
    sizes += f"{event.bytes_in if event.bytes_in is not None else '?'} bytes in"
    name = event.protocol or event.transport or "flow"
    known = event.community_id or community_id(event.transport, event.src_ip, event.src_port, event.dst_ip, event.dst_port)
    ends = f"{event.src_ip}:{event.src_port} to {event.dst_ip}:{event.dst_port}"
    return f"{name} flow {ends}, {sizes}" + (f", community id {known}" if known else "")
