"""Typed settings of a run."""

from __future__ import annotations

import os

import msgspec

from tidewaiter.errors import UsageError
from tidewaiter.schema.transfer import SEVERITIES


class ScanOptions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a scan shows and what it may use. Times are microseconds since 1970 UTC."""

    min_severity: str = "informational"
    since: int | None = None
    until: int | None = None
    hosts: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()  # networks that are inside, instead of those that are by default
    policies: tuple[str, ...] = ()  # files whose entries become reasons when transfers are read
    jobs: int | None = None  # worker processes; None: one per core, at most 8
    half_life: float = 30.0  # days after which an observation of the baseline counts half
    item_seconds: float = 600.0  # a file whose reader says nothing for so long is given up

    def __post_init__(self) -> None:
        if self.min_severity not in SEVERITIES:
            raise UsageError(f"severity {self.min_severity!r} is none of {', '.join(SEVERITIES)}")

    @property
    def workers(self) -> int:
        """How many worker processes to use."""
        return max(1, self.jobs or min(8, os.cpu_count() or 1))


class ProgressUpdate(msgspec.Struct, frozen=True):
    """How far the reading is: bytes done, bytes in all, what is being read."""

    done: int
    total: int
    what: str
