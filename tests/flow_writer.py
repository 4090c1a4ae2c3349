"""Export packets of NetFlow v5, v9 and IPFIX for tests. `python tests/flow_writer.py` writes the samples of the log source."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from pathlib import Path

EXPORTED = 1_726_041_600  # 2024-09-11 08:00:00 UTC
UPTIME = 100_000

Flow = tuple[str, str, int, int, int, int, int, int]  # src, dst, sport, dport, protocol, bytes, first and last in ms of uptime


def address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def v5(flows: Sequence[Flow], *, count: int | None = None, sampling: int = 0, uptime: int = UPTIME) -> bytes:
    header = struct.pack(
        ">HHIIIIBBH", 5, len(flows) if count is None else count, uptime, EXPORTED, 500_000_000, 1, 0, 0, sampling
    )
    return header + b"".join(
        address(src)
        + address(dst)
        + bytes(4)
        + struct.pack(">HHIIIIHHBBBBHHBBH", 1, 2, 3, size, first, last, sport, dport, 0, 0x1B, protocol, 0, 0, 0, 24, 24, 0)
        for src, dst, sport, dport, protocol, size, first, last in flows
    )


def sets(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, len(body) + 4) + body


def template(number: int, fields: Sequence[tuple[int, int] | tuple[int, int, int]]) -> bytes:
    body = struct.pack(">HH", number, len(fields))
    for field in fields:
        body += (
            struct.pack(">HH", field[0] | 0x8000, field[1]) + struct.pack(">I", field[2])
            if len(field) == 3
            else (struct.pack(">HH", *field))
        )
    return body


def v9(body: bytes, *, count: int = 1, domain: int = 7, uptime: int = UPTIME) -> bytes:
    return struct.pack(">HHIIII", 9, count, uptime, EXPORTED, 1, domain) + body


def ipfix(body: bytes, *, domain: int = 7) -> bytes:
    return struct.pack(">HHIII", 10, 16 + len(body), EXPORTED, 1, domain) + body


V9_FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (22, 4), (21, 4), (61, 1))


def v9_row(flow: Flow) -> bytes:
    src, dst, sport, dport, protocol, size, first, last = flow
    return address(src) + address(dst) + struct.pack(">HHBBIIIB", sport, dport, protocol, 0x1B, size, first, last, 0)


FLOWS: tuple[Flow, ...] = (
    ("192.0.2.21", "198.51.100.7", 50_000, 80, 6, 900, 90_000, 99_000),
    ("198.51.100.7", "192.0.2.21", 80, 50_000, 6, 1_884_648, 90_010, 98_990),
    ("192.0.2.21", "192.0.2.1", 40_000, 53, 17, 76, 99_500, 99_500),
    ("192.0.2.21", "203.0.113.9", 0, 2_048, 1, 84, 4_294_900_000, 4_294_900_500),  # before the clock of the exporter began anew
)


def sample_v5() -> bytes:
    return v5(FLOWS) + v5(FLOWS[:2], sampling=0x4064) + v5(FLOWS[:1])[:40] + b"\xff" * 5


def sample_v9() -> bytes:
    early = v9(sets(300, v9_row(FLOWS[0]) + v9_row(FLOWS[1])), count=2)  # its template comes later
    late = v9(sets(0, template(300, V9_FIELDS)) + sets(300, v9_row(FLOWS[2]) + b"\0\0"), count=2)
    options = sets(1, struct.pack(">HHH", 400, 4, 8) + struct.pack(">HHHHHH", 1, 4, 34, 4, 35, 1))
    firewall = template(
        301, ((148, 4), (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (233, 1), (323, 8), (231, 4), (232, 4), (40_000, 20))
    )
    row = (
        struct.pack(">I", 77)
        + address("192.0.2.31")
        + address("203.0.113.9")
        + struct.pack(">HHBBQII", 51_000, 443, 6, 2, EXPORTED * 1_000 - 250, 512, 90_000)
        + b"alice".ljust(20, b"\0")
    )
    denied = (
        struct.pack(">I", 78)
        + address("192.0.2.31")
        + address("203.0.113.66")
        + struct.pack(">HHBBQII", 51_001, 4_444, 6, 3, EXPORTED * 1_000, 0, 0)
        + bytes(20)
    )
    six = template(302, ((27, 16), (28, 16), (7, 2), (11, 2), (4, 1), (85, 3)))
    long = address("2001:db8::21") + address("2001:db8:1::7") + struct.pack(">HHB", 50_000, 80, 6) + (70_000).to_bytes(3, "big")
    unseen = sets(999, b"\1" * 20)
    return (
        early
        + late
        + v9(options + sets(400, struct.pack(">IIB", 1, 100, 2)), count=2)
        + v9(sets(0, firewall) + sets(301, row + denied) + unseen, count=4, domain=8)
        + v9(sets(0, six) + sets(302, long), count=2)
    )


def sample_ipfix() -> bytes:
    biflow = template(
        256,
        ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (85, 8), (85, 8, 29_305), (152, 8), (153, 8), (1, 0xFFFF, 9), (95, 0xFFFF)),
    )
    start = EXPORTED * 1_000
    row = (
        address("192.0.2.21")
        + address("198.51.100.7")
        + struct.pack(">HHBQQQQ", 50_000, 80, 6, 900, 1_884_648, start - 9_000, start - 500)
    )
    rows = row + b"\3abc" + b"\xff\0\4wxyz" + row + b"\0\0"
    ntp = template(257, ((27, 16), (28, 16), (8, 4), (12, 4), (4, 1), (1, 4), (154, 8), (162, 4)))
    moment = (EXPORTED + 2_208_988_800) << 32 | 1 << 31
    six = address("2001:db8::21") + address("2001:db8:1::7") + bytes(8) + struct.pack(">BIQI", 6, 512, moment, 2_000)
    four = bytes(32) + address("192.0.2.21") + address("198.51.100.7") + struct.pack(">BIQI", 17, 76, moment, 0)
    scope = sets(3, struct.pack(">HHH", 258, 2, 1) + struct.pack(">HHHH", 149, 4, 160, 8))
    return (
        ipfix(sets(2, biflow) + sets(256, rows))
        + ipfix(sets(2, ntp) + sets(257, six + four) + scope + sets(258, bytes(12)))
        + ipfix(sets(2, struct.pack(">HH", 256, 0)) + sets(256, rows))
        + ipfix(b"")[:14]
    )


if __name__ == "__main__":
    samples = Path(__file__).parent / "samples" / "netflow"
    for name, data in (("v5", sample_v5()), ("v9", sample_v9()), ("ipfix", sample_ipfix())):
        (samples / name).mkdir(parents=True, exist_ok=True)
        (samples / name / "input.dat").write_bytes(data)
