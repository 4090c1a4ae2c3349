"""Connection logs of firewalls, gateways and clouds: tables with a header line, JSON, `key=value` lines, W3C columns.

Which column holds what is in knowledge/firewall_fields.toml and, where the environment variable TIDEWAITER_FIREWALL_FIELDS
names a file of the same form, first in that (docs/adding/firewall-fields.md). One record is one event FLOW; `src` is the side
that the log names as source. What the log says in total only is in `extra.bytes_total`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tidewaiter.catalog.columns import Columns, own, shipped
from tidewaiter.errors import KnowledgeError
from tidewaiter.formats import json_objects
from tidewaiter.formats.line_log import events_of_lines, head_lines
from tidewaiter.formats.named_values import cells, flat, header_of, pairs
from tidewaiter.formats.syslog_lines import Prefixes
from tidewaiter.formats.w3c_lines import field_names
from tidewaiter.formats.w3c_lines import values as w3c_values
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.firewall.records import Flows, without_nothing
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event
from tidewaiter.schema.tally import tally

VARIABLE = "TIDEWAITER_FIREWALL_FIELDS"
BATCH = 2_000
LINES_BEFORE_HEADER = 5
_ENDS = frozenset({"src", "dst"})
_TELLING = frozenset({"sport", "dport", "bytes_sent", "bytes_received", "bytes_total", "action"})
_DECODE = msgspec.json.Decoder().decode


class Source:
    """Connection logs with named values. See `log_source.StreamSource`."""

    title = "firewall connection log"

    def __init__(self) -> None:
        names = shipped("firewall_fields")
        self._problem = ""
        given = os.environ.get(VARIABLE)
        if given:
            try:
                for meaning, spelled in own(Path(given), names).items():
                    names = {**names, meaning: [*spelled, *names[meaning]]}
            except KnowledgeError as error:
                self._problem = f"{VARIABLE}: {error}"
        self._columns = Columns(names, exact=False)
        self._paths: dict[str, tuple[int, str] | None] = {}

    def recognise(self, head: bytes) -> str | None:
        """Names of both endpoints, and of a port, a size or an action, in a header line, in JSON or as keys."""
        return next((why for _, why in self._layouts(head)), None)

    def _layouts(self, head: bytes) -> Iterator[tuple[str, str]]:
        lines = head_lines(head)
        if not lines:
            return
        for line in lines[:50]:
            names = field_names(line)
            if names is not None and self._tells(self._columns.places(names)):
                yield "w3c", f"#Fields: {' '.join(names[:6])[:80]} ..."
                return
        for line in lines[:LINES_BEFORE_HEADER]:
            for separator, names in _headers(line):
                if self._tells(self._columns.places(names)):
                    yield f"table{separator}", f"header line with {', '.join(names[:6])[:80]} ..."
                    return
        if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            text = json_objects.as_utf8(head)
            layout = json_objects.layout_of(text)
            if layout is not None and self._json_tells(text, layout):
                yield "json", f"{layout.value} with keys of both endpoints"
            return
        found = sum(1 for line in lines if self._tells({self._columns.meaning(key) or "" for key, _ in pairs(line)}))
        if found and found * 2 > len(lines):
            yield "pairs", "lines of key=value with both endpoints"

    def _json_tells(self, text: bytes, layout: json_objects.Layout) -> bool:
        seen = found = 0
        for raw in json_objects.objects_of_head(text, layout):
            row = self._row_of_json(raw)
            seen += 1
            found += row is not None and self._tells(row)
            if seen == 20:
                break
        return found > 0 and found * 2 > seen

    @staticmethod
    def _tells(meanings: Any) -> bool:
        known = set(meanings)
        return known >= _ENDS and bool(known & _TELLING)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches. Raises OSError when the file cannot be read."""
        layout, why = next(self._layouts(opened.head), ("", None))
        account.recognised_as, account.why = self.title, why
        if self._problem:
            account.notes.append(self._problem)
        flows = Flows(opened.log_file)
        if layout == "json":
            yield from self._json(opened, account, flows)
        elif layout == "pairs":
            yield from self._pairs(opened, account, flows)
        else:
            yield from self._table(opened, account, flows, layout)
        if flows.times.guessed:
            account.notes.append("day and month of the times cannot be told apart: read with the month first")

    def _table(self, opened: Opened, account: Account, flows: Flows, layout: str) -> Iterator[list[Event]]:
        separator = layout.removeprefix("table")
        w3c = layout == "w3c"
        places: list[tuple[str, int]] = []
        width = 0

        def parse(line: str, number: str) -> Event | str | None:
            nonlocal places, width
            names = field_names(line) if w3c else None
            if names is not None:
                places, width = list(self._columns.places(names).items()), len(names)
                return "header line"
            if w3c and line[:1] == "#":
                return "directive"
            if not line or line.isspace():
                return None
            if not places:
                names = next((names for found, names in _headers(line) if found == separator), [])
                if self._tells(self._columns.places(names)):
                    places, width = list(self._columns.places(names).items()), len(names)
                    return "header line"
                return "line before the header"
            found = w3c_values(line, width) if w3c else cells(line, separator)
            if len(found) < width - 1:
                return None
            row = without_nothing([(meaning, found[place]) for meaning, place in places if place < len(found)])
            return flows.event(row, number)

        yield from events_of_lines(opened, account, parse, "the columns of the header")

    def _pairs(self, opened: Opened, account: Account, flows: Flows) -> Iterator[list[Event]]:
        prefixes = Prefixes(opened.head)

        def parse(line: str, number: str) -> Event | str | None:
            row = self._row(pairs(line))
            if not row:
                return "line without key=value" if line.strip() else None
            prefix = prefixes.split(line) if "time" not in row else None
            return flows.event(row, number, prefix.time if prefix is not None else None)

        yield from events_of_lines(opened, account, parse, "key=value pairs with a time")

    def _json(self, opened: Opened, account: Account, flows: Flows) -> Iterator[list[Event]]:
        text = json_objects.as_utf8(opened.head)
        layout = json_objects.layout_of(text) or json_objects.Layout.LINES
        events: list[Event] = []
        for number, raw, problem in json_objects.objects(opened.path, opened.head, layout):
            row = None if problem else self._row_of_json(raw)
            event = None if row is None else flows.event(row, str(number))
            if event is None:
                account.damage_at(f"record {number}", problem or ("no JSON object" if row is None else "no time that we know"))
            elif isinstance(event, str):
                account.skip(event)
            else:
                account.parse()
                events.append(event)
                if len(events) == BATCH:
                    yield tally(events, account)
                    events = []
        if events:
            yield tally(events, account)

    def _row_of_json(self, raw: bytes) -> dict[str, str] | None:
        try:
            value = _DECODE(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return self._row(flat(value)) if isinstance(value, dict) else None

    def _row(self, values: list[tuple[str, str]]) -> dict[str, str]:
        """The values by meaning. A path is known whole, by its last two names, or by its last; the most exact one counts."""
        found: list[tuple[int, str, str]] = []
        for path, value in values:
            if path not in self._paths:
                if len(self._paths) > 20_000:
                    self._paths.clear()
                self._paths[path] = self._meaning_of(path)
            known = self._paths[path]
            if known is not None:
                found.append((known[0], known[1], value))
        found.sort(key=lambda item: item[0])
        return without_nothing([(meaning, value) for _, meaning, value in found])

    def _meaning_of(self, path: str) -> tuple[int, str] | None:
        parts = path.split(".")
        for vagueness, name in enumerate((path, ".".join(parts[-2:]), parts[-1])):
            meaning = self._columns.meaning(name)
            if meaning is not None:
                return vagueness * 100 + self._columns.rank(name), meaning
        return None


def _headers(line: str) -> Iterator[tuple[str, list[str]]]:
    try:
        yield from header_of(line)
    except ValueError:
        return
