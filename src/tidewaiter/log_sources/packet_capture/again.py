"""What Suricata marks and does not carry is read again by tshark, in one run: its start costs more than most captures do."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from tidewaiter.formats import capture_copy, capture_tshark
from tidewaiter.formats.capture import Capture
from tidewaiter.formats.capture_child import Ended
from tidewaiter.formats.capture_tshark import Endpoint
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.packet_capture.carried import Added, add_streams, add_tftp, chosen_flows, pair_of
from tidewaiter.log_sources.packet_capture.commands import add_commands, broken_connections
from tidewaiter.log_sources.packet_capture.flows import Flow, Flows
from tidewaiter.schema.event import Event

WORTH_THINNING = 4 << 20
"""The size of a capture, in bytes, from which on tshark gets only the packets that it is to read."""

MOST_ODD = 500
"""Ports whose packets tshark is told to read as TFTP, where it would not do so by itself."""


def read_again(opened: Opened, held: Capture, flows: Flows, folder: Path, added: Added) -> Iterator[list[Event]]:
    """Add files of marked flows and of TFTP and commands of broken FTP connections; yields empty batches while tshark works.

    Does nothing where Suricata has carried everything. What cannot be read is said in the account.
    """
    broken = broken_connections(opened.path, flows)
    if not (flows.marked or flows.tftp or broken):
        return
    tshark = capture_tshark.find()
    if tshark is None:
        added.note(f"{_what(flows, broken)} not read: tshark is not installed (Debian: apt-get install tshark)")
        return
    capture = _thinned(opened, held, flows, broken, folder / "thinned.pcap")
    if capture.size > capture_tshark.LARGEST_CAPTURE:
        most = capture_tshark.LARGEST_CAPTURE // 1_000_000
        added.note(f"{_what(flows, broken)} not read: the capture is larger than {most} MB")
        return
    chosen = chosen_flows(flows, added)
    pairs = [pair_of(flow) for flow in chosen.values()]
    written = folder / "again"
    written.mkdir()
    odd = sorted({port for _, port in flows.odd_clients()})
    if len(odd) > MOST_ODD:
        added.note(f"content that TFTP carried to {len(odd) - MOST_ODD:,} ports not read: requests with unprintable names")
    running = capture_tshark.read(
        tshark, capture.path, written, pairs, tftp=bool(flows.tftp), ftp=bool(broken), tftp_ports=odd[:MOST_ODD]
    )
    _report((yield from _waited(running)), added)
    add_streams(written, chosen, flows, added)
    add_tftp(written, flows, added)
    add_commands(written, broken, added)


def _what(flows: Flows, broken: dict[frozenset[Endpoint], Flow]) -> str:
    parts = [f"content of {len(flows.marked)} flows of protocols that Suricata does not read"] if flows.marked else []
    parts += ["content of TFTP"] if flows.tftp else []
    return " and ".join(parts + ([f"{len(broken)} FTP connections behind a lost packet"] if broken else []))


def _thinned(opened: Opened, held: Capture, flows: Flows, broken: dict[frozenset[Endpoint], Flow], target: Path) -> Opened:
    """The capture without the flows that tshark is not to read: it takes a hundred times what this does."""
    if opened.size < WORTH_THINNING or len(held.links) != 1:
        return opened
    ports = flows.ports_for_tshark() | {(flow.opener[1] or 0, flow.accepter[1] or 0) for flow in broken.values()}
    size = capture_copy.copy_between(opened.path, target, ports, capture_tshark.LARGEST_CAPTURE)
    return msgspec.structs.replace(opened, path=target, size=size)


def _waited(running: Generator[None, None, Ended]) -> Generator[list[Event], None, Ended]:
    """Empty batches while a program works; returns how it ended."""
    try:
        while True:
            try:
                next(running)
            except StopIteration as done:
                ended: Ended = done.value
                return ended
            yield []
    finally:
        running.close()


def _report(ended: Ended, added: Added) -> None:
    """Say in the account where tshark did not end well."""
    if ended.out_of_time:
        added.note(f"tshark was stopped after {capture_tshark.SECONDS:.0f} s; what it had written by then was read")
    elif ended.code:
        added.note(f"tshark ended with exit code {ended.code}; what it had written was read")
