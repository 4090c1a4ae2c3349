"""Windows events exported as JSON: one object a line, an array, or objects pretty-printed over many lines.

The shape of each object (NXLog, Winlogbeat, ECS ...) is the business of `windows_shapes`; cutting a file into objects is that
of `json_objects`. Here: what can be skipped unread, decoding, and the account.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tidewaiter.formats import json_objects
from tidewaiter.formats.windows_quick import About, QuickLines
from tidewaiter.formats.windows_records import NO_USE, Found, PassOver, Route, Routes, lower
from tidewaiter.formats.windows_shapes import Clock, Parts, parts_of
from tidewaiter.formats.windows_spared import Spared
from tidewaiter.log_source import Opened, WindowsRecord
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

OTHER_JSON = "JSON that is no Windows event"
_SEEN_IN_HEAD = 50
_SIGN_OF_LIFE = 20_000  # objects
_ID_KEYS = (b'"EventID":', b'"event_id":', b'"EventCode":', b'"eventID":')
_ID = re.compile(rb'\s*"?(\d{1,6})"?\s*[,}]')
_BEHIND = 10  # bytes behind the words that name an event id: enough for it and what ends it
_VERDICTS_KEPT = 4_096
_ROUTES_KEPT = 1_024
_LONG_NAME = 200
_DECODE_IT = "decode it"
_OPENS, _CLOSES = b"{}"
_DECODE = msgspec.json.Decoder().decode
_DECODE_ANY = msgspec.json.Decoder(float_hook=float).decode
"""Takes numbers that are out of range too."""
Verdict = str | PassOver | QuickLines
"""What to do with lines of one event id."""
_HINT_ID = re.compile(rb'"(?:EventID|event_id|EventCode|EventRecordID)"\s*:')
_HINT_ORIGIN = re.compile(
    rb'"(?:SourceName|source_name|ProviderGuid|ProviderName|provider_name|provider_guid|Channel|winlog|Provider)"\s*:'
)


def recognise(head: bytes) -> str | None:
    """Why these first bytes are Windows events as JSON, or None."""
    text = json_objects.as_utf8(head)
    layout = json_objects.layout_of(text)
    if layout is None:
        return None
    for number, raw in enumerate(json_objects.objects_of_head(text, layout)):
        if number >= _SEEN_IN_HEAD:
            break
        value = _decoded(raw)
        parts = parts_of(value) if value is not None else None
        if parts is not None:
            return f"{layout.value} with {parts.shape}"
    if _HINT_ID.search(text) and _HINT_ORIGIN.search(text):
        return f"{layout.value} with an event id and the name of a provider or channel"
    return None


def _decoded(raw: bytes) -> Any:
    """The value of a JSON text, with broken UTF-8 replaced; None where it is not JSON."""
    try:
        return _DECODE(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        pass
    try:
        return _DECODE_ANY(raw.decode("utf-8", "replace").replace("\x00", ""))
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        return None


class JsonRecords:
    """The wanted records of one JSON file. Counts in `account` every record that it does not yield.

    `record` is the 1-based line on which the object starts, in an array its 1-based place.
    """

    def __init__(self, opened: Opened, account: Account, routes: Routes, spared: Spared) -> None:
        self._opened, self._account, self._routes = opened, account, routes
        self._clock = Clock()
        self._about = About(opened.log_file, account, self._clock, spared)
        self._keys = list(_ID_KEYS)
        self._verdicts: dict[bytes, Verdict] = {}  # by what stands behind the first of the keys
        self._quickly: dict[int, QuickLines | None] = {}  # by event id
        self._skipped: dict[str, int] = {}
        self._known: dict[tuple[str | None, int, str | None], tuple[Route | None, str]] = {}

    def __iter__(self) -> Iterator[Found]:
        """Yield wanted records in the order of the file. Raises OSError where the file cannot be read."""
        text = json_objects.as_utf8(self._opened.head)
        layout = json_objects.layout_of(text) or json_objects.Layout.LINES
        self._set_clock(text, layout)
        blocks = json_objects.blocks_of_lines(self._opened.path, self._opened.head, layout)
        try:
            yield from self._of_objects(layout) if blocks is None else self._of_lines(blocks)
        finally:
            for reason, count in self._skipped.items():
                self._account.skip(reason, count)
        self._account.notes.extend(self._clock.notes())

    def _of_objects(self, layout: json_objects.Layout) -> Iterator[Found]:
        word = "object" if layout is json_objects.Layout.ARRAY else "line"
        for turn, (number, raw, problem) in enumerate(json_objects.objects(self._opened.path, self._opened.head, layout)):
            if not turn % _SIGN_OF_LIFE:
                yield None
            if problem is not None:
                self._account.damage_at(f"{word} {number}", problem)
            elif not self._skips(raw) and (found := self._record(number, raw, word)) is not None:
                yield found

    def _of_lines(self, blocks: Iterator[tuple[int, list[bytes]]]) -> Iterator[Found]:
        turn = 0
        for first, lines in blocks:
            if first > turn:
                yield None
                turn = first + _SIGN_OF_LIFE
            for sifted in self._sifted(first, lines):
                if isinstance(sifted, list):
                    yield sifted
                    continue
                number, raw = sifted
                found = self._record(number, raw, "line")
                if found is not None:
                    yield found

    def _sifted(self, first: int, lines: list[bytes]) -> Iterator[Any]:
        """The lines that have to be decoded, with their numbers, and lists of events of those between; the others are counted.

        As a rule every line names its event id with the same words, so what stands behind them is looked up.
        """
        verdicts, key, unwanted, about = self._verdicts, self._keys[0], 0, self._about
        made: list[Event] = []
        width = len(key)
        for number, line in enumerate(lines, first):
            at = line.find(key) + width
            if at < width or line[0] != _OPENS or line[-1] != _CLOSES:
                text = self._unusual(line, number)
                if text and made:
                    yield made
                    made = []
                if text:
                    yield number, text
                if key is not self._keys[0]:
                    verdicts.clear()
                    key = self._keys[0]
                    width = len(key)
                continue
            verdict = verdicts.get(line[at : at + _BEHIND]) or self._verdict(line, at)
            if verdict is NO_USE and line.find(key, at) < 0:
                unwanted += 1
                continue
            if isinstance(verdict, QuickLines):
                event = verdict.read(line, number, about)
                if event is not None:
                    if not isinstance(event, bool):
                        made.append(event)
                    continue
            elif isinstance(verdict, PassOver) and line.find(key, at) < 0 and self._passes(verdict, line):
                continue
            if made:
                yield made
                made = []
            yield number, line
        if made:
            yield made
        if unwanted:
            self._skipped[NO_USE] = self._skipped.get(NO_USE, 0) + unwanted

    def _unusual(self, line: bytes, number: int) -> bytes:
        """The object to be decoded of a line that names no event id as the others do; nothing where there is none."""
        text, problem = json_objects.object_of_line(line)
        if problem is not None:
            self._account.damage_at(f"line {number}", problem)
        return b"" if not text or self._skips(text) else text

    def _passes(self, rule: PassOver, line: bytes) -> bool:
        if rule.has_bytes(line):
            self._skipped[rule.reason] = self._skipped.get(rule.reason, 0) + 1
            return True
        return False

    def _verdict(self, line: bytes, at: int) -> Verdict:
        """What to do with a line that has its event id here: nothing, decode it, see whether it is passed over or is usual."""
        found = _ID.match(line, at)
        if found is None:
            return _DECODE_IT
        verdict: Verdict = NO_USE
        event_id = int(found[1])
        if event_id in self._routes.event_ids:
            verdict = self._routes.passed_over.get(event_id) or self._quick(event_id) or _DECODE_IT
        if found.end() <= at + _BEHIND and len(self._verdicts) < _VERDICTS_KEPT:
            self._verdicts[line[at : at + _BEHIND]] = verdict
        return verdict

    def _quick(self, event_id: int) -> QuickLines | None:
        if event_id not in self._quickly:
            offered = self._routes.quick(event_id)
            quick = None if offered is None else QuickLines(*offered, event_id)
            self._quickly[event_id] = quick if quick is not None and quick.useful else None
        return self._quickly[event_id]

    def _set_clock(self, text: bytes, layout: json_objects.Layout) -> None:
        """Learn from the first records how far off stated times are, for those before the first that shows it."""
        for raw in itertools.islice(json_objects.objects_of_head(text, layout), _SEEN_IN_HEAD):
            parts = parts_of(_decoded(raw))
            if parts is not None and "UtcTime" in parts.data:
                self._clock.time(parts)

    def _skips(self, raw: bytes) -> bool:
        """Count the object and pass it by, where that can be told without decoding it that no source wants it."""
        reason = self._of_no_use(raw)
        if reason is None:
            return False
        self._skipped[reason] = self._skipped.get(reason, 0) + 1
        return True

    def _of_no_use(self, raw: bytes) -> str | None:
        for key in self._keys:
            at = raw.find(key)
            if at < 0:
                continue
            if key is not self._keys[0]:
                self._keys.remove(key)
                self._keys.insert(0, key)
            found = _ID.match(raw, at + len(key))
            if found is None or raw.find(key, found.end()) >= 0:
                return None
            event_id = int(found[1])
            if event_id not in self._routes.event_ids:
                return NO_USE
            rule = self._routes.passed_over.get(event_id)
            return rule.reason if rule is not None and rule.has_bytes(raw) else None
        return None

    def _record(self, number: int, raw: bytes, word: str) -> tuple[Route, WindowsRecord] | None:
        value = _decoded(raw)
        if value is None:
            self._account.damage_at(f"{word} {number}", "not JSON")
            return None
        parts = parts_of(value)
        if parts is None:
            self._account.skip(OTHER_JSON)
            return None
        place = (parts.provider, parts.event_id, None if parts.provider else parts.channel)
        known = self._known.get(place)
        if known is None:
            known = self._route(parts)
            if len(self._known) < _ROUTES_KEPT and len(place[0] or place[2] or "") < _LONG_NAME:
                self._known[place] = known
        route, provider = known
        if route is None:
            self._account.skip(NO_USE)
            return None
        time = self._clock.time(parts)
        if time is None:
            self._account.damage_at(f"{word} {number}", "no time")
            return None
        return route, WindowsRecord(
            provider=provider,
            event_id=parts.event_id,
            channel=parts.channel,
            computer=parts.computer,
            time=time,
            log_file=self._opened.log_file,
            record=str(number),
            data=parts.data,
            user_id=parts.user_id,
            process_id=parts.process_id,
        )

    def _route(self, parts: Parts) -> tuple[Route | None, str]:
        """Where records of this provider, or else channel, and event id go; and the provider in lower case."""
        provider = parts.provider or self._routes.provider_of_channel(parts.channel)
        return (self._routes.find(provider, parts.event_id), lower(provider)) if provider else (None, "")
