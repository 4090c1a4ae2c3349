"""Connection creation: the source is a public hosting, code, paste or file service (ATT&CK T1102)."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.catalog import places
from tidewaiter.schema.carried import Carried


class Analytic:
    """By the name that the request or the TLS handshake asks for, against knowledge/places.toml."""

    title = "Content from public hosting services"
    data_component = "DC0082 Network Connection Creation"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason."""
        del usual
        if carried.push or carried.server_name is None:
            return
        known = places.below(carried.server_name, places.load().hosting)
        if known is not None:
            yield "hosting_service", known
