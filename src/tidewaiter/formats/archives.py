"""Archives and compressed files, told by their magic and unpacked one member at a time within bounds.

A member never decides where it is written: it goes to a randomly named file in the private work folder and its own name
lives on in the label only, so `../` and absolute names do no harm. Formats: ZIP (APPNOTE 6.3), tar (POSIX ustar, pax and GNU,
read as a stream), gzip (RFC 1952), bzip2, xz, Zstandard (RFC 8878) and 7z (through py7zr).
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from lzma import FORMAT_XZ, LZMADecompressor, LZMAError
from pathlib import Path
from typing import IO, Any, Literal, Protocol, cast

import msgspec

from tidewaiter.errors import LimitError

CHUNK = 1 << 20
TAR_BLOCK = 512
TAR_HEADER_BYTES = 16 << 20
"""How much of a tar may be read to find the next member (long names, pax headers)."""
XZ_MEMORY = 256 << 20
ZIP_DIRECTORY_BYTES_PER_MEMBER = 1024
REMEDY_ENCRYPTED = "encrypted: unpack it with its password and give the folder"

Kind = Literal["unreadable", "special file", "empty", "limit", "damaged"]


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


class _Level:
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


def kind_of(head: bytes) -> str | None:
    """Which archive or compression the first bytes belong to ("zip", "tar", "7z", "gzip" ...), or None."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bzip2"
    return "tar" if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    """A tar header by its magic or, for the oldest form, by its checksum."""
    if len(head) < TAR_BLOCK or not head[0]:
        return False
    try:
        checksum = int(head[148:156].strip(b" \0") or b"x", 8)
    except ValueError:
        return False
    return checksum == sum(head[:148]) + 256 + sum(head[156:TAR_BLOCK])


def members(path: Path, label: str, kind: str, spending: Spending, work_dir: Path) -> Iterator[Extracted | Unreadable]:
    """Unpack what `path` holds, one member at a time, each deleted when the next is asked for or the generator closes.

    Never raises on bad content: a damaged or bounded archive ends with an Unreadable, and what came before it stays.
    """
    level = _Level(spending, label, path.stat().st_size)
    try:
        yield from _READERS[kind](path, label, level, work_dir)
    except LimitError as error:
        yield Unreadable(log_file=label, place=error.place, problem=error.problem, kind="limit")
    except _DAMAGE as error:
        yield _damaged(label, f"member {spending.members}" if spending.members else "file", error)


def _damaged(label: str, place: str, error: Exception) -> Unreadable:
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
def _work_file(work_dir: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new private file in the work folder, removed at the end."""
    descriptor, name = tempfile.mkstemp(prefix="m-", dir=work_dir)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as out:
            yield path, out
    finally:
        path.unlink(missing_ok=True)


class _Sink:
    """Writes one member within the bounds. py7zr asks of its target only `write`."""

    def __init__(self, out: IO[bytes], level: _Level) -> None:
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


def _member(label: str, level: _Level, work_dir: Path, fill: Callable[[_Sink], None]) -> Iterator[Extracted | Unreadable]:
    """Unpack one member with `fill` and yield it; where it breaks off, what came out is yielded, then the damage."""
    with _work_file(work_dir) as (path, out):
        sink = _Sink(out, level)
        problem: Unreadable | None = None
        try:
            fill(sink)
        except LimitError:
            raise
        except _DAMAGE as error:
            problem = _damaged(label, f"byte {sink.size}", error)
        out.close()
        if sink.size:
            yield Extracted(path=path, log_file=label)
        elif problem is None:
            problem = Unreadable(log_file=label, place="file", problem="empty", kind="empty")
        if problem is not None:
            yield problem


def _pour(stream: Readable, sink: _Sink) -> None:
    """Copy a decompressor's output."""
    while data := stream.read(CHUNK):
        sink.write(data)


# --- zip ---------------------------------------------------------------------------------------------------------------


class _Guarded(io.RawIOBase):
    """A file whose single reads are bounded, so that a forged directory size cannot ask for all memory."""

    def __init__(self, path: Path, largest: int) -> None:
        self.file = path.open("rb")
        self.largest = largest

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        data = self.file.read(self.largest + 1 if size is None or size < 0 else min(size, self.largest + 1))
        if len(data) > self.largest:
            raise zipfile.BadZipFile(f"a directory larger than {self.largest} bytes")
        return data

    def close(self) -> None:
        self.file.close()
        super().close()


def _zip(path: Path, label: str, level: _Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
    """Members in the order of the directory."""
    largest = max(CHUNK, level.spending.limits.members * ZIP_DIRECTORY_BYTES_PER_MEMBER)
    with _Guarded(path, largest) as raw, zipfile.ZipFile(cast("IO[bytes]", raw)) as archive:
        for info in archive.infolist():
            name = info.filename.replace("\\", "/")
            if name.endswith("/"):
                continue
            level.spending.member(label)
            inner = member_label(label, name)
            if info.flag_bits & 0x1:
                yield Unreadable(log_file=inner, place="file", problem=REMEDY_ENCRYPTED, kind="unreadable")
                continue
            mode = info.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                yield _special(inner, mode)
                continue
            yield from _member(inner, level, work_dir, lambda sink, info=info: _pour_zip(archive, info, sink))  # type: ignore[misc]


def _pour_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, sink: _Sink) -> None:
    """Unpack one zip member; the checksum is checked at its end."""
    with archive.open(info) as stream:
        _pour(stream, sink)


def _special(label: str, mode: int) -> Unreadable:
    """The report of a member that is no file."""
    what = "symbolic link" if stat.S_ISLNK(mode) else "special file"
    return Unreadable(log_file=label, place="file", problem=f"{what} in an archive: not followed", kind="special file")


# --- tar and compressed files --------------------------------------------------------------------------------------------


class _HeaderBound(io.RawIOBase):
    """Passes a tar stream through and bounds how much may be read while looking for the next header."""

    def __init__(self, stream: Readable, head: bytes, label: str) -> None:
        self.stream, self.head, self.label = stream, head, label
        self.left: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = CHUNK if size is None or size < 0 else size
        if self.left is not None:
            self.left -= wanted
            if self.left < 0:
                raise LimitError(self.label, "header", f"a tar header larger than {TAR_HEADER_BYTES} bytes")
        if self.head:
            data, self.head = self.head[:wanted], self.head[wanted:]
            return data
        return self.stream.read(wanted)


def _tar(path: Path, label: str, level: _Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
    """A plain tar."""
    with path.open("rb") as file:
        yield from _tar_stream(file, b"", label, level, work_dir)


def _tar_stream(stream: Readable, head: bytes, label: str, level: _Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
    """Members of a tar read once from front to back, never seeking and never extracting by name."""
    bound = _HeaderBound(stream, head, label)
    bound.left = TAR_HEADER_BYTES
    with tarfile.open(fileobj=cast("IO[bytes]", bound), mode="r|") as archive:
        while True:
            bound.left = TAR_HEADER_BYTES
            info = archive.next()
            bound.left = None
            if info is None:
                return
            archive.members.clear()  # type: ignore[attr-defined]  # a list that would grow with the archive
            if info.isdir():
                continue
            level.spending.member(label)
            inner = member_label(label, info.name)
            if not info.isreg():
                yield _special(inner, stat.S_IFLNK if info.issym() or info.islnk() else stat.S_IFCHR)
                continue
            content = archive.extractfile(info)
            if content is not None:
                yield from _member(inner, level, work_dir, lambda sink, content=content: _pour(content, sink))  # type: ignore[misc]


def _compressed(
    path: Path, label: str, level: _Level, work_dir: Path, opener: Callable[[Path], Any]
) -> Iterator[Extracted | Unreadable]:
    """One compressed file: a tar inside is unpacked as it streams, anything else keeps the label of the whole."""
    with opener(path) as stream:
        head = b""
        try:
            while len(head) < TAR_BLOCK and (data := stream.read(TAR_BLOCK - len(head))):
                head += data
        except _DAMAGE as error:
            if not head:
                yield _damaged(label, "byte 0", error)
                return
        if _is_tar(head):
            yield from _tar_stream(stream, head, label, level, work_dir)
            return
        level.spending.member(label)

        def fill(sink: _Sink) -> None:
            sink.write(head)
            _pour(stream, sink)

        yield from _member(label, level, work_dir, fill)


class _Xz(io.RawIOBase):
    """An xz reader with a memory bound, which the standard file class lacks. Streams may follow one another."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.decoder = LZMADecompressor(FORMAT_XZ, memlimit=XZ_MEMORY)

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = CHUNK if size is None or size < 0 else size
        while True:
            if self.decoder.eof:
                rest = (self.decoder.unused_data or self.file.read(CHUNK)).lstrip(b"\0")
                if not rest:
                    return b""
                self.decoder = LZMADecompressor(FORMAT_XZ, memlimit=XZ_MEMORY)
            else:
                rest = self.file.read(CHUNK) if self.decoder.needs_input else b""
                if self.decoder.needs_input and not rest:
                    raise EOFError("the compressed stream ends before its end mark")
            if data := self.decoder.decompress(rest, max_length=wanted):
                return data

    def close(self) -> None:
        self.file.close()
        super().close()


def _zstandard(path: Path) -> Any:
    """A Zstandard reader: the standard library's (3.14) or the package that py7zr brings along."""
    try:
        from backports import zstd
    except ImportError as error:
        raise NotImplementedError("Zstandard needs the package backports.zstd") from error
    return zstd.ZstdFile(path)


# --- 7z ------------------------------------------------------------------------------------------------------------------


def _seven_zip(path: Path, label: str, level: _Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
    """Members in packed order. Each folder (solid block) is unpacked once, one member after the other, by py7zr's worker:
    its own `extract` would unpack a solid block again for each member, or write all members at once.
    """
    with path.open("rb") as file:
        try:
            import py7zr

            archive = py7zr.SevenZipFile(file)
            unpack = getattr(archive.header, "main_streams", None)
            encrypted = unpack is not None and archive.needs_password()
        except Exception as error:  # noqa: BLE001 - a parser that meets forged headers with any error at all
            yield _damaged(label, "file", error)
            return
        for entry in archive.files:
            if entry.emptystream and not entry.is_directory and not entry.filename.endswith("/"):
                level.spending.member(label)
                inner = member_label(label, entry.filename)
                yield Unreadable(log_file=inner, place="file", problem="empty", kind="empty")
        if unpack is None:
            return
        positions = unpack.packinfo.packpositions
        for number, folder in enumerate(unpack.unpackinfo.folders):
            start, end = (archive.afterheader + positions[number + step] for step in (0, 1))
            for first, entry in enumerate(folder.files or ()):
                level.spending.member(label)
                inner = member_label(label, entry.filename)
                if encrypted:
                    yield Unreadable(log_file=inner, place="file", problem=REMEDY_ENCRYPTED, kind="unreadable")
                    continue
                if not first:
                    file.seek(start)
                yield from _seven_zip_member(archive, folder, entry, end, inner, level, work_dir)


def _seven_zip_member(
    archive: Any, folder: Any, entry: Any, end: int, label: str, level: _Level, work_dir: Path
) -> Iterator[Extracted | Unreadable]:
    """One member of a solid block, at the place where the member before it ended."""

    def fill(sink: _Sink) -> None:
        try:
            checksum = archive.worker.decompress(archive.fp, folder, sink, entry.uncompressed, entry.compressed, end)
        except LimitError:
            raise
        except Exception as error:  # see above: any error means damage
            raise zipfile.BadZipFile(str(error) or type(error).__name__) from error
        if entry.crc32 is not None and checksum != entry.crc32:
            raise zipfile.BadZipFile("the checksum differs")

    if entry.is_symlink or entry.is_junction or entry.is_socket:
        # Its content must still be unpacked: the next member starts behind it.
        with _work_file(work_dir) as (_, out):
            fill(_Sink(out, level))
        yield _special(label, stat.S_IFLNK)
        return
    yield from _member(label, level, work_dir, fill)


_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
_DAMAGE = (
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
_READERS: dict[str, Callable[[Path, str, _Level, Path], Iterator[Extracted | Unreadable]]] = {
    "zip": _zip,
    "tar": _tar,
    "7z": _seven_zip,
    "gzip": lambda path, label, level, work: _compressed(path, label, level, work, gzip.open),
    "bzip2": lambda path, label, level, work: _compressed(path, label, level, work, bz2.open),
    "xz": lambda path, label, level, work: _compressed(path, label, level, work, _Xz),
    "zstd": lambda path, label, level, work: _compressed(path, label, level, work, _zstandard),
}
