"""Files of flows that Suricata marks and does not carry: tshark gives the bytes, this makes the events."""

from __future__ import annotations

from pathlib import Path

from tidewaiter.formats import capture_tshark
from tidewaiter.formats.capture_contents import Carried, files_in
from tidewaiter.formats.capture_harvest import Harvest
from tidewaiter.formats.capture_tshark import Endpoint, Pair
from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.log_sources.packet_capture.flows import MOST_MARKED, Flow, Flows
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

NAME = "packet_capture"
BYTES_FOLLOWED = 256 << 20
"""How much of a capture is read again, in bytes of the marked flows."""
_PROTOCOLS = {"raw": None}


class Added:
    """The events that are added to those of the EVE log."""

    def __init__(self, log_file: str, account: Account, harvest: Harvest | None = None) -> None:
        self.log_file = log_file
        self.account = account
        self.harvest = harvest
        self.events: list[Event] = []

    def note(self, text: str) -> None:
        """Say in the account what was not read, and why."""
        self.account.notes.append(text)

    def add(
        self, carried: Carried, flow: Flow | None, client: Endpoint, server: Endpoint, protocol: str | None, time: int
    ) -> None:
        """One file on the wire. `client` opened the connection, or asked for the file."""
        sender, receiver = (client, server) if carried.to_server else (server, client)
        state = "CLOSED" if carried.complete else "TRUNCATED" if carried.complete is False else None
        extra = {
            "is_orig": carried.to_server, "tx_hosts": (sender[0],), "rx_hosts": (receiver[0],), "state": state,
            "gaps": carried.gaps, "rebuilt_by": "tshark", **carried.more,
        }  # fmt: skip
        event = Event(
            kind=EventKind.FILE_ON_WIRE,
            time=time,
            log_source=NAME,
            log_file=self.log_file,
            record=flow.next_record() if flow else f"tshark {len(self.events) + 1}",
            file_path=carried.name,
            file_size=carried.size,
            file_type=carried.type,
            sha256=carried.sha256,
            md5=carried.md5,
            src_ip=client[0],
            src_port=client[1],
            dst_ip=server[0],
            dst_port=server[1],
            transport="udp" if protocol == "tftp" else "tcp",
            protocol=protocol,
            flow_id=str(flow.number) if flow else None,
            community_id=flow.community_id if flow else None,
            extra={name: value for name, value in extra.items() if value is not None},
        )
        self.events.append(event)
        if self.harvest is not None:
            if carried.content is not None and carried.sha256 is not None:
                self.harvest.add(carried.sha256, carried.content)
            self.harvest.describe(event)


def chosen_flows(flows: Flows, added: Added) -> dict[frozenset[Endpoint], Flow]:
    """The flows to read again by their ends, as many as the bounds allow."""
    chosen: dict[frozenset[Endpoint], Flow] = {}
    left, size = 0, 0
    for flow_id in flows.marked:
        flow = flows.known[flow_id]
        size += flow.size
        if len(chosen) >= MOST_MARKED or size > BYTES_FOLLOWED:
            size -= flow.size
            left += 1
            continue
        chosen[ends_of(flow)] = flow
    if left:
        added.note(f"{left} of {len(flows.marked)} flows of unknown protocols not read for content: too many or too large")
    return chosen


def ends_of(flow: Flow) -> frozenset[Endpoint]:
    """Both ends of a flow, whoever opened it."""
    return frozenset(((flow.opener[0] or "", flow.opener[1] or 0), (flow.accepter[0] or "", flow.accepter[1] or 0)))


def pair_of(flow: Flow) -> Pair:
    """The ends of a flow as tshark is asked for them."""
    return Pair((flow.opener[0] or "", flow.opener[1] or 0), (flow.accepter[0] or "", flow.accepter[1] or 0))


def add_streams(folder: Path, chosen: dict[frozenset[Endpoint], Flow], flows: Flows, added: Added) -> None:
    """Add the files in the bytes of connections that tshark wrote to `folder`."""
    for stream in capture_tshark.followed(folder):
        flow = chosen.get(frozenset((stream.client, stream.server)))
        if flow is None:
            continue
        client, server = stream.client, stream.server
        sides = (stream.from_client, stream.from_server)
        if flow.opener == server != client:
            client, server, sides = server, client, (sides[1], sides[0])
        kind = flows.marked[flow.flow_id]
        for carried in files_in(kind, *sides):
            if stream.cut:
                carried.complete, carried.sha256, carried.md5 = False, None, None
            added.add(carried, flow, client, server, _PROTOCOLS.get(kind, kind), IsoTimes().read(flow.end) or 0)


def add_tftp(folder: Path, flows: Flows, added: Added) -> None:
    """Add the files in the packets of TFTP that tshark wrote to `folder`."""
    by_ends = {ends_of(flow): flow for flow in flows.known.values() if flow.transport == "udp"}
    odd = flows.odd_clients()
    for file in capture_tshark.tftp_files(folder, whole=added.harvest is not None):
        flow = by_ends.get(frozenset((file.client, file.server)))
        file.carried.name = odd.get(file.client) or file.carried.name
        added.add(file.carried, flow, file.client, file.server, "tftp", file.time)
