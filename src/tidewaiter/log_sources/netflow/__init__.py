"""NetFlow v5, v9 and IPFIX: export packets one after the other in a file, and files of nfdump through the program nfdump.

Format: see `formats/flow_packets.py`. One record is one event FLOW: mostly one direction only, the sender of the bytes as
`src`, whichever side opened the connection; joining the two directions is not done here. `bytes_in` is set only where a record
tells both directions. The time is the start of the flow; the record its running number in the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidewaiter.formats.flow_packets import Exported, FlowReader, version_of
from tidewaiter.formats.flow_templates import Layout, Row
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.netflow import nfdump
from tidewaiter.log_sources.netflow.flows import RAW, WANTED, Builder
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event
from tidewaiter.schema.tally import tally

BATCH = 2_000
_NAMES = {5: "NetFlow v5", 9: "NetFlow v9", 10: "IPFIX"}


class Source:
    """Flow records. See `log_source.StreamSource`."""

    title = "NetFlow/IPFIX"

    def recognise(self, head: bytes) -> str | None:
        """The header of an export packet, or of an nfdump file."""
        if nfdump.looks_like(head):
            return "header of an nfdump file"
        version = version_of(head, len(head))
        return f"header of an export packet of {_NAMES[version]}" if version else None

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        account.recognised_as, account.why = self.title, self.recognise(opened.head)
        if nfdump.looks_like(opened.head):
            yield from nfdump.read(opened, account)
            return
        reader = FlowReader(WANTED, RAW, account)
        batches = _Batches(Builder(opened.log_file), account)
        sampled = False
        for records in reader.records(opened.path):
            if records.header.sampling > 1 and not sampled:
                sampled = True
                account.notes.append(f"sampled, one packet in {records.header.sampling}: byte counts are those of the sample")
            if batches.full_for(records.layout):
                yield batches.take()
            batches.add(records.layout, records.rows, records.header)
        if batches.rows:
            yield batches.take()


class _Batches:
    """Rows of one layout, gathered over packets."""

    def __init__(self, builder: Builder, account: Account) -> None:
        self._builder, self._account = builder, account
        self._layout: Layout | None = None
        self._headers: list[tuple[Exported, int]] = []
        self.rows: list[Row] = []

    def full_for(self, layout: Layout) -> bool:
        """Whether the rows must be taken before those of this layout are added."""
        return bool(self.rows) and (layout is not self._layout or len(self.rows) >= BATCH)

    def add(self, layout: Layout, rows: list[Row], header: Exported) -> None:
        """Add the rows of one packet."""
        self._layout = layout
        self.rows += rows
        self._headers.append((header, len(rows)))

    def take(self) -> list[Event]:
        """The events of the rows so far."""
        assert self._layout is not None
        events = self._builder.events(self._layout, self.rows, self._headers)
        self._account.parse(len(events))
        self.rows, self._headers = [], []
        return tally(events, self._account)
