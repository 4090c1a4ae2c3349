"""Contents that were carved out of a capture and lie in a private folder, for whoever keeps them. They are data, never run."""

from __future__ import annotations

import msgspec


class Extracted(msgspec.Struct, kw_only=True):
    """One content: where it lies for now, the input it came from, and what that input's records say of it.

    `name` is the sender's. `records` are names of records as in evidence, the first few. `gaps`: bytes are missing in it.
    """

    path: str
    log_file: str
    type: str | None = None
    name: str | None = None
    gaps: bool = False
    records: list[str] = []


class Extracts(msgspec.Struct):
    """The contents of one work item, and how many more there were than are put aside, by the reason."""

    files: list[Extracted] = []
    left: dict[str, int] = {}

    def leave(self, reason: str) -> None:
        """Count a content that is not put aside."""
        self.left[reason] = self.left.get(reason, 0) + 1
