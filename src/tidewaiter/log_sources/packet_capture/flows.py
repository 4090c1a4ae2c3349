"""A first look at the EVE log of a capture: who opened each flow, and which flows are worth reading again for their content."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.schema.event import Event

FLOWS_KEPT = 200_000
MOST_MARKED = 100
"""Flows that are read again, per capture."""

_TYPE = b'"event_type":"'
_LOOKED_AT = (b'flow"', b'alert"', b'tftp"', b'ftp"')
_COUNTED = re.compile(rb'.{0,80}"flow_id":(\d{1,20}),[^{]{0,100}?"event_type":"(?:flow|dns|tls|alert)"')
"""A record of a type that the log source of Suricata counts where nobody needs it by itself."""
_PORTS = {79: "finger", 70: "gopher", 873: "rsync"}
_NO_PROTOCOL = (None, "failed", "unknown")


class _Alert(msgspec.Struct, gc=False):
    signature_id: int = 0


class _Tftp(msgspec.Struct, gc=False):
    file: Any = None


class _Tcp(msgspec.Struct, gc=False):
    ts_gap: bool = False
    tc_gap: bool = False


class _Flow(msgspec.Struct, gc=False):
    bytes_toserver: int = 0
    bytes_toclient: int = 0
    start: str | None = None
    end: str | None = None


class _Record(msgspec.Struct):
    """What is needed of a record here."""

    event_type: str
    timestamp: str
    flow_id: Any = None
    src_ip: str | None = None
    src_port: int | None = None
    dest_ip: str | None = None
    dest_port: int | None = None
    proto: str | None = None
    app_proto: str | None = None
    app_proto_tc: str | None = None
    app_proto_ts: str | None = None
    tcp: _Tcp | None = None
    community_id: str | None = None
    alert: _Alert | None = None
    tftp: _Tftp | None = None
    flow: _Flow | None = None


class Flow(msgspec.Struct, gc=False):
    """One flow: its number in the order of starts, its ends, ids, size in bytes of packets, and how many records it has had.

    Suricata's own flow ids and the order of its last records differ from run to run, so neither may name a record.
    """

    opener: tuple[str | None, int | None]
    accepter: tuple[str | None, int | None]
    flow_id: str
    community_id: str | None
    transport: str
    protocol: str | None
    size: int
    start: str  # as Suricata writes times: all in UTC and of one length, so that their order is that of time
    end: str
    broken: bool = False  # packets are lost, behind which Suricata may read no further
    last_command: int = 0  # time of the last FTP record
    number: int = 0
    records: int = 0

    def next_record(self) -> str:
        """The name of the flow's next record: the flow's number and the record's within the flow."""
        self.records += 1
        return f"{self.number}.{self.records}"


class Numbering:
    """Names events by their flow's number and their own within the flow, in the order of the log, where each has its turn:
    records of which no event is made are counted on the way."""

    def __init__(self, lines: Iterable[bytes], flows: Flows) -> None:
        self._lines = enumerate(lines, 1)
        self._flows = flows

    def turns(self, events: Iterable[Event]) -> Iterator[tuple[Event, Flow | None]]:
        """The events, whose records are the numbers of their lines, each with its flow when it is its turn."""
        known, waiting = self._flows.known, {int(event.record): event for event in events}
        while waiting:
            number, line = next(self._lines)
            event = waiting.pop(number, None)
            if event is not None:
                yield event, known.get(event.flow_id or "")
            else:
                self._count(line)

    def finish(self) -> None:
        """Count the records behind the last event."""
        for _, line in self._lines:
            self._count(line)

    def _count(self, line: bytes) -> None:
        counted = _COUNTED.match(line)
        flow = self._flows.known.get(counted[1].decode()) if counted is not None else None
        if flow is not None:
            flow.records += 1


class Flows(msgspec.Struct):
    """The flows of a capture by id, those to read again with the reason, and what there is of TFTP."""

    known: dict[str, Flow] = {}
    marked: dict[str, str] = {}
    forgotten: int = 0
    tftp: int = 0
    odd_names: dict[
        str, str | None
    ] = {}  # TFTP flows whose request has a name of other than printable ASCII: tshark stops there

    def odd_clients(self) -> dict[tuple[str, int], str | None]:
        """Who asked over TFTP for a file with an odd name: its end of the flow, and the name where it is known."""
        flows = [(self.known.get(flow_id), name) for flow_id, name in self.odd_names.items()]
        return {(flow.opener[0] or "", flow.opener[1] or 0): name for flow, name in flows if flow is not None}

    def ports_for_tshark(self) -> set[tuple[int, int]]:
        """The ports at the two ends of all flows that tshark is to read for content: marked ones, TFTP's with its data."""
        chosen = [self.known[flow_id] for flow_id in self.marked]
        if self.tftp:
            asked = {flow.opener for flow in self.known.values() if flow.protocol == "tftp"}
            chosen += [flow for flow in self.known.values() if flow.transport == "udp" and asked & {flow.opener, flow.accepter}]
        return {(flow.opener[1] or 0, flow.accepter[1] or 0) for flow in chosen}


@functools.cache
def following() -> dict[int, str]:
    """Of our rules, those whose metadata says `follow`, with what the flow carries."""
    text = (resources.files("tidewaiter") / "knowledge" / "suricata" / "tidewaiter.rules").read_text(encoding="utf-8")
    found = re.finditer(r"metadata:[^;]*\bfollow (\w+)[^;]*; sid:(\d+);", text)
    return {int(match[2]): match[1] for match in found}


def survey_log(log: Path) -> Flows:
    """Read the flow, alert and tftp records of an EVE log; damaged lines are left to the reader that counts them."""
    flows = Flows()
    times = IsoTimes()
    alerted: dict[str, str] = {}
    commanded: dict[str, int] = {}
    asked: set[str] = set()
    for record in _records(log):
        flow_id = str(record.flow_id)
        if record.event_type == "tftp":
            flows.tftp += 1
            name = record.tftp.file if record.tftp else None
            if isinstance(name, str) and not (name.isascii() and name.isprintable()) and len(flows.odd_names) < FLOWS_KEPT:
                flows.odd_names[flow_id] = None if flow_id in flows.odd_names else name  # one of several: nobody knows which
            asked.add(flow_id)
        elif record.event_type == "ftp":
            if flow_id in commanded or len(commanded) < FLOWS_KEPT:
                commanded[flow_id] = max(commanded.get(flow_id, 0), times.read(record.timestamp) or 0)
        elif record.event_type == "alert":
            kind = following().get(record.alert.signature_id if record.alert else 0)
            if kind is not None and len(alerted) < FLOWS_KEPT:
                alerted[flow_id] = min(alerted.get(flow_id, kind), kind)
        elif len(flows.known) >= FLOWS_KEPT:
            flows.forgotten += 1
        elif record.flow is not None:
            flows.known[flow_id] = _flow(flow_id, record, record.flow)
    ordered = sorted(flows.known.values(), key=lambda flow: (flow.start, flow.transport, str(flow.opener), str(flow.accepter)))
    for number, flow in enumerate(ordered, 1):
        flow.number = number
        if flow.protocol == "tftp" and flow.flow_id not in asked:  # the name is no UTF-8: Suricata logs no request
            flows.tftp += 1
            flows.odd_names[flow.flow_id] = None
        flow.last_command = commanded.get(flow.flow_id, 0)
        flow_id = flow.flow_id
        if flow.transport == "tcp" and flow.protocol in _NO_PROTOCOL:
            kind = alerted.get(flow_id) or (_PORTS.get(flow.accepter[1] or 0) if flow.size else None)
            if kind is not None:
                flows.marked[flow_id] = kind
    return flows


def _records(log: Path) -> Iterator[_Record]:
    decode = msgspec.json.Decoder(_Record).decode
    with log.open("rb") as file:
        for line in file:
            start = line.find(_TYPE)
            if start >= 0 and line.startswith(_LOOKED_AT, start + len(_TYPE)):
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue


def _flow(flow_id: str, record: _Record, flow: _Flow) -> Flow:
    return Flow(
        opener=(record.src_ip, record.src_port),
        accepter=(record.dest_ip, record.dest_port),
        flow_id=flow_id,
        community_id=record.community_id,
        transport=(record.proto or "").lower(),
        protocol=record.app_proto,
        size=flow.bytes_toserver + flow.bytes_toclient,
        start=flow.start or record.timestamp,
        end=flow.end or record.timestamp,
        broken="failed" in (record.app_proto_tc, record.app_proto_ts)
        or (record.tcp is not None and (record.tcp.ts_gap or record.tcp.tc_gap)),
    )
