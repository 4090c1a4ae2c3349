"""One JSON object per line in a file that is rotated by size: transfers with the fields `change`, `revision`, `superseded_by`.

Every batch is on the disk (fsync) before it is acknowledged. What a crash left of a line is cut off before the next line is
written: its delivery was not acknowledged and comes again. The file is locked, so that no two processes mix their lines.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tidewaiter import sink
from tidewaiter.errors import SinkError, UsageError
from tidewaiter.sink import Delivery, Surroundings

if sys.platform != "win32":  # Windows has no such locks; two writers are then the operator's mistake
    import fcntl

LONGEST_LINE = 67_108_864
"""Bytes at the end of the file within which a line must have begun for us to believe that it is one of ours."""


class Settings(sink.Settings, frozen=True, kw_only=True):
    """`type = "jsonl"`."""

    path: str
    max_bytes: int = 104_857_600  # of the file before it is rotated to path.1; one larger line stands alone
    keep: int = 10  # rotated files; older ones are deleted


class Sink:
    """`type = "jsonl"`."""

    batch = 200

    def __init__(self, settings: Settings, here: Surroundings) -> None:
        self.name = here.name
        path = here.path(settings.path)
        if path is None:
            raise UsageError("path: is empty")
        if settings.max_bytes < 1_000 or settings.keep < 1:
            raise UsageError("max_bytes must be at least 1,000 and keep at least 1")
        self._path, self._max_bytes, self._keep = path, settings.max_bytes, settings.keep
        self._descriptor: int | None = None
        self._size = 0

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Append the lines and wait until the disk has them. Raises SinkError (retry); no broken line is left then."""
        lines = [sink.encoded(sink.record(delivery)) + b"\n" for delivery in batch]
        try:
            if self._descriptor is not None and not self._is_current():
                self.close()
            if self._descriptor is None:
                self._open()
            self._write(lines)
        except OSError as error:
            self.close()
            raise SinkError(f"{self._path}: {error.strerror or 'cannot be written'}", retry=True) from None

    def close(self) -> None:
        """Close the file, which also unlocks it."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _write(self, lines: Iterable[bytes]) -> None:
        """Append the lines, in as few writes as rotation allows."""
        pending = b""
        for line in lines:
            if (pending or self._size) and self._size + len(pending) + len(line) > self._max_bytes:
                self._append(pending)
                pending = b""
                self._rotate()
            pending += line
        self._append(pending)

    def _append(self, data: bytes) -> None:
        assert self._descriptor is not None  # opened just before
        start = self._size
        try:
            rest = memoryview(data)
            while rest:
                written = os.write(self._descriptor, rest)
                if not written:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                rest = rest[written:]
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # where this fails too, the next start cuts off the broken line
                os.ftruncate(self._descriptor, start)
            raise
        self._size = start + len(data)

    def _is_current(self) -> bool:
        """Whether the path still leads to the file that is open: somebody may have moved or deleted it."""
        assert self._descriptor is not None  # asked only while open
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._path, flags, 0o640)
        if sys.platform != "win32":
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(errno.EBUSY, "another process writes this file") from None
        if not self._is_current():  # rotated between opening and locking by who held the lock
            raise OSError(errno.EBUSY, "another process has moved this file")
        self._size = self._repaired(os.fstat(self._descriptor).st_size)
        _sync_folder(self._path.parent)

    def _repaired(self, size: int) -> int:
        """The size of the file without a broken last line, to which it is cut."""
        assert self._descriptor is not None  # called by _open
        end, step = size, 65_536
        while end > 0:
            begin = max(0, end - step)
            os.lseek(self._descriptor, begin, os.SEEK_SET)
            data = _read_fully(self._descriptor, end - begin)
            line_end = data.rfind(b"\n")
            if line_end >= 0:
                end = begin + line_end + 1
                break
            if (begin == 0 and data[:1] != b"{") or size - begin > LONGEST_LINE:
                raise OSError(errno.EINVAL, "holds something else than our lines; move it away")
            end = begin
        if end != size:
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return end

    def _rotate(self) -> None:
        """path.1 becomes path.2 and so on, the oldest goes; then path becomes path.1. A crash in between loses nothing more."""
        for number in range(self._keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        if sys.platform == "win32":
            self.close()  # it renames no open file
        self._path.replace(self._numbered(1))
        self.close()  # and unlock only now: who waited for the lock must not find the old file under this name
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _read_fully(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _sync_folder(folder: Path) -> None:
    """Make names durable where the system lets a folder be synchronised."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
