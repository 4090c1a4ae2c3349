"""Download jobs of a transfer service (BITS)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidewaiter.reading import locations
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_STAGE = {"completed": "carried", "started": "connected", "cancelled": "commanded", "failed": "connected"}


class Analytic:
    """Jobs that name a remote source."""

    title = "Jobs of a download service"
    kinds = frozenset({EventKind.JOB})
    data_component = "DC0064 Command Execution, DC0082 Network Connection Creation"

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """Those with a source that is not local."""
        return [
            bool(event.url) and (locations.is_url(event.url or "") or locations.is_unc(event.url or "")) for event in events
        ]

    def findings(self, event: Event) -> Iterable[Finding]:
        """One finding per job event with a URL."""
        action = Action(
            kind=ActionKind.INGRESS,
            utility="bits",
            form="job",
            urls=(event.url or "",),
            dest=event.file_path,
            confidence=85,
            techniques=("T1197",),
        )
        yield Finding(analytic="transfer_job", stage=_STAGE.get(event.outcome or "", "commanded"), action=action)
