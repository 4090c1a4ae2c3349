"""Traffic flow: one side sends far more than in the other flows of that host and service."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline, Sides
from tidewaiter.schema.carried import Carried

OUTLIER = 3.5
SCALE = 1.4826
LEAST = 50_000
NARROWEST = 0.75
"""Deviation that is assumed at least, in powers of two: counts in whole powers are no finer."""


class Analytic:
    """Robust z-score of log2(bytes in / bytes out) by median and median absolute deviation."""

    title = "Flows that are far more one way than usual"
    data_component = "DC0078 Network Traffic Flow"

    def __init__(self) -> None:
        self._sides: tuple[FlowBaseline, Sides] | None = None

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason; none where the evidence holds too few flows to know the usual."""
        got, sent = carried.flow_in or 0, carried.flow_out or 0
        if max(got, sent) < LEAST or carried.outcome == "failed":
            return
        if self._sides is None or self._sides[0] is not usual:
            self._sides = (usual, Sides(usual))
        service = carried.protocol or f"{carried.transport}/{carried.server_port}"
        known = self._sides[1].usual(carried.client_ip, service)
        if known is None:
            return
        away = (got.bit_length() - sent.bit_length() - known.median) / max(SCALE * known.deviation, NARROWEST)
        if abs(away) >= OUTLIER and (away > 0) != carried.push:
            ratio = (max(got, sent)) / max(1, min(got, sent))
            yield "one_sided", f"{ratio:.0f} to 1, {abs(away):.1f} deviations from the median of {known.flows} flows"
