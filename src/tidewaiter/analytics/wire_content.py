"""Traffic content: a program or script arrives, known by the content itself and not by its name."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.catalog import wire
from tidewaiter.schema.carried import Carried


class Analytic:
    """Magic text or MIME type as the sensor determined it."""

    title = "Programs and scripts by their content"
    data_component = "DC0085 Network Traffic Content"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason."""
        del usual
        content = wire.content_of(carried.content_type) if carried.content_type else None
        if content is None or carried.outcome == "failed":
            return
        if content.kind == "executable":
            yield "executable_content", carried.seen_type[:80]
        elif content.kind == "script":
            yield "script_content", carried.seen_type[:80]
