"""Writes small packet captures: conversations over TCP and UDP with true sequence numbers and checksums."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path

CLIENT, SERVER = "192.0.2.10", "198.51.100.20"
START = 1_700_000_000_000_000
SEGMENT = 1400
ETHERNET, RAW, LOOP, SLL, SLL2 = 1, 101, 108, 113, 276

Packet = tuple[int, bytes]  # microseconds since 1970, the packet from its IP header on


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    src, dst = ip_address(source).packed, ip_address(target).packed
    if len(src) == 16:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + src + dst + payload
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0, src, dst)
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def pseudo(source: str, target: str, protocol: int, length: int) -> bytes:
    src, dst = ip_address(source).packed, ip_address(target).packed
    return (
        src
        + dst
        + struct.pack(">II" if len(src) == 16 else ">HH", *((length, protocol) if len(src) == 16 else (protocol, length)))
    )


def udp(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    header = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0)
    summed = checksum(pseudo(source[0], target[0], 17, 8 + len(payload)) + header + payload)
    return ip(source[0], target[0], 17, header[:6] + struct.pack(">H", summed) + payload)


class Conversation:
    """One TCP connection. `client` and `server` send; `close` ends it; `packets` are what a sensor saw."""

    def __init__(
        self, port: int, *, source: str = CLIENT, target: str = SERVER, source_port: int = 40_000, time: int = START
    ) -> None:
        self.ends = ((source, source_port), (target, port))
        self.sent = [1_000, 5_000]
        self.time = time
        self.packets: list[Packet] = []
        self._segment(0, 0x02)
        self._segment(1, 0x12)
        self._segment(0, 0x10)

    def client(self, data: bytes) -> Conversation:
        return self._send(0, data)

    def server(self, data: bytes) -> Conversation:
        return self._send(1, data)

    def close(self) -> list[Packet]:
        self._segment(1, 0x11)
        self._segment(0, 0x11)
        self._segment(1, 0x10)
        return self.packets

    def _send(self, side: int, data: bytes) -> Conversation:
        for start in range(0, len(data), SEGMENT):
            self._segment(side, 0x18, data[start : start + SEGMENT])
            self._segment(1 - side, 0x10)
        return self

    def _segment(self, side: int, flags: int, data: bytes = b"") -> None:
        (source, source_port), (target, target_port) = self.ends[side], self.ends[1 - side]
        acknowledged = self.sent[1 - side] if flags & 0x10 else 0
        header = struct.pack(">HHIIBBHHH", source_port, target_port, self.sent[side], acknowledged, 5 << 4, flags, 65_535, 0, 0)
        summed = checksum(pseudo(source, target, 6, len(header) + len(data)) + header + data)
        packet = ip(source, target, 6, header[:16] + struct.pack(">H", summed) + header[18:] + data)
        self.packets.append((self.time, packet))
        self.sent[side] += len(data) + bool(flags & 0x03)
        self.time += 1_000


def http(
    body: bytes, *, path: str = "/file.bin", mime: str = "application/octet-stream", port: int = 80, agent: str = "test/1"
) -> list[Packet]:
    request = f"GET {path} HTTP/1.1\r\nHost: files.example.com\r\nUser-Agent: {agent}\r\n\r\n"
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: {mime}\r\nContent-Length: {len(body)}\r\n\r\n"
    return Conversation(port).client(request.encode()).server(answer.encode()).server(body).close()


def tcp(client: bytes, server: bytes, port: int = 4444) -> list[Packet]:
    conversation = Conversation(port)
    if client:
        conversation.client(client)
    if server:
        conversation.server(server)
    return conversation.close()


def tftp(content: bytes, name: str = "boot.bin", *, blocks: Sequence[int] | None = None) -> list[Packet]:
    """A read request and the blocks that answer it, in the order of their numbers (from 1), or those of `blocks` only."""
    client, server = (CLIENT, 40_001), (SERVER, 50_001)
    packets = [udp(client, (SERVER, 69), b"\0\1" + name.encode() + b"\0octet\0")]
    pieces = [content[start : start + 512] for start in range(0, len(content) + 1, 512)]
    for number in blocks or range(1, len(pieces) + 1):
        packets.append(udp(server, client, struct.pack(">HH", 3, number) + pieces[number - 1]))
        packets.append(udp(client, server, struct.pack(">HH", 4, number)))
    return [(START + position * 1_000, packet) for position, packet in enumerate(packets)]


def framed(packet: bytes, link: int) -> bytes:
    """The packet behind the header of a link type."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    if link == ETHERNET:
        return bytes.fromhex("020000000002020000000001") + struct.pack(">H", kind) + packet
    if link == SLL:
        return struct.pack(">HHH8sH", 0, 1, 6, bytes.fromhex("0200000000010000"), kind) + packet
    if link == SLL2:
        return struct.pack(">HHIHBB8s", kind, 0, 2, 1, 0, 6, bytes.fromhex("0200000000010000")) + packet
    return (struct.pack(">I", 2) if link == LOOP else b"") + packet


def pcap(packets: Iterable[Packet], *, link: int = ETHERNET, order: str = "<", nano: bool = False) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for time, packet in packets:
        data = framed(packet, link)
        seconds, micro = divmod(time, 1_000_000)
        out.append(struct.pack(order + "IIII", seconds, micro * (1000 if nano else 1), len(data), len(data)) + data)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(parts: Iterable[tuple[int, Iterable[Packet]]], order: str = "<") -> bytes:
    """One section; an interface for each part, of the link type given. Times are in nanoseconds."""
    parts = list(parts)
    out = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    for link, _ in parts:
        options = struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0)
        out.append(block(1, struct.pack(order + "HHI", link, 0, 262_144) + options, order))
    for number, (link, packets) in enumerate(parts):
        for time, packet in packets:
            data = framed(packet, link)
            high, low = divmod(time * 1_000, 1 << 32)
            out.append(block(6, struct.pack(order + "IIIII", number, high, low, len(data), len(data)) + data, order))
    return b"".join(out)


def save(folder: Path, data: bytes, name: str = "capture.pcap") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def pe(size: int = 2_000) -> bytes:
    """What begins like a program for Windows; nothing in it can run."""
    header = b"MZ" + bytes(58) + struct.pack("<I", 128) + b"This program is no program".ljust(64, b"\0")
    return (header + b"PE\0\0" + b"x" * size)[:size]


def elf(size: int = 2_000) -> bytes:
    """What begins like a program for Linux; nothing in it can run."""
    return (b"\x7fELF\x02\x01\x01" + bytes(9) + b"x" * size)[:size]
