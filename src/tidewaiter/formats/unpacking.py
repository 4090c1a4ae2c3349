"""What unpacking any archive needs: bounds and what was spent of them, reports, and private files for members."""

from __future__ import annotations

import errno
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import IO, Literal, Protocol

import msgspec

from tidewaiter.errors import LimitError

CHUNK = 1 << 20
REMEDY_ENCRYPTED = "encrypted: unpack it with its password and give the folder"

Kind = Literal["unreadable", "special file", "empty", "limit", "damaged", "unrecognised"]


DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,  # negative seeks, undecodable names
    IndexError,
    KeyError,
    OverflowError,
    AssertionError,
    AttributeError,
    TypeError,
    RuntimeError,  # zipfile: encrypted; NotImplementedError: method unknown
    MemoryError,
)
"""What the unpacking libraries raise on forged or broken content."""


class InputLimits(msgspec.Struct, kw_only=True, frozen=True):
    """Bounds on unpacking one top-level input. `ratio` is extracted to packed size and binds beyond `ratio_free` bytes."""

    depth: int = 4
    members: int = 20_000
    total_bytes: int = 64 << 30
    member_bytes: int = 16 << 30
    ratio: int = 200
    ratio_free: int = 64 << 20


class Unreadable(msgspec.Struct, kw_only=True, frozen=True):
    """Something found in the input that cannot be read, or not fully: what, where in it, why."""

    log_file: str
    place: str  # "file", "byte 4096", "member 7"
    problem: str
    kind: Kind


class Extracted(msgspec.Struct, kw_only=True, frozen=True):
    """One unpacked member: a file in the work folder that lives until the next one is asked for."""

    path: Path
    log_file: str


class Readable(Protocol):
    """What a decompressor must offer."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        ...


class Spending:
    """What unpacking one top-level input has cost so far. Shared by all archives nested in it."""

    def __init__(self, limits: InputLimits, packed: int) -> None:
        self.limits = limits
        self.packed = packed
        self.members = 0
        self.extracted = 0

    def member(self, label: str) -> None:
        """Count a member; raises LimitError past the bound."""
        self.members += 1
        if self.members > self.limits.members:
            raise LimitError(label, f"member {self.members}", f"more than {self.limits.members} members")


class Level:
    """The cost of one archive, for its own ratio as well as that of the whole input."""

    def __init__(self, spending: Spending, label: str, packed: int) -> None:
        self.spending, self.label, self.packed = spending, label, packed
        self.extracted = 0

    def take(self, count: int, member: int) -> None:
        """Count extracted bytes (`member` = of this member so far); raises LimitError past a bound."""
        limits, spending = self.spending.limits, self.spending
        self.extracted += count
        spending.extracted += count
        place = f"member {spending.members}"
        if member > limits.member_bytes:
            raise LimitError(self.label, place, f"a member larger than {limits.member_bytes} bytes")
        if spending.extracted > limits.total_bytes:
            raise LimitError(self.label, place, f"unpacks to more than {limits.total_bytes} bytes")
        for extracted, packed in ((self.extracted, self.packed), (spending.extracted, spending.packed)):
            if extracted > limits.ratio_free and extracted > limits.ratio * packed:
                raise LimitError(self.label, place, f"unpacks to more than {limits.ratio} times its size")


def clean_label(text: str) -> str:
    """The text with characters that no encoding can carry (lone surrogates of undecodable names) spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def member_label(archive: str, name: str) -> str:
    """`archive!name`, with the backslashes of names written by Windows programs as slashes."""
    return f"{archive}!{clean_label(name).replace(chr(92), '/')}"


def damage_of(label: str, place: str, error: Exception) -> Unreadable:
    """The report of content that breaks off; encryption and unknown methods are said as what they are."""
    text = clean_label(str(error)) or type(error).__name__
    lower = text.lower()
    if "password" in lower or "encrypted" in lower or type(error).__name__ == "PasswordRequired":
        return Unreadable(log_file=label, place=place, problem=REMEDY_ENCRYPTED, kind="unreadable")
    if isinstance(error, NotImplementedError) or "compression method" in lower:
        problem = f"{text}: unpack it with another program and give the folder"
        return Unreadable(log_file=label, place=place, problem=problem[:300], kind="unreadable")
    return Unreadable(log_file=label, place=place, problem=text[:300], kind="damaged")


@contextmanager
def work_file(work_dir: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new private file in the work folder, removed at the end."""
    descriptor, name = tempfile.mkstemp(prefix="m-", dir=work_dir)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as out:
            yield path, out
    finally:
        path.unlink(missing_ok=True)


class Sink:
    """Writes one member within the bounds. py7zr asks of its target only `write`."""

    def __init__(self, out: IO[bytes], level: Level) -> None:
        self.out, self.level, self.size = out, level, 0

    def write(self, data: bytes | bytearray) -> int:
        """Count, then write; raises LimitError past a bound or where the disk is full."""
        self.size += len(data)
        self.level.take(len(data), self.size)
        try:
            self.out.write(data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                place = f"member {self.level.spending.members}"
                raise LimitError(self.level.label, place, "no space left in the work folder") from error
            raise
        return len(data)


def member_of(label: str, level: Level, work_dir: Path, fill: Callable[[Sink], None]) -> Iterator[Extracted | Unreadable]:
    """Unpack one member with `fill` and yield it; where it breaks off, what came out is yielded, then the damage."""
    with work_file(work_dir) as (path, out):
        sink = Sink(out, level)
        problem: Unreadable | None = None
        try:
            fill(sink)
        except LimitError:
            raise
        except DAMAGE as error:
            problem = damage_of(label, f"byte {sink.size}", error)
        out.close()
        if sink.size:
            yield Extracted(path=path, log_file=label)
        elif problem is None:
            problem = Unreadable(log_file=label, place="file", problem="empty", kind="empty")
        if problem is not None:
            yield problem


def pour(stream: Readable, sink: Sink) -> None:
    """Copy a decompressor's output. `read1` gives what was unpacked before an error; `read` would lose it."""
    read = getattr(stream, "read1", stream.read)
    while data := read(CHUNK):
        sink.write(data)


def special_of(label: str, mode: int) -> Unreadable:
    """The report of a member that is no file."""
    what = "symbolic link" if stat.S_ISLNK(mode) else "special file"
    return Unreadable(log_file=label, place="file", problem=f"{what} in an archive: not followed", kind="special file")
