"""Traffic content: a file is written to an administrative share."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.schema.carried import Carried

_ADMIN = re.compile(r"(?:^|\\)(?:admin|[a-z])\$(?:\\|$)", re.I)


class Analytic:
    """By the share's name."""

    title = "Writes to administrative shares on the wire"
    data_component = "DC0102 Network Share Access"

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """At most one reason."""
        del usual
        if carried.protocol == "smb" and carried.push and carried.outcome != "failed":
            share = carried.share or carried.name or ""
            if _ADMIN.search(share.replace("/", "\\")):
                yield "admin_share_write", share[:80]
