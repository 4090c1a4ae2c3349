"""What a capture's log holds and nobody needs is counted: the rest is, to the name of the record, what it is without that."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from captures.writer import CLIENT, SERVER, START, Conversation, Packet, elf, http, pcap, save, tcp, tftp, udp
from tidewaiter.log_source import HEAD_BYTES, Opened
from tidewaiter.log_sources.packet_capture import Source
from tidewaiter.pipeline.run import ItemReader
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Batch
from tidewaiter.schema.event import Event, EventKind


def lookups(count: int) -> list[Packet]:
    """Names that are asked for and answered, each in a flow of its own."""
    found: list[Packet] = []
    for number in range(count):
        name = b"\x03www\x07example\x03com\0\0\1\0\1"
        client, server = (CLIENT, 30_000 + number), (SERVER, 53)
        asked = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + name
        answer = (
            struct.pack(">HHHHHH", number, 0x8180, 1, 1, 0, 0)
            + name
            + b"\xc0\x0c\0\1\0\1"
            + struct.pack(">IH4B", 60, 4, 192, 0, 2, 9)
        )
        found += [(START + number * 500, udp(client, server, asked)), (START + number * 500 + 90, udp(server, client, answer))]
    return found


def ftp(count: int) -> list[Packet]:
    talk = Conversation(21, source_port=40_021).server(b"220 ready\r\n").client(b"USER a\r\n").server(b"331 ok\r\n")
    for number in range(count):
        talk.client(b"RETR file%d.bin\r\n" % number).server(b"550 no\r\n")
    return talk.close()


def read(path: Path, tmp_path: Path, *, sparing: bool) -> tuple[list[Event], list[Event], Account]:
    """The events, those of them that are counted beside, and the account."""
    source, data = Source(), path.read_bytes()
    if sparing:
        (tmp_path / "work").mkdir(exist_ok=True)
        source.spare(ItemReader(tmp_path / "work", "0").needs)
    account = Account(log_file="a.pcap")
    batches = list(source.read(Opened(path=path, log_file="a.pcap", size=len(data), head=data[:HEAD_BYTES]), account))
    counted = [event for batch in batches if isinstance(batch, Batch) for event in batch if event not in batch.uncounted()]
    return [event for batch in batches for event in batch], counted, account


@pytest.mark.usefixtures("suricata", "tshark")
@pytest.mark.parametrize("seed", range(3))
def test_what_is_made_is_the_same_and_all_is_accounted_for(tmp_path: Path, seed: int) -> None:
    parts = [
        lookups(700),
        ftp(40),
        http(elf()),
        http(b"#!/bin/sh\nexit\n", port=8080, mime="image/png"),
        tcp(b"", elf()),
        tftp(elf(1_500)),
    ]
    packets = sorted((packet for part in parts for packet in part), key=lambda packet: packet[0])
    chance = random.Random(seed)
    if seed:  # with packets lost, flows end in other ways
        packets = [packet for packet in packets if chance.random() > 0.05]
    path = save(tmp_path, pcap(packets))
    (plain, _, whole), (spared, counted, account) = (read(path, tmp_path, sparing=sparing) for sparing in (False, True))

    def told(event: Event) -> tuple[object, ...]:
        return (
            event.record,
            event.kind,
            event.time,
            event.src_ip,
            event.src_port,
            event.flow_id,
            event.file_path,
            event.sha256,
        )

    assert {told(event) for event in spared} <= {told(event) for event in plain}
    left = [event for event in plain if told(event) not in {told(one) for one in spared}]
    assert {event.kind for event in left} <= {EventKind.FLOW, EventKind.DNS_QUERY, EventKind.TLS}
    assert len(left) > 500
    assert (account.parsed, account.skipped, account.damage, account.kinds) == (
        whole.parsed, whole.skipped, whole.damage, whole.kinds,
    )  # fmt: skip
    assert (account.first, account.last, account.balanced) == (whole.first, whole.last, True)
    assert all(event.kind in (EventKind.FLOW, EventKind.DNS_QUERY, EventKind.TLS, EventKind.ALERT) for event in counted)


@pytest.mark.usefixtures("suricata", "tshark")
@pytest.mark.parametrize("name", ["b\x01.bin", "b\N{LATIN SMALL LETTER E WITH ACUTE}.bin", "b\n.bin", "b\x7f"])
def test_what_tftp_carries_under_an_odd_name_is_read(tmp_path: Path, name: str) -> None:
    events, _, account = read(save(tmp_path, pcap(tftp(elf(1_500), name))), tmp_path, sparing=True)
    (file,) = [event for event in events if event.kind is EventKind.FILE_ON_WIRE]

    assert (file.file_path, file.file_size, file.file_type) == (name, 1_500, "ELF executable")
    assert account.balanced


@pytest.mark.usefixtures("suricata", "tshark")
def test_what_tftp_carries_under_a_name_that_is_no_text_is_read(tmp_path: Path) -> None:
    packets = tftp(elf(1_500), "name")
    packets[0] = (START, udp((CLIENT, 40_001), (SERVER, 69), b"\0\1n\x80\xffe\0octet\0"))
    events, _, _ = read(save(tmp_path, pcap(packets)), tmp_path, sparing=True)
    (file,) = [event for event in events if event.kind is EventKind.FILE_ON_WIRE]

    assert (file.file_size, file.file_type) == (1_500, "ELF executable")


@pytest.mark.usefixtures("suricata", "tshark")
def test_more_odd_names_than_are_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewaiter.log_sources.packet_capture.again.MOST_ODD", 0)
    events, _, account = read(save(tmp_path, pcap(tftp(elf(1_500), "b\x01"))), tmp_path, sparing=True)

    assert not [event for event in events if event.kind is EventKind.FILE_ON_WIRE]
    assert any("unprintable names" in note for note in account.notes)
