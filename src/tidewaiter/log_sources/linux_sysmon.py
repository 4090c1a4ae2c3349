"""Sysmon for Linux: XML events inside syslog lines, one line or many, and bare XML files.

Format: the event manifest of Sysmon for Linux (github.com/microsoft/SysmonForLinux). The XML is taken apart by plain text
search: no entity but the five of XML and numeric ones means anything, and nothing nests. The accounting unit is an Event
element; lines outside events are counted as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape

from tidewaiter.formats.syslog import parse_iso
from tidewaiter.formats.text_lines import text, text_blocks
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

LONGEST_LINE = 8 << 20
"""Bytes of a line: a bare XML file may be one line."""

LONGEST_EVENT = 1 << 18
"""Bytes of one event; a longer one is damaged."""

_BELIEVED = 600_000_000  # microseconds: UtcTime further from the time of logging is a clock gone wrong
_START = re.compile(rb"<Event(?=[\s>#])")
_TAG = re.compile(rb"<(/?)Event(?=[\s>#])")
_ID = re.compile(rb"<EventID(?:\s[^<>]{0,100})?>\s{0,20}(\d{1,5})\s{0,20}</EventID>")
_TIME = re.compile(rb"SystemTime\s?=\s?[\"']([^\"'<>]{10,40})")
_COMPUTER = re.compile(rb"<Computer>([^<>]{1,300})</Computer>")
_RECORD = re.compile(rb"<EventRecordID>(\d{1,18})</EventRecordID>")
_DATA = re.compile(rb"""\s*Name\s?=\s?["']([^"'<>]{1,60})["']\s*>""")
_LINE_FEED = re.compile(r"#012|\n")


class Source:
    """Sysmon for Linux. See `log_source.StreamSource`."""

    title = "Sysmon for Linux"

    def recognise(self, head: bytes) -> str | None:
        """An event element whose provider is Sysmon for Linux, in text that is no binary file."""
        if b"Linux-Sysmon" in head and _START.search(head) is not None and b"\0" not in head[:512]:
            return "XML events of the provider Linux-Sysmon"
        return None

    @staticmethod
    def whole(data: bytes) -> int:
        """How many bytes of a growing log hold whole events: up to the line in which the last one ends."""
        end = data.rfind(b"</Event>")
        return data.find(b"\n", end) + 1 if end >= 0 else 0

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as = account.recognised_as or self.title
        batch: list[Event] = []
        seq: dict[int, int] = {}
        for line, xml in _elements(opened, account):
            event = self._event(xml, line, opened.log_file, account)
            if event is None:
                continue
            if line not in seq:
                seq = {line: -1}
            seq[line] += 1
            event.seq = seq[line]
            batch.append(event)
            if len(batch) == 2_000:
                account.made("linux_sysmon", [event.kind.value for event in batch])
                yield batch
                batch = []
        if batch:
            account.made("linux_sysmon", [event.kind.value for event in batch])
            yield batch

    def _event(self, xml: bytes, line: int, log_file: str, account: Account) -> Event | None:
        number, stamp = _ID.search(xml), _TIME.search(xml)
        logged = parse_iso(stamp[1]) if stamp else None
        if number is None or logged is None:
            account.damage_at(f"line {line}", "Sysmon event without its id or time")
            return None
        mapped = _MAPPED.get(int(number[1]))
        if mapped is None:
            account.skip(f"Sysmon event {int(number[1])}")
            return None
        account.parse()
        data = _data(xml)
        own = parse_iso(data.get("UtcTime", "").encode())
        computer, record = _COMPUTER.search(xml), _RECORD.search(xml)
        kind, fill = mapped
        event = Event(
            kind=kind,
            time=own if own is not None and abs(own - logged) < _BELIEVED else logged,
            log_source="linux_sysmon",
            log_file=log_file,
            record=str(line),
            host=unescape(text(computer[1])) if computer else None,
            user=data.get("User"),
            process_key=_key(data.get("ProcessGuid")),
            pid=_number(data.get("ProcessId")),
            process_path=data.get("Image"),
            extra={"event_record_id": int(record[1])} if record else None,
        )
        fill(event, data)
        return event


def _elements(opened: Opened, account: Account) -> Iterator[tuple[int, bytes]]:
    """The Event elements with the number of the line they begin on; counts what is outside of them."""
    parts: list[bytes] = []  # of an element that is not finished
    began, size, inside = 0, 0, False
    for block in text_blocks(opened.path, longest=LONGEST_LINE):
        for number, line in enumerate(block.data.split(b"\n"), block.number):
            start, used = 0, inside
            for tag in _TAG.finditer(line):
                if not tag[1]:
                    if inside:
                        account.damage_at(f"line {began}", "Sysmon event without its end")
                    began, size, inside, used, start = number, 0, True, True, tag.start()
                    parts = []
                elif inside:
                    parts.append(line[start : tag.end()])
                    yield began, b"\n".join(parts)
                    parts, inside, start = [], False, tag.end()
            if inside:
                parts.append(line[start:])
                size += len(line) - start
                if size > LONGEST_EVENT:
                    account.damage_at(f"line {began}", "Sysmon event without its end")
                    parts, inside = [], False
            if not used:
                account.skip("line outside a Sysmon event" if line.strip() else "blank line")
    if inside:
        account.damage_at(f"line {began}", "Sysmon event without its end")


def _data(xml: bytes) -> dict[str, str]:
    """The Data elements by name, those that say nothing ("-", empty) left out; the first of equal names counts."""
    found: dict[str, str] = {}
    for piece in xml.split(b"<Data")[1:101]:
        name = _DATA.match(piece)
        end = piece.find(b"</Data>")
        if name is not None and end >= 0:
            content = unescape(text(piece[name.end() : end]))
            if content not in ("", "-"):
                found.setdefault(text(name[1]), content)
    return found


def _number(content: str | None) -> int | None:
    return int(content) if content and len(content) < 19 and content.lstrip("-").isdecimal() and content.isascii() else None


def _key(guid: str | None) -> str | None:
    return guid.strip("{}").lower() if guid else None


def _hashes(event: Event, data: dict[str, str]) -> None:
    for part in data.get("Hashes", "").split(","):
        name, _, digest = part.partition("=")
        if name.upper() in ("SHA256", "SHA1", "MD5"):
            setattr(event, name.lower(), digest.lower() or None)


def _process_start(event: Event, data: dict[str, str]) -> None:
    event.session = data.get("TerminalSessionId")
    event.command_line = data.get("CommandLine")
    if event.command_line and "#012" in event.command_line:  # rsyslog writes a line feed so
        event.command_line = _LINE_FEED.sub("\n", event.command_line)
    event.cwd = data.get("CurrentDirectory")
    event.parent_key = _key(data.get("ParentProcessGuid"))
    event.parent_pid = _number(data.get("ParentProcessId"))
    event.parent_path = data.get("ParentImage")
    event.parent_command_line = data.get("ParentCommandLine")
    _hashes(event, data)


def _process_end(event: Event, data: dict[str, str]) -> None:
    event.exit_code = _number(data.get("ExitCode"))


def _connection(event: Event, data: dict[str, str]) -> None:
    event.src_ip, event.src_port = data.get("SourceIp"), _number(data.get("SourcePort"))
    event.dst_ip, event.dst_port = data.get("DestinationIp"), _number(data.get("DestinationPort"))
    event.src_host, event.dst_host = data.get("SourceHostname"), data.get("DestinationHostname")
    event.transport = data.get("Protocol", "").lower() or None
    initiated = data.get("Initiated", "").lower()
    event.initiated = initiated == "true" if initiated in ("true", "false") else None


def _file(event: Event, data: dict[str, str]) -> None:
    event.file_path = data.get("TargetFilename")
    _hashes(event, data)


_MAPPED: dict[int, tuple[EventKind, Callable[[Event, dict[str, str]], None]]] = {
    1: (EventKind.PROCESS_START, _process_start),
    2: (EventKind.FILE_MODE, _file),
    3: (EventKind.CONNECTION, _connection),
    5: (EventKind.PROCESS_END, _process_end),
    11: (EventKind.FILE_CREATE, _file),
    23: (EventKind.FILE_DELETE, _file),
    26: (EventKind.FILE_DELETE, _file),
    27: (EventKind.FILE_BLOCKED, _file),
    29: (EventKind.FILE_CREATE, _file),
}
