"""What is remembered of a log file that was scanned: its size, the digest of its content, how far it is, its accounts."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

import msgspec

from tidewaiter.schema.account import Account

SMALL = 1_048_576
"""Files up to so many bytes are digested whole."""
EDGE = 65_536
"""Bytes at the beginning and the end of larger ones that are digested, with the size."""


class LogInput(msgspec.Struct, kw_only=True):
    """One log file or archive as it was given."""

    log_file: str
    size: int
    digest: str
    state: Literal["partial", "done"] = "partial"
    accounts: list[Account] = []

    @property
    def key(self) -> str:
        """What the log file is known by: a digest of its label, which may be of any length."""
        return hashlib.sha256(self.log_file.encode("utf-8", "surrogatepass")).hexdigest()


def content_digest(path: Path) -> str:
    """`sha256:` of a small file, `edges:` of the first and last bytes and the size of a larger one. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256()
        if size <= SMALL:
            digest.update(file.read(SMALL))
            return f"sha256:{digest.hexdigest()}"
        digest.update(file.read(EDGE))
        file.seek(-EDGE, os.SEEK_END)
        digest.update(file.read(EDGE))
        digest.update(str(size).encode())
        return f"edges:{digest.hexdigest()}"
