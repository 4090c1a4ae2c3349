"""Zeek logs, tab-separated or JSON: conn, http, files, ftp, smb_files, smb_mapping, ssl, dns.

JSON comes with `id.orig_h`, with `id_orig_h` (as some shippers rewrite it) or with a nested `id`, and with or without
`_path`; without it the set of fields tells which log a record is of. `src` is the originator of the connection, `dst` the
responder; who sent a file is in `extra`: `is_orig`, `tx_hosts`, `rx_hosts`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tidewaiter.formats.json_lines import decode_spelled, first_objects
from tidewaiter.formats.text_lines import LineBlock, line_blocks
from tidewaiter.formats.zeek_tsv import (
    BLOCK,
    Layout,
    Part,
    RecordBlock,
    headed,
    looks_like,
    parts_of,
    record_block,
    record_blocks,
    records_of,
)
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.zeek import counting
from tidewaiter.log_sources.zeek.columns import NAME, Columns
from tidewaiter.log_sources.zeek.logs import BUILDERS, log_of
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import COUNTS_KEPT, Batch, Counts, FlowRows, Needs, Quiet
from tidewaiter.schema.event import Event
from tidewaiter.schema.tally import count_quiet, tally

SPARED_BLOCK = 1 << 22
"""Bytes of tab-separated records that are counted at a time."""
ROWS = 1_000
"""Records of a tab-separated log that are made events at a time."""
FIRST_YEAR = 946_684_800_000_000
"""Times before the year 2000 count from the start of the capture."""

_DECODE = msgspec.json.Decoder().decode


class Source:
    """The stream log source of Zeek."""

    title = "Zeek"

    def __init__(self) -> None:
        self._relative = False
        self._needs: Needs | None = None
        self._counts = Counts()

    def recognise(self, head: bytes) -> str | None:
        """Header lines of a Zeek log, or JSON objects with Zeek's `ts` and connection or file ids."""
        path = looks_like(head)
        if path is not None:
            return f"Zeek header lines (#path {path})" if path else "Zeek header lines"
        for value in first_objects(head):
            if not _is_zeek(value):
                return None
            name = log_of(value)
            return f"JSON lines with the fields of Zeek {name}.log" if name else "JSON lines with Zeek's ts and uid"
        return None

    def spare(self, needs: Needs) -> None:
        """Count the connections, names and handshakes that nobody needs one by one."""
        self._needs = needs

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events of each block of records. Records of logs that are not used are counted by log name."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        tabs = looks_like(opened.head) is not None
        if self._needs is not None and (not tabs or opened.size >= counting.LEAST or "polars" in sys.modules):
            try:
                yield from (self._spared_text if tabs else self._spared_json)(opened, account, self._needs)
            except OSError:
                yield Batch(counted=self._counts.take())
                raise
            yield Batch(counted=self._counts.take())
            return
        blocks = self._tsv if looks_like(opened.head) is not None else self._json
        for name, columns in blocks(opened.path, account):
            if name not in BUILDERS:
                account.skip(f"zeek log not used: {name or 'unknown'}"[:100], len(columns))
                continue
            if events := _events(name, columns, opened.log_file, account):
                self._note_relative(events[0], account)
                yield tally(events, account)

    def _spared_text(self, opened: Opened, account: Account, needs: Needs) -> Iterator[list[Event]]:
        """The events of tab-separated records that are needed, and the counts of the others."""
        layout = Layout()
        for block in line_blocks(opened.path, block=SPARED_BLOCK):
            for part in parts_of(block):
                if part.header:
                    layout = headed(layout, part, account)
                    continue
                name = layout.path or log_of(dict.fromkeys(layout.fields, "")) or ""
                quiet = None
                if name in counting.LOGS and not part.cut:
                    quiet = counting.quiet_text(name, part, layout, needs, self._counts)
                if quiet is None:
                    for few in _rows_of(part):
                        yield from self._plain(name, records_of(layout, few, account), opened.log_file, account)
                    continue
                count_quiet(NAME, len(part.lines), quiet, account)
                events: list[Event] = []
                for start in range(0, len(quiet.needed), ROWS):
                    places = quiet.needed[start : start + ROWS]
                    lines = [part.lines[place] for place in places]
                    records = record_block(layout, [part.number + place for place in places], lines, account)
                    events += [event for batch in self._plain(name, records, opened.log_file, account) for event in batch]
                yield self._batch(events, quiet, opened.log_file)

    def _batch(self, events: list[Event], quiet: Quiet, log_file: str) -> Batch:
        """What a block came to: its events and flows are counted."""
        flows = FlowRows(NAME, log_file, quiet.flows) if quiet.flows else None
        return Batch(events, self._counts.take(COUNTS_KEPT), flows)

    def _plain(self, name: str, records: RecordBlock | None, log_file: str, account: Account) -> Iterator[list[Event]]:
        """The events of a block of tab-separated records."""
        if records is not None:
            yield from self._made(name, Columns(records.numbers, records.column, records.layout), log_file, account)

    def _made(self, name: str, columns: Columns, log_file: str, account: Account) -> Iterator[list[Event]]:
        if name not in BUILDERS:
            account.skip(f"zeek log not used: {name or 'unknown'}"[:100], len(columns))
        elif events := _events(name, columns, log_file, account):
            self._note_relative(events[0], account)
            yield tally(events, account)

    def _spared_json(self, opened: Opened, account: Account, needs: Needs) -> Iterator[list[Event]]:
        """The events of JSON records that are needed, and the counts of the others."""
        for block in line_blocks(opened.path, block=BLOCK):
            first = next(_objects(LineBlock(block.number, block.lines[:1], {}), Account(log_file="")), None)
            name = log_of(first[1]) if first is not None else None
            quiet = None
            if name in counting.LOGS and not block.cut:
                from tidewaiter.log_sources.zeek.counting_json import quiet_json

                numbered = range(block.number, block.number + len(block.lines))
                quiet = quiet_json(name, b"\n".join(block.lines), numbered, needs, self._counts)
            if quiet is None:
                for log, columns in self._json_block(block, account):
                    yield from self._made(log, columns, opened.log_file, account)
                continue
            count_quiet(NAME, len(block.lines), quiet, account)
            numbers: list[int] = []
            rows: list[Mapping[str, Any]] = []
            for place in quiet.needed:
                for number, row in _objects(LineBlock(block.number + place, [block.lines[place]], {}), account):
                    numbers.append(number)
                    rows.append(row)
            batches = self._made(name or "", _columns(numbers, rows), opened.log_file, account) if rows else ()
            made = [event for batch in batches for event in batch]
            yield self._batch(made, quiet, opened.log_file)

    def _note_relative(self, event: Event, account: Account) -> None:
        """Say once that the times count from the start of a capture."""
        if not self._relative and event.time < FIRST_YEAR:
            self._relative = True
            account.notes.append("times are relative: they count from the start of the capture")

    @staticmethod
    def _tsv(path: Path, account: Account) -> Iterator[tuple[str, Columns]]:
        """The blocks of a tab-separated log."""
        for block in record_blocks(path, account):
            name = block.layout.path or log_of(dict.fromkeys(block.layout.fields, "")) or ""
            yield name, Columns(block.numbers, block.column, block.layout)

    def _json(self, path: Path, account: Account) -> Iterator[tuple[str, Columns]]:
        """The blocks of JSON lines; where one file holds several logs, a block ends where the log changes."""
        for block in line_blocks(path, block=BLOCK):
            yield from self._json_block(block, account)

    @staticmethod
    def _json_block(block: LineBlock, account: Account) -> Iterator[tuple[str, Columns]]:
        numbers: list[int] = []
        rows: list[Mapping[str, Any]] = []
        log: str | None = None
        for number, row in _objects(block, account):
            name = log_of(row) or ""
            if name != log and rows:
                yield log or "", _columns(numbers, rows)
                numbers, rows = [], []
            log = name
            numbers.append(number)
            rows.append(row)
        if rows:
            yield log or "", _columns(numbers, rows)


def _rows_of(part: Part) -> Iterator[Part]:
    """Lines that are no header in pieces of ROWS."""
    for start in range(0, len(part.lines), ROWS):
        cut = {index - start: size for index, size in part.cut.items() if start <= index < start + ROWS}
        yield Part(False, part.number + start, part.lines[start : start + ROWS], cut)


def _is_zeek(value: Mapping[str, Any]) -> bool:
    """Zeek's time stamp, and an id that only Zeek writes."""
    if "ts" not in value:
        return False
    if isinstance(value.get("_path"), str):
        return True
    ends = "id.orig_h" in value or "id_orig_h" in value or (isinstance(value.get("id"), dict) and "orig_h" in value["id"])
    return ("uid" in value and ends) or "fuid" in value or log_of(value) is not None


def _decoded(line: bytes) -> Any:
    try:
        return _DECODE(line)
    except msgspec.ValidationError:  # a number out of range
        return decode_spelled(line)


def _objects(block: LineBlock, account: Account) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a block of lines by line number; what is none is counted."""
    for index, line in enumerate(block.lines):
        try:
            row = _decoded(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            if not line.strip():
                account.skip("blank line")
            else:
                problem = "line too long" if index in block.cut else str(error)
                account.damage_at(f"line {block.number + index}", problem)
            continue
        if isinstance(row, dict):
            yield block.number + index, row
        else:
            account.damage_at(f"line {block.number + index}", "no JSON object")


def _columns(numbers: list[int], rows: list[Mapping[str, Any]]) -> Columns:
    """The rows of one log by columns, the endpoints under Zeek's own names."""
    if not all("id.orig_h" in row for row in rows):
        rows = [_with_ends(row) for row in rows]
    return Columns(numbers, lambda name: [row.get(name) for row in rows], None)


def _with_ends(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with `id.orig_h` and the other endpoint fields, however they were spelled."""
    if "id_orig_h" in row:
        return {(f"id.{name[3:]}" if name.startswith("id_") else name): value for name, value in row.items()}
    ends = row.get("id")
    return {**row, **{f"id.{name}": value for name, value in ends.items()}} if isinstance(ends, dict) else row


def _events(name: str, columns: Columns, log_file: str, account: Account) -> list[Event]:
    """The events of a block. Where a value does not convert, the records are read one by one: it costs its own record."""
    try:
        built = BUILDERS[name](columns, log_file)
    except (ValueError, TypeError, OverflowError) as error:
        if len(columns) > 1:
            parts = (columns.part(index, index + 1) for index in range(len(columns)))
            return [event for part in parts for event in _events(name, part, log_file, account)]
        for number in columns.numbers:
            account.damage_at(f"line {number}", str(error))
        return []
    events = [event for event in built if event is not None]
    account.parse(len(events))
    if len(events) < len(built):
        account.skip("zeek record without a name asked for", len(built) - len(events))
    return events
