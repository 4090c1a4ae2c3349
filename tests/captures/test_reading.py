"""Captures of all containers and link types, damaged ones, and what tshark adds: read through the programs themselves."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from captures import writer
from captures.conftest import Read
from captures.writer import ETHERNET, LOOP, RAW, SLL, SLL2, Packet, elf, http, pcap, pcapng, pe, save, tcp, tftp
from tidewaiter.formats import capture_suricata, capture_tshark
from tidewaiter.log_sources.packet_capture import again
from tidewaiter.schema.event import Event, EventKind

BODY = b"columns of numbers\n" * 400
SHA256 = hashlib.sha256(BODY).hexdigest()


def files(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind is EventKind.FILE_ON_WIRE]


def tagged(packets: list[Packet], outer: int | None = None) -> bytes:
    """A capture whose Ethernet frames carry one or two VLAN tags."""
    plain = pcap(packets)
    out, position = [plain[:24]], 24
    while position < len(plain):
        seconds, micro, length, _ = struct.unpack_from("<IIII", plain, position)
        frame = plain[position + 16 : position + 16 + length]
        tags = (struct.pack(">HH", outer, 7) if outer else b"") + struct.pack(">HH", 0x8100, 8)
        frame = frame[:12] + tags + frame[12:]
        out.append(struct.pack("<IIII", seconds, micro, len(frame), len(frame)) + frame)
        position += 16 + length
    return b"".join(out)


CONTAINERS: dict[str, Callable[[list[Packet]], bytes]] = {
    "pcap": pcap,
    "pcap, big-endian": lambda packets: pcap(packets, order=">"),
    "pcap, nanoseconds": lambda packets: pcap(packets, nano=True),
    "pcap, raw IP": lambda packets: pcap(packets, link=RAW),
    "pcap, Linux cooked": lambda packets: pcap(packets, link=SLL),
    "pcap, Linux cooked 2": lambda packets: pcap(packets, link=SLL2),
    "pcap, OpenBSD loopback": lambda packets: pcap(packets, link=LOOP),
    "pcap, 802.1Q": tagged,
    "pcap, QinQ": lambda packets: tagged(packets, 0x88A8),
    "pcapng": lambda packets: pcapng([(ETHERNET, packets)]),
    "pcapng, big-endian": lambda packets: pcapng([(ETHERNET, packets)], order=">"),
    "pcapng, two link types": lambda packets: pcapng([(ETHERNET, packets), (RAW, tcp(b"hello\n", b"hello\n", 4000))]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_file(read: Read, tmp_path: Path, name: str) -> None:
    events, account = read(save(tmp_path, CONTAINERS[name](http(BODY, path="/data.csv", mime="text/csv"))))
    (file,) = files(events)

    assert (file.sha256, file.file_size, file.file_path) == (SHA256, len(BODY), "/data.csv")
    assert file.md5 == hashlib.md5(BODY).hexdigest()
    assert (file.src_ip, file.src_port, file.dst_ip, file.dst_port) == (writer.CLIENT, 40_000, writer.SERVER, 80)
    assert file.extra is not None
    assert (file.extra["is_orig"], file.extra["state"], file.extra["gaps"]) == (False, "CLOSED", False)
    assert (file.url, file.status, file.method) == ("http://files.example.com/data.csv", 200, "GET")
    assert abs(file.time - writer.START) < 1_000_000
    assert file.community_id
    assert {event.kind for event in events} >= {EventKind.FLOW, EventKind.HTTP}
    assert {event.log_source for event in events} == {"packet_capture"}
    assert account.damaged == 0


def test_the_account_names_the_program_and_what_it_read(read: Read, tmp_path: Path, suricata: capture_suricata.Program) -> None:
    packets = http(BODY)
    _, account = read(save(tmp_path, pcap(packets)))

    assert account.recognised_as == f"packet capture, Suricata {suricata.version}"
    assert account.notes == [f"Suricata {suricata.version} read {len(packets)} packets"]


def test_two_readings_give_the_same_events(read: Read, tmp_path: Path) -> None:
    packets = [packet for port in range(8_000, 8_012) for packet in http(BODY, port=port)]
    path = save(tmp_path, pcap(packets))
    first, second = read(path)[0], read(path)[0]

    assert [(event.id, event.flow_id, event.sha256) for event in first] == [
        (event.id, event.flow_id, event.sha256) for event in second
    ]


def test_bad_checksums_do_not_matter(read: Read, tmp_path: Path) -> None:
    packets = [(when, packet[:36] + b"\0\0" + packet[38:]) for when, packet in http(BODY)]
    events, _ = read(save(tmp_path, pcap(packets)))

    assert [file.sha256 for file in files(events)] == [SHA256]


def test_a_connection_that_began_before_the_capture_is_read(read: Read, tmp_path: Path) -> None:
    events, _ = read(save(tmp_path, pcap(http(BODY)[3:])))

    assert [(file.sha256, file.dst_port) for file in files(events)] == [(SHA256, 80)]


def test_only_the_answering_side_is_enough(read: Read, tmp_path: Path) -> None:
    packets = [(when, packet) for when, packet in http(BODY) if packet[12:16] == bytes([198, 51, 100, 20])]
    events, _ = read(save(tmp_path, pcap(packets)))

    assert [file.sha256 for file in files(events)] == [SHA256]


def test_a_header_without_packets_is_no_work(read: Read, tmp_path: Path) -> None:
    began = time.monotonic()
    events, account = read(save(tmp_path, pcap([])))

    assert events == []
    assert account.notes == ["0 packets"]
    assert time.monotonic() - began < 5


def test_a_link_type_that_nobody_reads_is_counted(read: Read, tmp_path: Path) -> None:
    events, account = read(save(tmp_path, pcap(http(BODY), link=127)))

    assert events == []
    (reason,) = account.skipped
    assert reason == "packet of link type 127 (802.11 with a radiotap header), which Suricata does not read"
    assert account.skipped[reason] == len(http(BODY))


def test_a_capture_that_breaks_off_is_read_to_there(read: Read, tmp_path: Path) -> None:
    data = pcap(http(BODY))
    events, account = read(save(tmp_path, data[:-10]))

    assert [file.sha256 for file in files(events)] == [SHA256]
    assert account.damaged == 1
    assert account.damage[0].place.startswith("byte ")


def test_packets_behind_a_damaged_record_are_read(read: Read, tmp_path: Path) -> None:
    first = pcap(tcp(b"hello\n", b"hello\n", 4000))
    bad = struct.pack("<IIII", writer.START // 1_000_000, 0, 0x7FFFFFFF, 0x7FFFFFFF) + bytes(50)
    events, account = read(save(tmp_path, first + bad + pcap(http(BODY))[24:]))

    assert [file.sha256 for file in files(events)] == [SHA256]
    assert [item.place for item in account.damage] == [f"byte {len(first)}"]
    assert any("copied" in note for note in account.notes)


def test_nothing_stays_behind(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private, given = tmp_path / "private", tmp_path / "given"
    private.mkdir()
    given.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    path = save(given, pcap(http(elf())))
    events, _ = read(path)

    assert files(events)
    assert list(private.iterdir()) == []
    assert list(given.iterdir()) == [path]


def test_a_capture_that_takes_too_long_is_given_up_with_a_word(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_suricata, "seconds_for", lambda size: 0.0)
    _, account = read(save(tmp_path, pcap(http(BODY))))

    assert [item.problem for item in account.damage] == ["Suricata was stopped after 0 s; what it had logged by then was read"]


# --- what tshark adds -------------------------------------------------------------------------------------------------------


def rebuilt(events: list[Event]) -> list[Event]:
    return [file for file in files(events) if (file.extra or {}).get("rebuilt_by") == "tshark"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("thinned", [False, True])
@pytest.mark.parametrize(
    ("client", "server", "content", "kind"),
    [
        (b"", elf(), elf(), "ELF executable"),
        (pe(), b"", pe(), "PE executable for MS Windows"),
        (b"", struct.pack("<I", 2_000) + pe(), pe(), "PE executable for MS Windows"),
        (b"", b"#!/bin/sh\necho nothing\n", b"#!/bin/sh\necho nothing\n", "script text executable (#!/bin/sh)"),
    ],
    ids=["ELF answered", "PE pushed", "PE behind its length", "script"],
)
def test_a_bare_stream_becomes_a_file(
    read: Read, tshark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: bytes, server: bytes, content: bytes,
    kind: str, thinned: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(again, "WORTH_THINNING", 0 if thinned else 1 << 30)
    events, _ = read(save(tmp_path, pcap(tcp(client, server) + http(BODY))))
    (file,) = rebuilt(events)

    assert (file.sha256, file.file_size, file.file_type) == (digest(content), len(content), kind)
    assert (file.protocol, file.src_ip, file.dst_port) == (None, writer.CLIENT, 4444)
    assert (file.extra or {})["is_orig"] is bool(client)
    assert file.flow_id == "1"


def test_finger_gives_the_answer_and_what_its_base64_holds(read: Read, tshark: str, tmp_path: Path) -> None:
    answer = base64.encodebytes(elf()).replace(b"\n", b"\r\n")
    (file,) = rebuilt(read(save(tmp_path, pcap(tcp(b"someone\r\n", answer, 79))))[0])

    assert (file.protocol, file.file_path) == ("finger", "someone")
    assert file.sha256 == digest(answer.replace(b"\r\n", b"\n"))
    assert (file.extra or {})["decoded"] == {"size": 2_000, "sha256": digest(elf()), "type": "ELF executable"}


@pytest.mark.parametrize(
    ("blocks", "state", "gaps"),
    [
        (None, "CLOSED", False),
        ([1, 2, 2, 3, 4], "CLOSED", False),
        ([1, 3, 4], "TRUNCATED", True),
        ([1, 2], "TRUNCATED", False),
    ],
    ids=["whole", "a block twice", "a block lost", "broken off"],
)
def test_tftp_blocks_become_a_file(
    read: Read, tshark: str, tmp_path: Path, blocks: list[int] | None, state: str, gaps: bool
) -> None:
    content = elf(3 * 512 + 100)
    (file,) = rebuilt(read(save(tmp_path, pcap(tftp(content, "boot.bin", blocks=blocks))))[0])

    assert (file.protocol, file.transport, file.file_path) == ("tftp", "udp", "boot.bin")
    assert (file.extra or {})["state"] == state
    assert (file.extra or {})["gaps"] is gaps
    assert (file.sha256 == digest(content)) is (state == "CLOSED")


def test_an_rsync_daemon_gives_a_file(read: Read, tshark: str, tmp_path: Path) -> None:
    content = elf(40_000)
    tokens = b"".join(
        struct.pack("<I", len(content[at : at + 32_768])) + content[at : at + 32_768] for at in range(0, len(content), 32_768)
    )
    data = b"\x02\x00\xa0" + bytes(16) + tokens + bytes(4) + b"c" * 16
    listed = b"\0\0\x09agent.bin" + bytes(20)
    framed = b"".join(
        struct.pack("<I", 7 << 24 | len(part)) + part
        for part in (listed, *(data[at : at + 9_000] for at in range(0, len(data), 9_000)))
    )
    talk = writer.Conversation(8730)
    talk.client(b"@RSYNCD: 31.0\n").server(b"@RSYNCD: 31.0\n").client(b"pub\n").server(b"@RSYNCD: OK\n")
    talk.client(b"--server\0--sender\0-logDtpre.iLsfx\0.\0pub/agent.bin\0\0").server(framed)
    (file,) = rebuilt(read(save(tmp_path, pcap(talk.close())))[0])

    assert (file.protocol, file.file_path, file.sha256) == ("rsync", "pub/agent.bin", digest(content))
    assert (file.extra or {})["is_orig"] is False


def test_without_tshark_the_account_says_what_is_missing(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_tshark, "find", lambda: None)
    events, account = read(save(tmp_path, pcap(tcp(b"", elf()))))

    assert rebuilt(events) == []
    assert any(re.search(r"1 flows? .*tshark is not installed", note) for note in account.notes)


def ftp_behind_a_gap(*lines: bytes) -> list[Packet]:
    """A control connection that loses a packet, then goes on with these commands."""
    talk = writer.Conversation(21)
    talk.server(b"220 ready\r\n").client(b"USER someone\r\n").server(b"230 welcome\r\n")
    lost = len(talk.packets)
    talk.client(b"NOOP\r\n").server(b"200 fine\r\n")
    del talk.packets[lost : lost + 4]
    for line in lines:
        talk.client(line + b"\r\n").server(b"226 done\r\n")
    return talk.close()


def test_ftp_commands_behind_a_lost_packet_are_read(read: Read, tshark: str, tmp_path: Path) -> None:
    events, _ = read(save(tmp_path, pcap(ftp_behind_a_gap(b"RETR tool.bin", b"stor report.txt"))))
    found = [event for event in events if event.kind is EventKind.FTP and (event.method or "") in ("RETR", "STOR")]

    assert [(event.method, event.file_path, event.status) for event in found] == [
        ("RETR", "tool.bin", 226),
        ("STOR", "report.txt", 226),
    ]


@pytest.mark.parametrize(
    ("packets", "runs"),
    [
        (http(BODY), 0),
        (ftp_behind_a_gap(b"NOOP", b"PWD"), 0),
        (ftp_behind_a_gap(b"RETR tool.bin"), 1),
        ([*ftp_behind_a_gap(b"RETR tool.bin"), *tftp(elf(1_500)), *tcp(b"", elf())], 1),
    ],
    ids=["all carried", "no file named", "a file named", "all of it"],
)
def test_tshark_is_started_once_and_only_where_it_can_add(
    read: Read, tshark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packets: list[Packet], runs: int
) -> None:
    counted = []
    reading = capture_tshark.read

    def counting(*given: Any, **named: Any) -> Any:
        counted.append(given)
        return reading(*given, **named)

    monkeypatch.setattr(capture_tshark, "read", counting)
    events, _ = read(save(tmp_path, pcap(sorted(packets, key=lambda packet: packet[0]))))

    assert len(counted) == runs
    if len(packets) > 30:
        assert {file.sha256 for file in rebuilt(events)} == {digest(elf(1_500)), digest(elf())}
