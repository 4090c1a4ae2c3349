"""Copying the readable packets of a capture into plain pcap files, for engines that refuse the original.

One file per link type, because a pcap file has one. Bytes of packets are copied as they are; only Linux cooked captures of
version 2 get the header of version 1, which holds the same fields in another order.

Source: the registry of link types at tcpdump.org ("LINKTYPE_LINUX_SLL", "LINKTYPE_LINUX_SLL2").
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tidewaiter.formats import capture
from tidewaiter.formats.capture import Packet

RAW, SLL, SLL2 = 101, 113, 276
ETHERNET = 1
MOST_LINKS = 8
HEADERS = 200
"""How far into a packet the headers may reach, tunnels included, in bytes."""

_PLAIN = b"\x08\x00\x45"  # Ethernet, then IPv4 without options: the ports are at byte 34
_PORTS_AT_LEAST = 38

_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")


def copy_readable(path: Path, folder: Path, links: frozenset[int], strip: Mapping[int, int]) -> list[Path]:
    """Write the packets of the wanted link types to `folder`; returns a file per link type, in order of appearance.

    Of the link types in `strip` so many bytes are dropped, which leaves IP.

    Raises OSError where the file cannot be read or written.
    """
    written: dict[int, tuple[Path, IO[bytes]]] = {}
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        for packet in capture.packets(data):
            link = packet.link
            if link not in links and link not in strip and link != SLL2:
                continue
            content = data[packet.start : packet.start + packet.length]
            original = packet.original
            if link == SLL2:
                if len(content) < 20:
                    continue
                link, content, original = SLL, _older_cooked(content), original - 4
            elif link in strip:
                content, original, link = content[strip[link] :], original - strip[link], RAW
            if link not in written:
                if len(written) == MOST_LINKS:
                    continue
                target = folder / f"link-{link}.pcap"
                written[link] = target, stack.enter_context(target.open("wb"))
                written[link][1].write(_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, capture.LONGEST_PACKET, link))
            seconds, micro = divmod(max(packet.time, 0), 1_000_000)
            out = written[link][1]
            out.write(_RECORD.pack(seconds & 0xFFFFFFFF, micro, len(content), max(original, len(content))))
            out.write(content)
    return [target for target, _ in written.values()]


class Between:
    """Tells which packets can belong to flows between pairs of ports: more than the flows and fragments, never less."""

    def __init__(self, ports: Iterable[tuple[int, int]]) -> None:
        self._wanted = {struct.pack(">HH", *pair) for first, second in ports for pair in ((first, second), (second, first))}
        self._anywhere = re.compile(b"|".join(map(re.escape, sorted(self._wanted))), re.DOTALL)

    def of(self, data: mmap.mmap) -> Iterator[Packet]:
        """The packets of a capture that can belong to the flows, in the order of the file."""
        wanted, anywhere = self._wanted, self._anywhere
        for packet in capture.packets(data):
            head = data[packet.start : packet.start + min(packet.length, HEADERS)]
            if packet.link == ETHERNET and head[12:15] == _PLAIN and not (head[20] & 0x3F or head[21]):
                if head[34:38] not in wanted:
                    continue
            elif len(head) > _PORTS_AT_LEAST and head[12:15] != _PLAIN and not anywhere.search(head):
                continue
            yield packet


def copy_between(path: Path, target: Path, ports: Iterable[tuple[int, int]], most: int) -> int:
    """Write the packets that can belong to flows between pairs of ports, and fragments; returns the bytes written.

    The capture must be of one link type. Stops behind `most` bytes. Raises OSError where the file cannot be read or written.
    """
    size = _HEADER.size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, target.open("wb") as out:
        for number, packet in enumerate(Between(ports).of(data)):
            if not number:
                out.write(_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, capture.LONGEST_PACKET, packet.link))
            seconds, micro = divmod(max(packet.time, 0), 1_000_000)
            out.write(_RECORD.pack(seconds & 0xFFFFFFFF, micro, packet.length, max(packet.original, packet.length)))
            out.write(data[packet.start : packet.start + packet.length])
            size += _RECORD.size + packet.length
            if size > most:
                break
    return size


def any_between(path: Path, ports: Iterable[tuple[int, int]], word: re.Pattern[bytes], after: int) -> bool:
    """Whether a packet that can belong to flows between pairs of ports holds a word, not before `after` (microseconds).

    Interfaces of pcapng may count from another time, so there `after` means nothing. Raises OSError as `copy_between` does.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        timed = data[:4] != b"\x0a\x0d\x0d\x0a"
        return any(
            word.search(data, packet.start, packet.start + packet.length) is not None
            for packet in Between(ports).of(data)
            if not timed or packet.time >= after
        )


def _older_cooked(content: bytes) -> bytes:
    protocol, _, _, hardware, kind, length, address = struct.unpack_from(">HHIHBB8s", content)
    return struct.pack(">HHH8sH", kind, hardware, length, address, protocol) + content[20:]
