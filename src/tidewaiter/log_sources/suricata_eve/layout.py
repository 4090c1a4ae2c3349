"""The shape of EVE records, and what all their builders need."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.schema.event import EventKind

NAME = "suricata_eve"
FLOWS_KEPT = 50_000
"""Flows whose opener is remembered, to turn fileinfo records."""
LARGEST = (1 << 63) - 1

_TRANSPORT = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "IPv6-ICMP": "icmp"}
USUAL = frozenset(_TRANSPORT)
"""Transports as Suricata spells them."""
NO_PROTOCOL = (None, "failed", "unknown")

Text = str | None
Count = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None
"""What fits into the columns of an event; a larger number damages its record."""


class Flow(msgspec.Struct, gc=False):
    """The `flow` object."""

    bytes_toserver: Count = None
    bytes_toclient: Count = None
    start: Text = None
    end: Text = None
    state: Text = None
    reason: Text = None
    alerted: bool | None = None


class Http(msgspec.Struct):
    """The `http` object."""

    hostname: Text = None
    http_port: Count = None
    url: Text = None
    http_user_agent: Text = None
    http_content_type: Text = None
    http_refer: Text = None
    http_method: Text = None
    protocol: Text = None
    version: Text = None
    status: Any = None
    length: Count = None
    redirect: Text = None
    content_range: Any = None
    request_headers: msgspec.Raw = msgspec.Raw()
    response_headers: msgspec.Raw = msgspec.Raw()
    content_length: Any = None  # where the sensor is told to log it
    content_encoding: Text = None


class File(msgspec.Struct):
    """The `fileinfo` object."""

    filename: Text = None
    magic: Text = None
    gaps: bool | None = None
    state: Text = None
    md5: Text = None
    sha1: Text = None
    sha256: Text = None
    stored: bool | None = None
    file_id: Any = None
    size: Count = None
    tx_id: Count = None
    start: Count = None
    end: Count = None


class Dns(msgspec.Struct):
    """The `dns` object, in the layouts of EVE versions 1, 2 and 3."""

    type: Text = None
    rrname: Text = None
    rrtype: Text = None
    rcode: Text = None
    rdata: Any = None
    answers: Any = None
    grouped: Any = None
    queries: Any = None
    query: Any = None


class Alert(msgspec.Struct):
    """The `alert` object."""

    action: Text = None
    signature: Text = None
    signature_id: Any = None
    category: Text = None
    severity: Any = None


class Line(msgspec.Struct):
    """One EVE record: what all types share, and the object of its type. Objects of rarer types stay undecoded."""

    event_type: str
    timestamp: str
    flow_id: Any = None
    parent_id: Any = None
    src_ip: Text = None
    src_port: Count = None
    dest_ip: Text = None
    dest_port: Count = None
    proto: Text = None
    app_proto: Text = None
    community_id: Text = None
    direction: Text = None
    tx_id: Count = None
    host: Any = None
    flow: Flow | None = None
    http: Http | None = None
    fileinfo: File | None = None
    ftp: msgspec.Raw = msgspec.Raw()
    ftp_data: msgspec.Raw = msgspec.Raw()
    smb: msgspec.Raw = msgspec.Raw()
    tftp: msgspec.Raw = msgspec.Raw()
    tls: msgspec.Raw = msgspec.Raw()
    dns: Dns | None = None
    ssh: msgspec.Raw = msgspec.Raw()
    alert: Alert | None = None


DECODE = msgspec.json.Decoder().decode


class Reader:
    """What is remembered between the records of one log."""

    def __init__(self) -> None:
        self.times = IsoTimes()
        self.openers: dict[str, tuple[Text, Count]] = {}

    def time(self, text: str) -> int:
        """Microseconds since 1970 UTC; raises ValueError where the text is no time."""
        time = self.times.read(text)
        if time is None:
            raise ValueError("no time")
        return time

    def opener(self, flow_id: Text, ip: Text, port: Count) -> None:
        """Remember which side opened a flow. The oldest half is forgotten when there are too many."""
        if flow_id is None:
            return
        if len(self.openers) >= FLOWS_KEPT:
            for old in list(self.openers)[: FLOWS_KEPT // 2]:
                del self.openers[old]
        self.openers[flow_id] = (ip, port)


def id_of(value: Any) -> Text:
    """Flow and file ids as text."""
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def count_of(value: Any) -> Count:
    """A count that may have been written as text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = int(value, 16) if value[:2] == "0x" else int(value) if value.isdecimal() and len(value) < 20 else None
    return value if isinstance(value, int) and -LARGEST <= value <= LARGEST else None


def text_of(value: Any) -> Text:
    """Text, or None for what is none."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def object_of(raw: msgspec.Raw) -> dict[str, Any]:
    """The object of a rarer type."""
    data = bytes(raw)
    value = DECODE(data) if data else None
    return value if isinstance(value, dict) else {}


def extra_of(**values: Any) -> dict[str, Any] | None:
    """The values that are there."""
    return {name: value for name, value in values.items() if value or (value is not None and value not in ("", [], {}))} or None


def base_of(reader: Reader, line: Line, kind: EventKind, log_file: str, record: str) -> dict[str, Any]:
    """What all records of a client's requests share: they name the client first."""
    flow_id = id_of(line.flow_id)
    reader.opener(flow_id, line.src_ip, line.src_port)
    return {
        "kind": kind,
        "time": reader.time(line.timestamp),
        "log_source": NAME,
        "log_file": log_file,
        "record": record,
        "src_ip": line.src_ip,
        "src_port": line.src_port,
        "dst_ip": line.dest_ip,
        "dst_port": line.dest_port,
        "transport": transport_of(line.proto),
        "flow_id": flow_id,
        "community_id": line.community_id,
    }


def transport_of(proto: Text) -> Text:
    """The transport in lower case, all ICMP as one."""
    return None if proto is None else _TRANSPORT.get(proto) or proto.lower()
