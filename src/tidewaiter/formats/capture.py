"""Packet captures: what they are, how many packets they hold and where they are damaged. Only the headers of records are read.

Sources: the Internet drafts "PCAP Capture File Format" (draft-ietf-opsawg-pcap) and "PCAP Now Generic Dump File Format"
(draft-ietf-opsawg-pcapng). What the packets say is the work of the packet engine, never of this module.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidewaiter.schema.account import PLACES_KEPT, Damage

LONGEST_PACKET = 262_144
"""The longest packet that libpcap takes, whatever the file's snapshot length says."""
LONGEST_BLOCK = 16 << 20
SEARCHED = 1 << 18
"""How far behind a damaged record a sound one is looked for, in bytes."""

MAPPED = 32 << 20
"""How much of a file stays mapped behind the place that is read, in bytes: memory must not grow with the capture."""

_PCAP_HEADER, _PCAPNG_LEAST = 24, 28
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED, _OLD_PACKET, _SECRETS = 0x0A0D0D0A, 1, 3, 6, 2, 10
_LEAST_OF_BLOCK = {_SIMPLE: 16, _ENHANCED: 32, _OLD_PACKET: 32}
# The first bytes of a file -> byte order, ticks of a second, bytes of a record's header. The last two are Kuznetzov's variant.
_PCAP = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000, 16),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000, 16),
    b"\xa1\xb2\xcd\x34": (">", 1_000_000, 24),
    b"\x34\xcd\xb2\xa1": ("<", 1_000_000, 24),
}
_PCAPNG_ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}


class Packet(msgspec.Struct, gc=False):
    """Where one packet lies, and what its record says of it. `time` is in microseconds since 1970."""

    start: int
    length: int
    original: int
    time: int
    link: int


class Capture(msgspec.Struct):
    """What the headers of a capture say. `links` counts packets by link type; `resumed`: sound records lie behind damage."""

    container: str
    packets: int = 0
    links: dict[int, int] = {}
    damage: list[Damage] = []
    damaged: int = 0
    resumed: bool = False
    secrets: int = 0  # blocks with TLS keys

    def damage_at(self, offset: int, problem: str) -> None:
        """Count a damaged record."""
        self.damaged += 1
        if len(self.damage) < PLACES_KEPT:
            self.damage.append(Damage(f"byte {offset}", problem))


def recognise(head: bytes) -> str | None:
    """Which kind of capture the first bytes of a file are, in words, or None. Never raises."""
    if head[:4] in _PCAP and len(head) >= _PCAP_HEADER:
        order, ticks, _ = _PCAP[head[:4]]
        major = struct.unpack_from(order + "H", head, 4)[0]
        if major not in (1, 2):
            return None
        return f"pcap {major}, {_endian(order)}, {'nano' if ticks > 1_000_000 else 'micro'}seconds"
    if head[:4] == b"\x0a\x0d\x0d\x0a" and head[8:12] in _PCAPNG_ORDER and len(head) >= _PCAPNG_LEAST:
        return f"pcapng, {_endian(_PCAPNG_ORDER[head[8:12]])}"
    return None


def _endian(order: str) -> str:
    return "big-endian" if order == ">" else "little-endian"


def survey(path: Path) -> Capture:
    """Walk the headers of all records of a capture. Raises OSError where the file cannot be read.

    Damage is counted with its place, and reading goes on at the next sound record within SEARCHED bytes, if there is one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] in _PCAP:
            return _PcapWalk(data, Capture("pcap")).count()
        capture = Capture("pcapng")
        for packet in _PcapngWalk(data, capture).packets():
            capture.packets += 1
            capture.links[packet.link] = capture.links.get(packet.link, 0) + 1
        return capture


def packets(data: mmap.mmap) -> Iterator[Packet]:
    """Every sound packet of a capture, in the order of the file."""
    walk = _PcapWalk(data, Capture("pcap")) if data[:4] in _PCAP else _PcapngWalk(data, Capture("pcapng"))
    return walk.packets()


def forget(data: mmap.mmap, position: int) -> int:
    """Let go of the pages before a place; returns the place at which to do so again."""
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED, 0, position // mmap.PAGESIZE * mmap.PAGESIZE)
    return position + MAPPED


class _PcapWalk:
    """The records of a pcap file: each a header of time, length and original length, then the packet."""

    def __init__(self, data: mmap.mmap, capture: Capture) -> None:
        self.data = data
        self.capture = capture
        self.order, self.ticks, self.header = _PCAP[data[:4]]
        self.link = struct.unpack_from(self.order + "I", data, 20)[0] & 0xFFFF if len(data) >= _PCAP_HEADER else -1
        self.record = struct.Struct(self.order + "IIII")

    def count(self) -> Capture:
        """Count the packets and the damage."""
        length_at = struct.Struct(self.order + "I").unpack_from
        data, header, end = self.data, self.header, len(self.data)
        position, count, last, full = _PCAP_HEADER, 0, end - self.header, MAPPED
        while position <= last:
            if position > full:
                full = forget(data, position)
            length = length_at(data, position + 8)[0]
            following = position + header + length
            if length > LONGEST_PACKET or following > end:
                found = self._resume(position)
                if found is None:
                    position = end
                    break
                position = found
                continue
            position = following
            count += 1
        if position < end:
            self.capture.damage_at(position, f"record header cut off after {end - position} bytes")
        self.capture.packets = count
        self.capture.links = {self.link: count} if count else {}
        return self.capture

    def packets(self) -> Iterator[Packet]:
        """Every sound packet; a last one that is cut off is left out."""
        position, end, full = _PCAP_HEADER, len(self.data), MAPPED
        divisor = self.ticks // 1_000_000
        while position + self.header <= end:
            if position > full:
                full = forget(self.data, position)
            seconds, ticks, length, original = self.record.unpack_from(self.data, position)
            start = position + self.header
            if length > LONGEST_PACKET or start + length > end:
                found = self._resume(position)
                if found is None:
                    return
                position = found
                continue
            yield Packet(start, length, original, seconds * 1_000_000 + ticks // divisor, self.link)
            position = start + length

    def _resume(self, position: int) -> int | None:
        """Where the next sound record is: one that a second sound one, or the end of the file, follows. Counts the damage."""
        length = self.record.unpack_from(self.data, position)[2]
        if length <= LONGEST_PACKET:
            problem = f"packet of {length} bytes, the file ends after {len(self.data) - position - self.header}"
            found = None
        else:
            problem = f"record says {length} bytes, more than a packet has"
            found = self._search(position)
        self.capture.damage_at(position, problem)
        if found is not None:
            self.capture.resumed = True
        return found

    def _search(self, position: int) -> int | None:
        before = self.record.unpack_from(self.data, position)[0]
        for start in range(position + 1, min(position + SEARCHED, len(self.data) - self.header)):
            following = self._sound(start, before)
            if following is not None and (following == len(self.data) or self._sound(following, before) is not None):
                return start
        return None

    def _sound(self, position: int, about: int) -> int | None:
        """The end of a record whose header can be true: a length that packets have, a time near the others'."""
        if position + self.header > len(self.data):
            return None
        seconds, ticks, length, original = self.record.unpack_from(self.data, position)
        end = position + self.header + length
        sound = 0 < length <= min(original, LONGEST_PACKET) and original <= LONGEST_PACKET and end <= len(self.data)
        return end if sound and ticks < self.ticks and abs(seconds - about) < 7 * 86_400 else None


class _PcapngWalk:
    """The blocks of a pcapng file. Interfaces are numbered anew in every section."""

    def __init__(self, data: mmap.mmap, capture: Capture) -> None:
        self.data = data
        self.capture = capture
        self.order = "<"
        self.interfaces: list[tuple[int, int, int]] = []  # link type, snapshot length, ticks of a second

    def packets(self) -> Iterator[Packet]:
        """Every sound packet; blocks of no packet are taken in or passed over."""
        position, end, told, full = 0, len(self.data), False, MAPPED
        while position < end:
            if position > full:
                full = forget(self.data, position)
            size = self._size(position)
            if isinstance(size, str):
                if not told:
                    self.capture.damage_at(position, size)
                found = self.data.find(b"\x0a\x0d\x0d\x0a", position + 4, position + SEARCHED)
                if found < 0:
                    return
                position, told = found, True
                continue
            kind = self._kind(position)
            packet = self._take(kind, position, size)
            if isinstance(packet, str):
                self.capture.damage_at(position, packet)
            elif packet is not None:
                self.capture.resumed = self.capture.resumed or told
                yield packet
            position += size

    def _kind(self, position: int) -> int:
        return int(struct.unpack_from(self.order + "I", self.data, position)[0])

    def _size(self, position: int) -> int | str:
        """The size of a block in bytes, or what is wrong with it."""
        left = len(self.data) - position
        if left < 12:
            return f"block header cut off after {left} bytes"
        if self.data[position : position + 4] == b"\x0a\x0d\x0d\x0a":
            order = _PCAPNG_ORDER.get(self.data[position + 8 : position + 12])
            if order is None:
                return "section without a byte order"
            self.order = order
        size: int = struct.unpack_from(self.order + "I", self.data, position + 4)[0]
        if size < 12 or size % 4 or size > LONGEST_BLOCK:
            return f"block says {size} bytes"
        if size > left:
            return f"block of {size} bytes, the file ends after {left}"
        if struct.unpack_from(self.order + "I", self.data, position + size - 4)[0] != size:
            return "the two sizes of the block differ"
        return size

    def _take(self, kind: int, position: int, size: int) -> Packet | str | None:
        """The packet of a block, what is wrong with it, or None for a block that holds none."""
        unpack, data = struct.unpack_from, self.data
        if size < _LEAST_OF_BLOCK.get(kind, 0):
            return f"packet block of {size} bytes"
        if kind == _SECTION:
            self.interfaces = []
        elif kind == _INTERFACE and size >= 20:
            link, _, snap = unpack(self.order + "HHI", data, position + 8)
            self.interfaces.append((link, snap, self._ticks(position + 16, position + size - 4)))
        elif kind == _SECRETS:
            self.capture.secrets += 1
        elif kind in (_ENHANCED, _OLD_PACKET):
            layout = "IIIII" if kind == _ENHANCED else "HHIIII"
            values = unpack(self.order + layout, data, position + 8)
            interface, (high, low, length, original) = values[0], values[-4:]
            if interface >= len(self.interfaces):
                return f"packet of interface {interface}, which is not described"
            link, _, ticks = self.interfaces[interface]
            if length > size - 32 or length > LONGEST_PACKET:
                return f"packet of {length} bytes in a block of {size}"
            return Packet(position + 28, length, original, ((high << 32) + low) * 1_000_000 // ticks, link)
        elif kind == _SIMPLE:
            if not self.interfaces:
                return "packet without an interface"
            link, snap, _ = self.interfaces[0]
            original = unpack(self.order + "I", data, position + 8)[0]
            return Packet(position + 12, min(original, snap or original, size - 16), original, 0, link)
        return None

    def _ticks(self, position: int, end: int) -> int:
        """The resolution of an interface's times, from its option if_tsresol."""
        while position + 4 <= end:
            code, length = struct.unpack_from(self.order + "HH", self.data, position)
            if code == 0:
                break
            if code == 9 and length == 1 and position + 5 <= end:
                value = self.data[position + 4]
                exponent = value & 0x7F
                return 1 << min(exponent, 62) if value & 0x80 else int(10 ** min(exponent, 18))
            position += 4 + (length + 3) // 4 * 4
        return 1_000_000
