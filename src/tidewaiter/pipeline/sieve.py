"""Ask the analytics about batches of events: each first says which rows could matter, then only those are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from tidewaiter.analytic import Analytic
from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Finding


class Sieve:
    """The analytics of a run, by the kind of event that they are asked about."""

    def __init__(self, analytics: Sequence[Analytic]) -> None:
        self._by_kind: dict[int, list[Analytic]] = {}  # by identity: members of an enumeration are hashed slowly
        for one in analytics:
            for kind in one.kinds:
                self._by_kind.setdefault(id(kind), []).append(one)

    def findings(self, events: Sequence[Event]) -> dict[int, tuple[Finding, ...]]:
        """What was found in some of the events, by their places in the batch."""
        by_kind: dict[int, list[int]] = {kind: [] for kind in self._by_kind}
        for place, event in enumerate(events):
            places = by_kind.get(id(event.kind))
            if places is not None:
                places.append(place)
        found: dict[int, list[Finding]] = {}
        for kind, places in by_kind.items():
            if not places:
                continue
            batch = [events[place] for place in places]
            for one in self._by_kind[kind]:
                for place, event in compress(zip(places, batch, strict=True), one.sieve(batch)):
                    findings = list(one.findings(event))
                    if findings:
                        found.setdefault(place, []).extend(findings)
        return {place: tuple(findings) for place, findings in found.items()}

    def examine(self, events: Sequence[Event]) -> Iterator[tuple[Event, tuple[Finding, ...]]]:
        """Every event with what was found in it, in order."""
        found = self.findings(events)
        for place, event in enumerate(events):
            yield event, found.get(place, ())
