"""Suricata's EVE log (JSON lines): flow, http, fileinfo, ftp, ftp_data, smb, tftp, tls, dns, ssh and alert records.

Source: the Suricata user guide, "EVE JSON Format". `src` is the side that opened the connection: fileinfo records name the
sender first, so they are turned by what the flow's other records said, by the protocol, and last by the ports; `extra` keeps
who sent (`tx_hosts`, `rx_hosts`, `is_orig`). The time of a flow record is the start of the flow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from tidewaiter.formats.json_lines import decode_spelled, first_objects
from tidewaiter.formats.text_lines import LineBlock, line_blocks
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.suricata_eve.counting import TYPES, Counting
from tidewaiter.log_sources.suricata_eve.layout import NAME, Line, Reader
from tidewaiter.log_sources.suricata_eve.sessions import BUILDERS
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import COUNTS_KEPT, Batch, FlowRows, Needs
from tidewaiter.schema.event import Event
from tidewaiter.schema.tally import count_quiet, tally

BLOCK = 1 << 18

_TYPE = re.compile(rb'"event_type"\s*:\s*"([A-Za-z0-9_-]{1,40})"')
_PLAIN = b'"event_type":"'
_BEHIND = len(_PLAIN)
_KNOWN = {kind.encode(): kind for kind in BUILDERS}


class Source:
    """The stream log source of Suricata."""

    title = "Suricata EVE"

    def __init__(self) -> None:
        self._reader = Reader()
        self._decode = msgspec.json.Decoder(Line).decode
        self._counting: Counting | None = None

    def recognise(self, head: bytes) -> str | None:
        """JSON lines with event_type, a time and what only Suricata writes beside them."""
        for value in first_objects(head):
            if not isinstance(value.get("event_type"), str) or not isinstance(value.get("timestamp"), str):
                return None
            kind = value["event_type"]
            if "flow_id" in value or kind == "stats" or ("src_ip" in value and "dest_ip" in value):
                return f'JSON lines with "event_type":"{kind[:40]}", timestamp and flow_id'
        return None

    def spare(self, needs: Needs) -> None:
        """Count the flows, names, handshakes and alerts that nobody needs one by one."""
        self._counting = Counting(needs, self._reader.times)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events of each block of lines. Types that are not used are counted without decoding the line."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        counting = self._counting
        if counting is None:
            for block in line_blocks(opened.path, block=BLOCK):
                if events := self._events(enumerate(block.lines, block.number), block, opened.log_file, account):
                    yield tally(events, account)
            return
        try:
            for block in line_blocks(opened.path, block=BLOCK):
                yield self._spared(block, opened.log_file, account, counting)
        except OSError:
            yield Batch(counted=counting.counts.take())
            raise
        yield Batch(counted=counting.counts.take())

    def _spared(self, block: LineBlock, log_file: str, account: Account, counting: Counting) -> Batch:
        """The events of a block that are needed one by one, and the counts of the others."""
        lines, number = block.lines, block.number
        quiet: dict[bytes, list[int]] = {name.encode(): [] for name in TYPES}
        others: list[int] = []
        slot = quiet.get
        for place, line in enumerate(lines):
            start = line.find(_PLAIN) + _BEHIND
            slot(line[start : line.find(b'"', start)] if start >= _BEHIND else b"", others).append(place)
        batch = Batch()
        for name, places in quiet.items():
            found = None
            if places:
                numbers = [number + place for place in places]
                found = counting.quiet(name.decode(), [lines[place] for place in places], numbers)
            if found is None:
                others += places
                continue
            count_quiet(NAME, len(places), found, account)
            needed = [(numbers[place], lines[places[place]]) for place in found.needed]
            batch += tally(self._events(needed, block, log_file, account), account)
            if found.flows:
                batch.flows = FlowRows(NAME, log_file, found.flows)
        batch.counted = counting.counts.take(COUNTS_KEPT)
        others.sort()
        rest = [(number + place, lines[place]) for place in others]
        batch.add_uncounted(tally(self._events(rest, block, log_file, account), account))
        return batch

    def _events(self, lines: Iterable[tuple[int, bytes]], block: LineBlock, log_file: str, account: Account) -> list[Event]:
        events: list[Event] = []
        parsed = 0
        for number, line in lines:
            start = line.find(_PLAIN) + len(_PLAIN)
            kind = _KNOWN.get(line[start : line.find(b'"', start)]) if start >= len(_PLAIN) else None
            if kind is None:
                kind = self._unusual(line, number, block, account)
                if kind is None:
                    continue
            try:
                record = self._record(line)
                event = BUILDERS[kind](self._reader, record, log_file, str(number))
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                problem = "line too long" if number - block.number in block.cut else str(error)
                account.damage_at(f"line {number}", problem)
                continue
            if isinstance(event, str):
                account.skip(event)
                continue
            events.append(event)
            parsed += 1
        account.parse(parsed)
        return events

    def _record(self, line: bytes) -> Line:
        try:
            return self._decode(line)
        except msgspec.ValidationError as error:
            if "out of range" not in str(error):
                raise
            return self._decode(msgspec.json.encode(decode_spelled(line)))

    def _unusual(self, line: bytes, number: int, block: LineBlock, account: Account) -> str | None:
        """The type of a line with white space between its parts; None where the line was counted as skipped or damaged."""
        if not line.strip():
            account.skip("blank line")
            return None
        match = _TYPE.search(line)
        if match is not None and line[:1] == b"{" and line.rstrip().endswith(b"}"):
            kind = _KNOWN.get(match[1])
            if kind is None:
                account.skip(f"event type not used: {match[1].decode()}")
            return kind
        problem = "line too long" if number - block.number in block.cut else "no JSON object with an event_type"
        account.damage_at(f"line {number}", problem)
        return None
