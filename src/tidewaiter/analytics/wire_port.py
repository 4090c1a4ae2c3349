"""Traffic flow: the protocol is not the one expected on its port; and finger on TCP 79."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.catalog import ports
from tidewaiter.schema.carried import Carried


class Analytic:
    """By the port of the server side, against knowledge/ports.toml."""

    title = "Protocols on ports that are not theirs"
    data_component = "DC0078 Network Traffic Flow"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason. Exceptions are said, and weigh nothing."""
        del usual
        protocol, port = carried.protocol, carried.server_port
        if protocol == "finger":
            yield "finger", ""
        if (carried.url or "").startswith("https:"):
            return  # inside TLS, as the server's own log tells it
        known = ports.load()
        if known.expected(protocol, port) is not False:
            return
        service = known.listed(protocol, port)
        if service is not None:
            yield "listed_port", f"{service} on {port}"
        else:
            yield "wrong_port", f"{protocol} on {port}"
