"""Headers of captures: counting, damage, copying; nothing here needs a packet engine."""

from __future__ import annotations

import mmap
import random
import struct
from pathlib import Path

import pytest

from captures import writer
from captures.writer import ETHERNET, RAW, http, pcap, pcapng, save, tcp
from tidewaiter.formats import capture, capture_copy

PACKETS = http(b"x" * 5_000)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (pcap(PACKETS), "pcap 2, little-endian, microseconds"),
        (pcap(PACKETS, order=">", nano=True), "pcap 2, big-endian, nanoseconds"),
        (pcapng([(ETHERNET, PACKETS)]), "pcapng, little-endian"),
        (b"\xd4\xc3\xb2\xa1\x09\x00\x04\x00" + bytes(16), None),
        (b"\xd4\xc3\xb2\xa1\x02\x00", None),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), None),
        (b"", None),
    ],
)
def test_captures_are_recognised_by_their_first_bytes(data: bytes, why: str | None) -> None:
    assert capture.recognise(data) == why


@pytest.mark.parametrize("order", ["<", ">"])
def test_packets_are_counted_by_link_type(tmp_path: Path, order: str) -> None:
    plain = capture.survey(save(tmp_path, pcap(PACKETS, order=order)))
    mixed = capture.survey(save(tmp_path, pcapng([(ETHERNET, PACKETS), (RAW, PACKETS[:3])], order=order)))

    assert (plain.packets, plain.links, plain.damaged) == (len(PACKETS), {ETHERNET: len(PACKETS)}, 0)
    assert (mixed.packets, mixed.links, mixed.damaged) == (len(PACKETS) + 3, {ETHERNET: len(PACKETS), RAW: 3}, 0)


def test_pcapng_times_follow_the_resolution_of_the_interface(tmp_path: Path) -> None:
    path = save(tmp_path, pcapng([(ETHERNET, PACKETS)]))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        times = [packet.time for packet in capture.packets(data)]

    assert times == [time for time, _ in PACKETS]


def test_a_record_longer_than_a_packet_is_named_and_passed_over(tmp_path: Path) -> None:
    before = pcap(PACKETS[:5])
    bad = struct.pack("<IIII", writer.START // 1_000_000, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    found = capture.survey(save(tmp_path, before + bad + b"\xee" * 99 + pcap(PACKETS[5:])[24:]))

    assert (found.packets, found.damaged, found.resumed) == (len(PACKETS), 1, True)
    assert found.damage[0].place == f"byte {len(before)}"
    assert "more than a packet has" in found.damage[0].problem


@pytest.mark.parametrize("make", [pcap, lambda packets: pcapng([(ETHERNET, packets)])], ids=["pcap", "pcapng"])
def test_a_capture_cut_anywhere_is_walked_to_the_cut(tmp_path: Path, make: object) -> None:
    data: bytes = make(PACKETS[:6])  # type: ignore[operator]
    whole = capture.survey(save(tmp_path, data)).packets
    assert whole == 6
    counts = []
    for cut in range(28, len(data)):
        found = capture.survey(save(tmp_path, data[:cut]))
        counts.append(found.packets)
        assert found.damaged <= 1
        assert found.packets < 6
    assert counts == sorted(counts)


def test_mutated_captures_never_raise(tmp_path: Path) -> None:
    chance = random.Random(7)
    for data in (pcap(PACKETS), pcapng([(ETHERNET, PACKETS), (RAW, PACKETS)])):
        for _ in range(60):
            broken = bytearray(data)
            for _ in range(chance.randrange(1, 6)):
                place = chance.randrange(24, len(broken))
                broken[place : place + 4] = chance.choice([bytes(4), b"\xff" * 4, chance.randbytes(4)])
            path = save(tmp_path, bytes(broken))
            found = capture.survey(path)
            assert found.packets == sum(found.links.values())
            folder = tmp_path / "copies"
            folder.mkdir(exist_ok=True)
            for copy in capture_copy.copy_readable(path, folder, frozenset({ETHERNET, RAW}), {}):
                assert capture.survey(copy).damaged == 0


def test_only_packets_between_the_ports_are_copied(tmp_path: Path) -> None:
    other = tcp(b"hello\n", b"hello\n", 4000)
    tagged = [(when, packet) for when, packet in tcp(b"a", b"b", 4001)]
    path = save(tmp_path, pcap(PACKETS + other + tagged))
    target = tmp_path / "thin.pcap"
    size = capture_copy.copy_between(path, target, {(40_000, 4000)}, 1 << 30)

    assert capture.survey(target).packets == len(other)
    assert size == target.stat().st_size


def test_packets_of_other_links_are_found_by_their_ports_too(tmp_path: Path) -> None:
    other = tcp(b"hello\n", b"hello\n", 4000)
    path = save(tmp_path, pcap(PACKETS + other, link=RAW))
    target = tmp_path / "thin.pcap"
    capture_copy.copy_between(path, target, {(4000, 40_000)}, 1 << 30)

    assert capture.survey(target).packets == len(other)
