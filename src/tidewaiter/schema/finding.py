"""One hit of one analytic on one event."""

from __future__ import annotations

import msgspec

from tidewaiter.schema.action import Action


class Evidence(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A log record that a transfer rests on."""

    log_file: str
    record: str
    time: int  # microseconds since 1970 UTC
    log_source: str
    summary: str


class Finding(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """What an analytic saw in one event. Correlation joins findings; judgement weighs them."""

    analytic: str  # module name in analytics/
    stage: str  # the stage it shows: commanded, connected, carried, landed, checked, run, spread
    action: Action | None = None
    reasons: tuple[str, ...] = ()  # ids of knowledge/weights.toml
    note: str = ""
