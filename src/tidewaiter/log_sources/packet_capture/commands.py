"""FTP commands behind a lost packet: Suricata stops there, tshark reads on."""

from __future__ import annotations

from pathlib import Path

from tidewaiter.formats import capture_copy, capture_ftp
from tidewaiter.formats.capture_ftp import FtpCommand
from tidewaiter.formats.capture_tshark import Endpoint
from tidewaiter.log_sources.packet_capture.carried import NAME, Added, ends_of
from tidewaiter.log_sources.packet_capture.flows import Flow, Flows
from tidewaiter.schema.event import Event, EventKind

MOST_COMMANDS = 50_000
"""Commands that are added to one capture."""


def broken_connections(path: Path, flows: Flows) -> dict[frozenset[Endpoint], Flow]:
    """Control connections that Suricata gave up on and that may name files behind that place, by their ends.

    Few do: the packets themselves are asked, which costs less than starting tshark. Raises OSError.
    """
    broken = {ends_of(flow): flow for flow in flows.known.values() if flow.broken and flow.protocol == "ftp"}
    if not broken:
        return {}
    ports = {(flow.opener[1] or 0, flow.accepter[1] or 0) for flow in broken.values()}
    after = min(flow.last_command for flow in broken.values())
    return broken if capture_copy.any_between(path, ports, capture_ftp.NAMES_A_FILE, after) else {}


def add_commands(folder: Path, broken: dict[frozenset[Endpoint], Flow], added: Added) -> None:
    """Add the commands behind lost packets, out of the packets of FTP that tshark wrote to `folder`."""
    count = 0
    for command in capture_ftp.ftp_commands(folder):
        flow = broken.get(frozenset((command.client, command.server)))
        if flow is None or command.time <= flow.last_command:
            continue
        count += 1
        if count > MOST_COMMANDS:
            added.note(f"more than {MOST_COMMANDS:,} FTP commands behind lost packets: the rest was not read")
            return
        added.events.append(_event(command, flow, added.log_file))


def _event(command: FtpCommand, flow: Flow, log_file: str) -> Event:
    codes = [code for code in command.codes if code]
    return Event(
        kind=EventKind.FTP,
        time=command.time,
        log_source=NAME,
        log_file=log_file,
        record=flow.next_record(),
        src_ip=command.client[0],
        src_port=command.client[1],
        dst_ip=command.server[0],
        dst_port=command.server[1],
        transport="tcp",
        protocol="ftp",
        flow_id=str(flow.number),
        community_id=flow.community_id,
        method=command.command,
        query=command.argument or None,
        file_path=command.argument or None,
        status=int(codes[-1]) if codes and codes[-1].isdecimal() and len(codes[-1]) == 3 else None,
        extra={"completion_codes": codes, "rebuilt_by": "tshark"} if codes else {"rebuilt_by": "tshark"},
    )
