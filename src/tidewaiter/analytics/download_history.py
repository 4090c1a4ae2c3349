"""Downloads that a browser or the quarantine service remembers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidewaiter.reading import locations
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding


class Analytic:
    """Every remembered download with a remote source."""

    title = "Download histories"
    kinds = frozenset({EventKind.DOWNLOAD})
    data_component = "DC0039 File Creation"

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """Those with a source that is not on this machine's disk."""
        return [
            bool(event.url) and not (event.url or "").lower().startswith(("file:", "blob:", "data:", "chrome", "about:"))
            for event in events
        ]

    def findings(self, event: Event) -> Iterable[Finding]:
        """One finding per download."""
        url = event.url or ""
        program = (event.process_name or "browser").lower()
        dest = event.file_path
        action = Action(
            kind=ActionKind.INGRESS,
            utility=program,
            form="history",
            urls=(url,),
            dest=dest,
            confidence=95 if locations.is_url(url) else 70,
        )
        yield Finding(analytic="download_history", stage="landed", action=action, reasons=("browser_download",))
