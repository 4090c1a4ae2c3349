"""Contents of files by offset, plain or compressed, without ever holding more than a few lines of them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tidewaiter.feed import HEAD_BYTES, LONGEST_LINE
from tidewaiter.feeds.files.names import is_packed

_BROKEN = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)  # what unpacking a damaged file raises
_STEP = 1 << 18  # bytes unpacked at a time
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))  # those that the system has


class NotRegularError(OSError):
    """It is a folder, a pipe or a device."""


class Contents(Protocol):
    """An open file."""

    path: Path
    broken: Exception | None  # why a compressed file could be unpacked only so far

    def status(self) -> os.stat_result:
        """Of the file itself, whatever its name is now. Raises OSError."""
        ...

    def size(self) -> int | None:
        """Uncompressed bytes; None where only reading to the end can tell. Raises OSError."""
        ...

    def read(self, offset: int, most: int) -> bytes:
        """Up to `most` bytes from there; fewer only at the end of the file. Raises OSError."""
        ...

    def reach(self, offset: int, deadline: float) -> bool:
        """Get ready to read there; False where that takes longer than until `deadline` (time.monotonic): call again."""
        ...

    def close(self) -> None:
        """Let go of the descriptor."""
        ...


class Plain:
    """A file as it is."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises OSError; NotRegularError where it is no regular file (opening a pipe would wait)."""
        self.path = path
        self.broken: Exception | None = None
        self.descriptor = os.open(path, os.O_RDONLY | _FLAGS)
        if not stat.S_ISREG(self.status().st_mode):
            self.close()
            raise NotRegularError(0, "is no regular file", str(path))

    def status(self) -> os.stat_result:
        """As `Contents` says."""
        return os.fstat(self.descriptor)

    def size(self) -> int:
        """As `Contents` says."""
        return self.status().st_size

    def read(self, offset: int, most: int) -> bytes:
        """As `Contents` says."""
        os.lseek(self.descriptor, offset, os.SEEK_SET)
        parts = []
        while most > 0:
            part = os.read(self.descriptor, most)
            if not part:
                break
            parts.append(part)
            most -= len(part)
        return b"".join(parts)

    def reach(self, offset: int, deadline: float) -> bool:  # noqa: ARG002 - the interface's names
        """As `Contents` says: every place of a plain file is reached at once."""
        return True

    def after_hole(self, offset: int) -> int:
        """Where the next bytes stand that are not just a hole in the file; the offset itself where nobody can tell."""
        try:
            return os.lseek(self.descriptor, offset, os.SEEK_DATA)
        except (OSError, AttributeError):  # nothing but a hole follows, or the system knows no holes
            return offset

    def close(self) -> None:
        """As `Contents` says."""
        os.close(self.descriptor)


class Packed:
    """A compressed file, read forwards: what was passed is gone, save the first HEAD_BYTES."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises OSError, and NotRegularError as `Plain` does."""
        self.path = path
        self.broken: Exception | None = None
        plain = Plain(path)
        self._file = os.fdopen(plain.descriptor, "rb")
        openers: dict[str, Callable[[BinaryIO], Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
        self._stream: io.BufferedIOBase = openers[path.suffix](self._file)
        self._head = b""
        self._start = 0  # offset of the first byte of `_held`
        self._held = b""
        self._ended = False

    def status(self) -> os.stat_result:
        """As `Contents` says."""
        return os.fstat(self._file.fileno())

    def size(self) -> int | None:
        """As `Contents` says."""
        return None

    def reach(self, offset: int, deadline: float) -> bool:
        """As `Contents` says."""
        while self._start + len(self._held) < offset and not self._ended:
            if time.monotonic() > deadline:
                return False
            self._drop(offset)
            self._more()
        self._drop(offset)
        return True

    def read(self, offset: int, most: int) -> bytes:
        """As `Contents` says."""
        if offset + most <= len(self._head):
            return self._head[offset : offset + most]
        if offset < self._start:
            return self._head[offset : offset + most]  # nobody asks for what is behind and not in the head
        while self._start + len(self._held) < offset + most and not self._ended:
            self._drop(offset)
            self._more()
        start = offset - self._start
        return self._held[start : start + most]

    def _drop(self, offset: int) -> None:
        """Forget what stands more than a longest line before the offset."""
        gone = min(offset - LONGEST_LINE - self._start, len(self._held))
        if gone > _STEP:
            self._start, self._held = self._start + gone, self._held[gone:]

    def _more(self) -> None:
        try:
            part = self._stream.read1(_STEP)
        except _BROKEN as error:
            self.broken, part = error, b""
        except OSError as error:
            if error.errno is not None:
                raise
            self.broken, part = error, b""  # bz2 says so that the data are damaged
        if not part:
            self._ended = True
            return
        if len(self._head) < HEAD_BYTES:
            self._head += part[: HEAD_BYTES - len(self._head)]
        self._held += part

    def close(self) -> None:
        """As `Contents` says."""
        self._stream.close()
        self._file.close()


def open_contents(path: Path) -> Contents:
    """The file by what its name says of compression. Raises OSError."""
    return Packed(path) if is_packed(path.name) else Plain(path)


def gzip_size(path: Path) -> int | None:
    """Uncompressed bytes modulo 2**32 as the end of a .gz file says; None for others and damaged ones. Raises OSError."""
    if path.suffix != ".gz":
        return None
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() < 18:
            return None
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def is_text(head: bytes) -> bool:
    """Whether a file that begins so may hold lines of text: NUL bytes are only there in runs, as a crash leaves them."""
    if b"\0" not in head:
        return True
    return not any(len(run) < 8 for run in re.findall(rb"\0+", head))
