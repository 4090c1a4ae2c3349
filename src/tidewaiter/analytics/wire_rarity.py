"""Connection creation: in this evidence nobody else talks to where the file came from."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.schema.carried import Carried

ENOUGH_HOSTS = 5
"""Hosts in the evidence from which on it means something that only one of them talks to a place."""


class Analytic:
    """By name where the request names one, else by address."""

    title = "Sources that only one host talks to"
    data_component = "DC0082 Network Connection Creation"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason, which says that it is of this evidence only."""
        if carried.push or carried.outcome == "failed" or len(usual.hosts) < ENOUGH_HOSTS:
            return
        source = carried.server_name or carried.server_ip
        if source is not None and usual.talkers(source) == 1:
            yield "rare_source", f"{source}, one of {len(usual.hosts)} hosts"
