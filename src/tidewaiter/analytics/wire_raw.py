"""Traffic content: a program as bare bytes on a connection without any application protocol."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.catalog import wire
from tidewaiter.schema.carried import Carried

_BARE = frozenset({"tcp", "udp", "raw-tcp", "raw", "failed", "unknown", ""})


class Analytic:
    """Files that a sensor found on a flow whose protocol none knows."""

    title = "Programs without an application protocol"
    data_component = "DC0085 Network Traffic Content"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason."""
        del usual
        if carried.shown != "content" or (carried.protocol or "") not in _BARE:
            return
        content = wire.content_of(carried.content_type) if carried.content_type else None
        if content is not None and content.kind in ("executable", "script"):
            yield "raw_executable", f"{carried.seen_type[:60]} on port {carried.server_port}"
