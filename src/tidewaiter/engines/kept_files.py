"""`--keep-files DIR`: contents of captures under their SHA-256, and an index of what they are and whose.

Contents are copied and hashed, never opened by any program. No name from a capture becomes a path: it stands in the index, as
JSON in ASCII. Files are of the owner alone (0600) and never executable.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tidewaiter.engines.kept_folder import KeptFolder
from tidewaiter.output import printable
from tidewaiter.schema.extracted import Extracted, Extracts
from tidewaiter.schema.transfer import Transfer

INDEX = "index.jsonl"
MOST_FILES, MOST_BYTES, MOST_ENTRIES = 10_000, 4 << 30, 100_000
"""What a folder holds at most, with what earlier scans left in it: files, bytes in all, and lines of the index."""
MOST_TRANSFERS = 100
"""Transfers that an entry names."""

_LONGEST_LINE, _LONGEST_INPUT = 1 << 20, 10_000
_PARTIAL = ".partial"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_Key = tuple[str, str]  # SHA-256 and input


class KeptFiles:
    """The folder of kept files; a context manager, which lets go of it.

    `kept` counts the new ones, `known` those that were there, `left` those that are not kept, by the reason.
    """

    def __init__(self, folder: str | Path) -> None:
        """Make the folder, or take it up where its index says that it is one of ours. Raises UsageError on any other."""
        self.kept = self.known = 0
        self.left: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._mentioned: set[_Key] = set()
        self._records: dict[tuple[str, str], str] = {}  # input and record: the SHA-256 of its content, of this scan
        self._transfers: dict[_Key, list[str]] = {}
        try:
            self.folder = KeptFolder(folder, "--keep-files")
            try:
                self._take_up()
            except BaseException:  # raised again: only what was begun is undone first
                self.folder.close()
                raise
        except OSError as error:
            from tidewaiter.errors import UsageError

            raise UsageError(f"--keep-files {folder}: {error.strerror or error}") from error

    def __enter__(self) -> KeptFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.folder.close()

    def _take_up(self) -> None:
        names = self.folder.names()
        if INDEX not in names:
            if names:
                raise self.folder.refusal(f"is not empty and holds no {INDEX}: name a new or an empty folder")
            self.folder.create(INDEX).close()
            return
        if self.folder.size(INDEX) is None:
            raise self.folder.refusal(f"{INDEX} is no file: name a new or an empty folder")
        with self.folder.append(INDEX) as lines:
            sound = number = 0
            lines.seek(0)
            while line := lines.readline(_LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE and number > 1:
                    lines.truncate(sound)  # cut off when a scan was killed: the line is written again
                    break
                self._mentioned.add(_key(self._entry(line, number)))
                sound += len(line)
        for name in names:
            if _SHA256.fullmatch(name) and (size := self.folder.size(name)) is not None:
                self._sizes[name] = size
                self._bytes += size
        self.folder.remove(_PARTIAL)

    def _entry(self, line: bytes, number: int) -> dict[str, Any]:
        """One line of the index. Raises UsageError where it is none of ours."""
        with suppress(ValueError, TypeError, KeyError):
            entry = json.loads(line)
            if (
                _SHA256.fullmatch(entry["sha256"])
                and isinstance(entry["log_file"], str)
                and isinstance(entry["transfers"], list)
            ):
                return dict(entry)
        raise self.folder.refusal(f"line {number} of {INDEX} is none of ours: name a new or an empty folder")

    def take(self, extracts: Extracts) -> None:
        """Keep the contents of one work item and remove them from where they lay. What cannot be written is counted."""
        self.left.update(extracts.left)
        for found in extracts.files:
            source = Path(found.path)
            try:
                self._keep(source, found)
            except OSError as error:
                self.left[error.strerror or str(error)] += 1
            with suppress(OSError):
                source.unlink()
        for folder in {Path(found.path).parent for found in extracts.files}:
            with suppress(OSError):
                folder.rmdir()

    def _keep(self, source: Path, found: Extracted) -> None:
        log_file = found.log_file[:_LONGEST_INPUT]
        if len(self._mentioned) >= MOST_ENTRIES and (source.name, log_file) not in self._mentioned:
            self.left[f"the index names {MOST_ENTRIES:,} at most"] += 1
            return
        with os.fdopen(os.open(source, _READ), "rb") as taken:
            status = os.fstat(taken.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError("no regular file")
            if source.name not in self._sizes and (len(self._sizes) >= MOST_FILES or self._bytes + status.st_size > MOST_BYTES):
                self.left[f"a folder holds {MOST_FILES:,} files and {MOST_BYTES / 1e9:.1f} GB at most"] += 1
                return
            sha256, size = self._copied(taken, status.st_size)
        if sha256 in self._sizes:
            self.folder.remove(_PARTIAL)
            self.known += 1
        else:
            self.folder.rename(_PARTIAL, sha256)
            self._sizes[sha256] = size
            self._bytes += size
            self.kept += 1
        self._mention(sha256, size, log_file, found)

    def _mention(self, sha256: str, size: int, log_file: str, found: Extracted) -> None:
        for record in found.records:
            self._records[found.log_file, record] = sha256
        if (sha256, log_file) in self._mentioned:
            return
        self._mentioned.add((sha256, log_file))
        entry = {
            "sha256": sha256, "size": size, "type": found.type, "gaps": found.gaps, "name": found.name, "log_file": log_file,
            "records": found.records, "transfers": [],
        }  # fmt: skip
        with self.folder.append(INDEX) as index:
            index.write(_line(entry))

    def _copied(self, taken: Any, most: int) -> tuple[str, int]:
        """Copy a content to a file of no meaning yet; returns its SHA-256 and size, by its bytes."""
        digest, size = hashlib.sha256(), 0
        self.folder.remove(_PARTIAL)
        with self.folder.create(_PARTIAL) as written:
            while size < most and (part := taken.read(min(1 << 20, most - size))):
                digest.update(part)
                written.write(part)
                size += len(part)
        return digest.hexdigest(), size

    def seen(self, transfers: Iterable[Transfer]) -> Iterator[Transfer]:
        """Pass transfers on; at their end, write into the index which of them a content belongs to.

        It belongs to those of its hash in its input, and to those whose evidence is its record.
        """
        for transfer in transfers:
            for evidence in transfer.evidence:
                by_record = self._records.get((evidence.log_file, evidence.record))
                for sha256 in {transfer.file.sha256, by_record} - {None}:
                    key = (str(sha256), evidence.log_file[:_LONGEST_INPUT])
                    named = self._transfers.setdefault(key, []) if key in self._mentioned else None
                    if named is not None and transfer.id not in named and len(named) < MOST_TRANSFERS:
                        named.append(transfer.id)
            yield transfer
        self._finish()

    def _finish(self) -> None:
        """Write the transfers into the index, in its place when it is whole. What fails is in `left`: the old one stays."""
        try:
            self.folder.remove(_PARTIAL)
            with self.folder.append(INDEX) as index, self.folder.create(_PARTIAL) as written:
                index.seek(0)
                for number, line in enumerate(iter(lambda: index.readline(_LONGEST_LINE), b""), 1):
                    entry = self._entry(line, number)
                    found = self._transfers.get(_key(entry), [])
                    entry["transfers"] = sorted({*map(str, entry["transfers"]), *found})[:MOST_TRANSFERS]
                    written.write(_line(entry))
            self.folder.rename(_PARTIAL, INDEX)
        except OSError as error:
            self.left[f"transfers not written to {INDEX}: {error.strerror or error}"] += 1

    def summary(self) -> str:
        """One line for the end of a scan, free of control characters."""
        said = f"Kept files: {self.kept:,} new in {printable(str(self.folder.path))}"
        said += f", {self.known:,} found again" if self.known else ""
        if self.left:
            reasons = "; ".join(f"{count:,}: {printable(reason)}" for reason, count in self.left.most_common(5))
            said += f"; {self.left.total():,} NOT kept ({reasons})"
        return said


def _key(entry: dict[str, Any]) -> _Key:
    return entry["sha256"], entry["log_file"]


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=True).encode("ascii") + b"\n"
