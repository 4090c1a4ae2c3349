"""Traffic flow: bulk inside DNS names or ICMP messages, as weak findings."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.schema.carried import Carried


class Analytic:
    """What correlation counted as a tunnel."""

    title = "Bulk inside DNS and ICMP"
    data_component = "DC0078 Network Traffic Flow"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason."""
        del usual
        if carried.protocol == "dns-tunnel":
            yield "tunnel", f"DNS below {carried.server_name}"
        elif carried.protocol == "icmp-tunnel":
            yield "tunnel", f"ICMP with {carried.server_ip}"
