"""A small writer of EVTX files for tests: one template for each set of data names, text values, 64 KiB chunks.

Format: [MS-EVEN6] BinXml and the published descriptions of the file; only what the reader needs to meet is written.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

CHUNK = 65_536
HEADER = 4096
FIRST_RECORD = 512
STRING, BYTE, SHORT, KEYWORDS, FILETIME, NUMBER = 0x01, 0x04, 0x06, 0x15, 0x11, 0x0A


@dataclass
class Entry:
    """One event to be written. `time` is ISO 8601; unnamed values have names of digits only."""

    provider: str
    event_id: int
    record_id: int
    data: dict[str, str] = field(default_factory=dict)
    time: str = "2026-03-01T10:00:00+00:00"
    computer: str = "ws01.example.com"
    channel: str = "Test/Operational"


def filetime(text: str) -> int:
    moment = datetime.fromisoformat(text) - datetime(1601, 1, 1, tzinfo=UTC)
    return (moment.days * 86_400 + moment.seconds) * 10_000_000 + moment.microseconds * 10


class BinXml:
    """Tokens with the position they will have in the chunk, which names need."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.bytes = bytearray(b"\x0f\x01\x01\x00")

    def name(self, text: str) -> None:
        position = self.start + len(self.bytes) + 4
        self.bytes += struct.pack("<IIHH", position, 0, 0, len(text)) + text.encode("utf-16-le") + b"\0\0"

    def open(self, name: str, attributes: dict[str, str] | None = None) -> int:
        self.bytes += struct.pack("<BHI", 0x41 if attributes else 0x01, 0xFFFF, 0)
        size_at = len(self.bytes) - 4
        self.name(name)
        if attributes:
            list_at = len(self.bytes)
            self.bytes += b"\0\0\0\0"
            for number, (key, value) in enumerate(attributes.items(), 1):
                self.bytes.append(0x06 if number == len(attributes) else 0x46)
                self.name(key)
                self.value(value)
            struct.pack_into("<I", self.bytes, list_at, len(self.bytes) - list_at - 4)
        self.bytes.append(0x02)
        return size_at

    def value(self, text: str) -> None:
        if text.startswith("%"):
            index, kind = text[1:].split(":")
            self.bytes += struct.pack("<BHB", 0x0D, int(index), int(kind))
        else:
            self.bytes += struct.pack("<BBH", 0x05, STRING, len(text)) + text.encode("utf-16-le")

    def close(self, size_at: int) -> None:
        self.bytes.append(0x04)
        struct.pack_into("<I", self.bytes, size_at, len(self.bytes) - size_at - 4)

    def element(self, name: str, text: str, attributes: dict[str, str] | None = None) -> None:
        opened = self.open(name, attributes)
        if text:
            self.value(text)
        self.close(opened)


FIXED = (BYTE, BYTE, SHORT, SHORT, BYTE, KEYWORDS, FILETIME, NUMBER, STRING, STRING)


def template(entry: Entry, start: int) -> bytes:
    xml = BinXml(start)
    event = xml.open("Event")
    system = xml.open("System")
    xml.element("Provider", "", {"Name": entry.provider})
    for name, index in (("EventID", 3), ("Version", 4), ("Level", 0), ("Task", 2), ("Opcode", 1), ("Keywords", 5)):
        xml.element(name, f"%{index}:{FIXED[index]}")
    xml.element("TimeCreated", "", {"SystemTime": f"%6:{FILETIME}"})
    xml.element("EventRecordID", f"%7:{NUMBER}")
    xml.element("Channel", f"%8:{STRING}")
    xml.element("Computer", f"%9:{STRING}")
    xml.close(system)
    data = xml.open("EventData")
    for index, name in enumerate(entry.data, len(FIXED)):
        xml.element("Data", f"%{index}:{STRING}", None if name.isdigit() else {"Name": name})
    xml.close(data)
    xml.close(event)
    return bytes(xml.bytes) + b"\0"


def values(entry: Entry) -> bytes:
    text = [value.encode("utf-16-le") for value in (entry.channel, entry.computer, *entry.data.values())]
    parts = [
        b"\x04",
        b"\x00",
        b"\x01\x00",
        struct.pack("<H", entry.event_id),
        b"\x05",
        struct.pack("<Q", 1 << 63),
        struct.pack("<Q", filetime(entry.time)),
        struct.pack("<Q", entry.record_id),
        *text,
    ]
    kinds = [*FIXED, *[STRING] * len(entry.data)]
    heads = b"".join(struct.pack("<HBB", len(part), kind, 0) for part, kind in zip(parts, kinds, strict=True))
    return struct.pack("<I", len(parts)) + heads + b"".join(parts)


def chunk(entries: list[Entry], first: int) -> bytes:
    """As many of the entries as given; raises ValueError where they do not fit. Records are numbered from `first`."""
    body = bytearray(FIRST_RECORD)
    templates: dict[tuple[str, ...], int] = {}
    last_at = FIRST_RECORD
    for number, entry in enumerate(entries, first):
        last_at = len(body)
        key = (entry.provider, *entry.data)
        at = last_at + 24 + 14
        instance = b"\x0f\x01\x01\x00\x0c\x01"
        if key in templates:
            instance += struct.pack("<II", 1, templates[key])
        else:
            templates[key] = at
            definition = template(entry, at + 24)
            name = uuid.uuid5(uuid.NAMESPACE_URL, "|".join(key)).bytes_le
            instance += struct.pack("<II", 1, at) + struct.pack("<I16sI", 0, name, len(definition)) + definition
        content = instance + values(entry)
        size = 24 + len(content) + 4
        size += -size % 8
        head = struct.pack("<4sIQQ", b"**\0\0", size, number, filetime(entry.time))
        body += (head + content).ljust(size - 4, b"\0") + struct.pack("<I", size)
    if len(body) > CHUNK:
        raise ValueError("too many events for one chunk")
    last = first + len(entries) - 1
    struct.pack_into("<8sQQQQIIII", body, 0, b"ElfChnk\0", first, last, first, last, 128, last_at, len(body), 0)
    return bytes(body).ljust(CHUNK, b"\0")


def evtx(entries: list[Entry], per_chunk: int = 50) -> bytes:
    """A whole file."""
    chunks = [chunk(entries[start : start + per_chunk], start + 1) for start in range(0, len(entries), per_chunk)]
    header = struct.pack(
        "<8sQQQIHHHH", b"ElfFile\0", 0, max(len(chunks) - 1, 0), len(entries) + 1, 128, 1, 3, HEADER, len(chunks)
    )
    return header.ljust(HEADER, b"\0") + b"".join(chunks)
