"""Ranges of one URL joined into one file, with the holes named."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event

PIECES_KEPT = 10_000
HOLES_NAMED = 5

_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


@dataclass(frozen=True)
class Span:
    """First and last byte that an answer gives, and the size of the whole file where it says so."""

    first: int
    last: int
    total: int | None


def span_of(request: Event | None, file: Event | None) -> Span | None:
    """The range of an answer: from the file's own offsets, or from Content-Range. None where no sensor says or it is absurd."""
    for event in (file, request):
        extra = (event.extra or {}) if event is not None else {}
        stated = _stated(extra.get("content_range"))
        if event is file and isinstance(extra.get("start"), int) and isinstance(extra.get("end"), int):
            total = stated.total if stated is not None else None
            if total is None and request is not None:
                other = _stated((request.extra or {}).get("content_range"))
                total = other.total if other is not None else None
            return _sane(extra["start"], extra["end"], total)
        if stated is not None and event is request:
            return _sane(stated.first, stated.last, stated.total)
    return None


def _stated(value: object) -> Span | None:
    if isinstance(value, dict):
        first, last, total = value.get("start"), value.get("end"), value.get("size")
        if isinstance(first, int) and isinstance(last, int):
            return Span(first, last, total if isinstance(total, int) and total > 0 else None)
        value = value.get("raw")
    if isinstance(value, str) and (match := _CONTENT_RANGE.match(value.strip())):
        return Span(int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3]))
    return None


def _sane(first: int, last: int, total: int | None) -> Span | None:
    if not 0 <= first <= last < 1 << 62 or (total is not None and last >= total):
        return None
    return Span(first, last, total)


@dataclass(eq=False)
class RangedFile:
    """A file of which pieces were seen."""

    whole: Carried  # the first piece, which becomes the whole
    last: int
    total: int | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)
    answers: int = 0
    unplaced: int = 0  # pieces that do not say where they belong
    joined: bool = False  # a sensor put the file together itself
    single: tuple[str | None, str | None, str | None] = (None, None, None)

    def add(self, piece: Carried, span: Span | None) -> None:
        """Take one answer in."""
        self.answers += 1
        self.last = max(self.last, piece.last)
        if span is None:
            self.unplaced += 1
        elif len(self.spans) < PIECES_KEPT:
            self.spans.append((span.first, span.last))
            self.total = self.total or span.total
        if piece is not self.whole:
            hashes = (self.whole.sha256, self.whole.sha1, self.whole.md5, self.whole.size, self.whole.short)
            self.whole.absorb(piece)
            self.whole.sha256, self.whole.sha1, self.whole.md5, self.whole.size, self.whole.short = hashes
            self.whole.time = min(self.whole.time, piece.time)

    def take_whole(self, joined: Carried) -> None:
        """A sensor put the pieces together and hashed the file."""
        self.last = max(self.last, joined.last)
        self.whole.absorb(joined)
        self.whole.sha256, self.whole.sha1, self.whole.md5 = joined.sha256, joined.sha1, joined.md5
        self.whole.size, self.whole.content_type = joined.size, joined.content_type or self.whole.content_type
        self.joined = True

    def finish(self) -> Carried:
        """The file as far as its pieces show it."""
        whole = self.whole
        spans = _merged(self.spans)
        whole.pieces = tuple(spans)
        seen = sum(last - first + 1 for first, last in spans)
        whole.expected = whole.expected or self.total
        if self.joined:
            whole.outcome, whole.short = "completed", None
            whole.notes += (f"put together from {self.answers} range answers",)
            return whole
        complete = self.total is not None and seen >= self.total and not self.unplaced
        if self.answers == 1 and complete:
            return whole
        if self.answers > 1 or not complete:
            whole.notes += (_pieces_text(whole),) if self.answers == 1 else ()
            if self.answers > 1 or spans:
                whole.sha256 = whole.sha1 = whole.md5 = None
        whole.size = seen or whole.size
        if complete and not whole.short:
            whole.outcome = "completed"
            whole.notes += (f"{self.answers} range answers hold all of it; hash of the whole unknown",)
            return whole
        whole.outcome = "partial"
        whole.short = self._holes(spans, seen)
        return whole

    def _holes(self, spans: list[tuple[int, int]], seen: int) -> str:
        if self.total is None or not spans:
            return f"{self.answers} range answers, size of the whole file unknown; hash unknown"
        holes, at = [], 0
        for first, last in [*spans, (self.total, self.total)]:
            if first > at:
                holes.append(f"{at}-{first - 1}")
            at = max(at, last + 1)
        named = ", ".join(holes[:HOLES_NAMED]) + (f" and {len(holes) - HOLES_NAMED} more" if len(holes) > HOLES_NAMED else "")
        return f"hash unknown, {self.total - seen} of {self.total} bytes missing: {named}"


def _pieces_text(whole: Carried) -> str:
    known = f"sha256 {whole.sha256}" if whole.sha256 else f"md5 {whole.md5}" if whole.md5 else "no hash"
    return f"one range answer was seen, {known} is of that piece"


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
