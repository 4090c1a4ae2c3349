"""Ask the analytics about batches of events: each first says which rows could matter, then only those are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidewaiter.analytic import Analytic
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding


class Sieve:
    """The analytics of a run, by the kind of event that they are asked about."""

    def __init__(self, analytics: Sequence[Analytic]) -> None:
        self._by_kind: dict[EventKind, list[Analytic]] = {}
        for one in analytics:
            for kind in one.kinds:
                self._by_kind.setdefault(kind, []).append(one)

    def examine(self, events: Sequence[Event]) -> Iterator[tuple[Event, tuple[Finding, ...]]]:
        """Every event with what was found in it, in order."""
        by_kind: dict[EventKind, list[int]] = {}
        for position, event in enumerate(events):
            by_kind.setdefault(event.kind, []).append(position)
        found: dict[int, list[Finding]] = {}
        for kind, positions in by_kind.items():
            for one in self._by_kind.get(kind, ()):
                batch = [events[position] for position in positions]
                for position, event, passed in zip(positions, batch, one.sieve(batch), strict=True):
                    if passed:
                        findings = list(one.findings(event))
                        if findings:
                            found.setdefault(position, []).extend(findings)
        for position, event in enumerate(events):
            yield event, tuple(found.get(position, ()))
