"""A capture as a site's sensor sees it: names that are asked for, encrypted sites, pages, downloads. Everything is made up."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from captures.writer import START, Conversation, Packet, pcap, udp

_WORDS = ("account", "report", "quarter", "invoice", "meeting", "plan", "budget", "review", "status", "draft", "customer")
_INSIDE, _OUTSIDE = "192.0.2.{}", "198.51.100.{}"
_RESOLVER = ("192.0.2.1", 53)


class _Site:
    """One site: numbers are drawn from a seed, so that the capture is the same each time."""

    def __init__(self) -> None:
        self.random = random.Random(7)
        self.flows = 0

    def conversation(self, port: int) -> Conversation:
        self.flows += 1
        return Conversation(
            port, source=_INSIDE.format(10 + self.flows % 200), target=_OUTSIDE.format(1 + self.flows % 250),
            source_port=20_000 + self.flows % 40_000, time=START + self.flows * 40_000,
        )  # fmt: skip

    def lookup(self) -> list[Packet]:
        """A name is asked for and answered."""
        self.flows += 1
        name = b"".join(bytes([len(part)]) + part for part in (b"w%d" % self.random.randrange(900), b"example", b"com")) + b"\0"
        asked = struct.pack(">HHHHHH", self.flows & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1"
        answer = struct.pack(">HHHHHH", self.flows & 0xFFFF, 0x8180, 1, 1, 0, 0) + name + b"\0\1\0\1"
        answer += b"\xc0\x0c\0\1\0\1" + struct.pack(">IH4B", 300, 4, 198, 51, 100, 1 + self.flows % 250)
        client, time = (_INSIDE.format(10 + self.flows % 200), 20_000 + self.flows % 40_000), START + self.flows * 40_000
        return [(time, udp(client, _RESOLVER, asked)), (time + 900, udp(_RESOLVER, client, answer))]

    def page(self) -> list[Packet]:
        """One connection over which some small files of text come."""
        talk = self.conversation(80)
        for number in range(self.random.randrange(1, 6)):
            size = self.random.randrange(200, 12_000)
            text = " ".join(self.random.choice(_WORDS) for _ in range(size // 8)).encode()
            self._exchange(talk, f"/pages/{self.flows}/{number}.html", "text/html", text)
        return talk.close()

    def download(self) -> list[Packet]:
        """One file of some size, as archives and pictures are: bytes of no order."""
        talk = self.conversation(80)
        content = b"PK\x03\x04" + self.random.randbytes(self.random.randrange(100_000, 1_200_000))
        self._exchange(talk, f"/files/{self.flows}.zip", "application/zip", content)
        return talk.close()

    def _exchange(self, talk: Conversation, path: str, kind: str, content: bytes) -> None:
        host = f"files{self.flows % 60}.example.org"
        talk.client(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: browser/1\r\nAccept: */*\r\n\r\n".encode())
        head = f"HTTP/1.1 200 OK\r\nServer: web\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        talk.server(head.encode() + content)

    def encrypted(self) -> list[Packet]:
        """A TLS connection: greetings, then records of no order."""
        talk = self.conversation(443)
        name = b"www%d.example.net" % (self.flows % 300)
        listed = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
        extensions = struct.pack(">HH", 0, len(listed)) + listed
        hello = b"\x03\x03" + self.random.randbytes(32) + b"\0" + b"\0\x04\x13\x01\xc0\x2f" + b"\x01\0"
        talk.client(_record(22, _message(1, hello + struct.pack(">H", len(extensions)) + extensions)))
        talk.server(_record(22, _message(2, b"\x03\x03" + self.random.randbytes(32) + b"\0\xc0\x2f\0")))
        for _ in range(self.random.randrange(1, 5)):
            talk.client(_record(23, self.random.randbytes(self.random.randrange(100, 900))))
            talk.server(_record(23, self.random.randbytes(self.random.randrange(500, 16_000))))
        return talk.close()


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack(">BHH", kind, 0x0303, len(body)) + body


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack(">I", kind << 24 | len(body)) + body


def site(path: Path, size: int) -> None:
    """Write a capture of about `size` bytes: half of it downloads, a third encrypted, the rest pages and names."""
    made = _Site()

    def flows() -> Iterator[list[Packet]]:
        shares: list[tuple[Callable[[], list[Packet]], float]] = [
            (made.download, 0.5), (made.encrypted, 0.33), (made.page, 0.14), (made.lookup, 0.03),
        ]  # fmt: skip
        left = [size * share for _, share in shares]
        while any(part > 0 for part in left):
            for place, (make, share) in enumerate(shares):
                while left[place] > 0 and left[place] / share >= max(left[at] / shares[at][1] for at in range(len(left))):
                    packets = make()
                    left[place] -= sum(len(packet) + 30 for _, packet in packets)
                    yield packets

    packets = [packet for flow in flows() for packet in flow]
    packets.sort(key=lambda packet: packet[0])
    path.write_bytes(pcap(packets))
