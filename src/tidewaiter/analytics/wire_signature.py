"""Traffic content: a signature of the sensor fired on the flow that carried the file."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.schema.carried import Carried


class Analytic:
    """Alerts that correlation kept: those of the highest severity and of our own rules."""

    title = "Alerts on the flow of a transfer"
    data_component = "DC0085 Network Traffic Content"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason."""
        del usual
        if carried.alerts:
            yield "signature", "; ".join(carried.alerts[:3])[:200]
