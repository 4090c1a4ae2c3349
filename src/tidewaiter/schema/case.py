"""A transfer on its way from correlation to judgement: the record, and the facts about it that the record does not print."""

from __future__ import annotations

import msgspec

from tidewaiter.schema.action import Action
from tidewaiter.schema.transfer import Transfer


class Case(msgspec.Struct, kw_only=True, gc=False):
    """One assembled transfer with what judgement needs to weigh it."""

    transfer: Transfer
    action: Action
    analytic: str  # the analytic that found it first
    urls: tuple[str, ...] = ()
    dest: str | None = None
    program: str = ""  # base name of the asking program, lower case, without .exe
    original_name: str | None = None  # its PE OriginalFileName
    ancestors: tuple[str, ...] = ()  # base names of its parent, grandparent ...
    marks: dict[str, str] = {}  # reason id -> detail
    failed: bool = False
    sent: tuple[tuple[int, str, str | None], ...] = ()  # sent on: microseconds, base name, host it went to
