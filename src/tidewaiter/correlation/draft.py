"""A transfer while it is being put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tidewaiter.reading import paths
from tidewaiter.schema.action import Action
from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Evidence

if TYPE_CHECKING:
    from tidewaiter.correlation.processes import Process

EVIDENCE_KEPT = 60
"""Evidence rows per transfer; a download of a whole repository needs no more to be believed."""


class Draft(msgspec.Struct, eq=False):
    """What is known so far of one transfer, and the evidence for it."""

    host: str
    time: int
    action: Action
    process: Process | None
    analytic: str
    urls: list[str] = msgspec.field(default_factory=list)
    url_keys: frozenset[str] = frozenset()
    landed: str | None = None  # the path that a sensor saw
    paths: set[str] = msgspec.field(default_factory=set)  # comparison keys of every path its content is known under
    in_place: bool = False  # landed by a name that the command gave
    evidence: list[Evidence] = msgspec.field(default_factory=list)
    stages: dict[str, tuple[int, list[int]]] = msgspec.field(default_factory=dict)
    sources: set[tuple[str, str]] = msgspec.field(default_factory=set)  # (log source, kind) that gave evidence
    marks: dict[str, str] = msgspec.field(default_factory=dict)  # reason id -> detail, for judgement
    user: str | None = None
    src_ip: str | None = None
    src_port: int | None = None
    src_host: str | None = None
    size: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    type: str | None = None
    outcome: str | None = None
    protocol: str | None = None
    last: int = 0
    released: bool = False  # given up: nothing may change it any more
    steps: int = 0  # unfolding steps that the reader needed
    sent: list[tuple[int, str, str | None]] = msgspec.field(default_factory=list)
    notes: set[str] = msgspec.field(default_factory=set)
    number: int = -1  # place among the drafts of its host, given by a live engine
    touched: bool = True  # changed since a live engine last looked
    told: Callable[[Draft], None] | None = None  # a live engine's: is told when it changes; no part of its state

    def touch(self) -> None:
        """It changed."""
        if not self.touched:
            self.touched = True
            if self.told is not None:
                self.told(self)

    def see(self, stage: str | None, event: Event, summary: str) -> None:
        """Add an event as evidence, for a stage where it shows one. The first time that a stage is seen is its time."""
        self.touch()
        self.last = max(self.last, event.time)
        self.sources.add((event.log_source, event.kind.value))
        index = self._cite(event, summary)
        if stage is None or index is None:
            return
        time, rows = self.stages.get(stage, (event.time, []))
        if index not in rows:
            rows.append(index)
        self.stages[stage] = (min(time, event.time), rows)

    def _cite(self, event: Event, summary: str) -> int | None:
        for index, row in enumerate(self.evidence):
            if row.record == event.record and row.log_file == event.log_file:
                return index
        if len(self.evidence) >= EVIDENCE_KEPT:
            return None
        self.evidence.append(
            Evidence(
                log_file=event.log_file,
                record=event.record,
                time=event.time,
                log_source=event.log_source,
                summary=summary[:400],
            )
        )
        return len(self.evidence) - 1

    def mark(self, reason: str, detail: str = "") -> None:
        """Note a circumstance that judgement weighs."""
        self.touch()
        self.marks.setdefault(reason, detail[:200])

    def add_urls(self, urls: tuple[str, ...] | list[str]) -> None:
        """Further sources, as spelled."""
        for url in urls:
            if url not in self.urls:
                self.urls.append(url)
        self.touch()
        self.url_keys = paths.url_keys(self.urls)

    def take_hashes(self, event: Event) -> None:
        """Hashes and size as an event gives them."""
        self.touch()
        self.sha256 = self.sha256 or event.sha256
        self.sha1 = self.sha1 or event.sha1
        self.md5 = self.md5 or event.md5
        self.size = self.size if self.size is not None else event.file_size
        self.type = self.type or event.file_type

    @property
    def dest(self) -> str | None:
        """The best known destination."""
        return self.landed or self.action.dest
