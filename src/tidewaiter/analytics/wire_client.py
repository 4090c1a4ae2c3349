"""Traffic content: a client that is no browser, or hides what it is, fetches a program or script."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.catalog import roles, wire
from tidewaiter.schema.carried import Carried

_WORDS = re.compile(r"[A-Za-z]{3,}")


class Analytic:
    """By the User-Agent of the request."""

    title = "Programs fetched by what is no browser"
    data_component = "DC0085 Network Traffic Content"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason: only what can be run makes the client interesting."""
        del usual
        if carried.protocol not in ("http", "http2") or carried.push or not carried.asked or carried.outcome == "failed":
            return
        content = wire.content_of(carried.content_type) if carried.content_type else None
        kind = roles.file_type((carried.name or carried.url or "").split("?", 1)[0])
        known = roles.load()
        if (content is None or content.kind not in ("executable", "script")) and kind not in known.executable_types | _SCRIPTS:
            return
        agent = (carried.user_agent or "").strip()
        client = wire.client_of(agent) if agent else None
        if client is not None:
            if not client.browser:
                yield "not_a_browser", agent[:80]
        elif not agent:
            yield "odd_user_agent", "there is none"
        else:
            yield "odd_user_agent", agent[:80]


_SCRIPTS = frozenset({"ps1", "psm1", "bat", "cmd", "vbs", "vbe", "jse", "wsf", "hta", "sct", "sh", "py", "pl", "lnk", "chm"})
