"""Putting aside what Suricata and tshark carve out of a capture, where it is asked for; else it goes with their private folder.

Files are moved or written under the SHA-256 that the record names, into a private folder. They are not opened here.
Source: the Suricata user guide, "File Extraction" (file-store version 2: a folder per first byte of the SHA-256).
"""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path

from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.extracted import Extracted, Extracts

STORE = "filestore"
"""The folder below Suricata's private one in which it stores files."""
MOST_FILES, MOST_BYTES, LARGEST = 10_000, 2 << 30, 1 << 30
"""What is put aside of one capture: files, bytes in all and bytes of one file."""
MOST_RECORDS, LONGEST_NAME = 20, 1_000
TOO_MANY = f"more than {MOST_FILES:,} files or {MOST_BYTES / 1e9:.1f} GB in one capture"
TOO_LARGE = f"larger than {LARGEST / 1e9:.1f} GB"
NOT_STORED = "the packet engine did not get it to its end"
TOO_LONG = "too large, or one of many at a time, to be put together by tshark"
_PARTS = "tmp"
_MOST_REMEMBERED = 50_000

_SHA256 = re.compile(r"[0-9a-f]{64}")


def prepare(engine: Path) -> None:
    """Make the folder for Suricata's store. All parts are one: its Landlock forbids renaming from folder to folder."""
    (engine / STORE / _PARTS).mkdir(mode=0o700, parents=True)
    for number in range(256):
        (engine / STORE / f"{number:02x}").symlink_to(_PARTS)


class Harvest:
    """The contents of one capture. `folder` is made where it is needed; `extracts` is filled as contents come."""

    def __init__(self, folder: Path, extracts: Extracts, log_file: str) -> None:
        self._folder = folder
        self._extracts = extracts
        self._log_file = log_file
        self._known: dict[str, Extracted] = {}
        self._refused: dict[str, str] = {}  # SHA-256 and why it is not put aside
        self._left = MOST_BYTES

    def sweep(self, engine: Path) -> None:
        """Move what Suricata has stored by now out of its private folder, so that this does not fill the disk meanwhile."""
        unfinished = 0
        for path in sorted((engine / STORE / _PARTS).glob("*")):
            try:
                status = path.lstat()
                if _SHA256.fullmatch(path.name) and stat.S_ISREG(status.st_mode):
                    self._move(path, status.st_size)
                    continue
                unfinished += status.st_size
                if status.st_size > LARGEST or unfinished > MOST_BYTES:
                    path.unlink()  # Suricata goes on without it
            except OSError as error:
                self._refuse(path.name, error.strerror or str(error))

    def _move(self, path: Path, size: int) -> None:
        target = self._room(path.name, size)
        if target is None:
            path.unlink()
        else:
            path.replace(target)
            self._put(path.name, target, size)

    def add(self, sha256: str, content: bytes) -> None:
        """Put a content aside that tshark gave."""
        target = self._room(sha256, len(content))
        if target is None:
            return
        try:
            target.write_bytes(content)
            self._put(sha256, target, len(content))
        except OSError as error:
            with suppress(OSError):
                target.unlink()
            self._refuse(sha256, error.strerror or str(error))

    def describe(self, event: Event) -> None:
        """Remember what a record says of a content, or count it where the content was not put aside."""
        if event.kind is not EventKind.FILE_ON_WIRE or not event.file_size:
            return
        extra = event.extra or {}
        known = self._known.get(event.sha256 or "")
        if known is None:
            by_tshark = extra.get("rebuilt_by") == "tshark"
            self._extracts.leave(self._refused.get(event.sha256 or "", TOO_LONG if by_tshark else NOT_STORED))
            return
        known.type = known.type or event.file_type
        known.name = known.name or (event.file_path[:LONGEST_NAME] if event.file_path else None)
        known.gaps = known.gaps or bool(extra.get("gaps"))
        if len(known.records) < MOST_RECORDS:
            known.records.append(event.record)

    def _room(self, sha256: str, size: int) -> Path | None:
        """Where a content goes; None where it is there already, is too large or one too many."""
        if sha256 in self._known:
            return None
        if size > LARGEST or len(self._known) >= MOST_FILES or size > self._left:
            self._refuse(sha256, TOO_LARGE if size > LARGEST else TOO_MANY)
            return None
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self._folder / sha256

    def _put(self, sha256: str, target: Path, size: int) -> None:
        self._left -= size
        self._known[sha256] = Extracted(path=str(target), log_file=self._log_file)
        self._extracts.files.append(self._known[sha256])

    def _refuse(self, sha256: str, reason: str) -> None:
        if len(self._refused) < _MOST_REMEMBERED:
            self._refused[sha256] = reason
