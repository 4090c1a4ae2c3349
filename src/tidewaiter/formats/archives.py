"""Archives and compressed files, told by their magic and unpacked one member at a time within bounds.

A member never decides where it is written: it goes to a randomly named file in the private work folder and its own name
lives on in the label only, so `../` and absolute names do no harm. Formats: ZIP (APPNOTE 6.3), tar (POSIX ustar, pax and GNU,
read as a stream), gzip (RFC 1952), bzip2, xz, Zstandard (RFC 8878) and 7z (through py7zr).
"""

from __future__ import annotations

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from lzma import FORMAT_XZ, LZMADecompressor
from pathlib import Path
from typing import IO, Any, cast

from tidewaiter.errors import LimitError
from tidewaiter.formats import seven_zip
from tidewaiter.formats.unpacking import (
    CHUNK,
    DAMAGE,
    REMEDY_ENCRYPTED,
    Extracted,
    InputLimits,
    Level,
    Readable,
    Sink,
    Spending,
    Unreadable,
    clean_label,
    damage_of,
    member_label,
    member_of,
    pour,
    special_of,
)

__all__ = ["Extracted", "InputLimits", "Spending", "Unreadable", "clean_label", "kind_of", "members"]

TAR_BLOCK = 512
TAR_HEADER_BYTES = 16 << 20
"""How much of a tar may be read to find the next member (long names, pax headers)."""
XZ_MEMORY = 256 << 20
ZIP_DIRECTORY_BYTES_PER_MEMBER = 1024


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
    level = Level(spending, label, path.stat().st_size)
    try:
        yield from _READERS[kind](path, label, level, work_dir)
    except LimitError as error:
        yield Unreadable(log_file=label, place=error.place, problem=error.problem, kind="limit")
    except DAMAGE as error:
        yield damage_of(label, f"member {spending.members}" if spending.members else "file", error)


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


def _zip(path: Path, label: str, level: Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
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
                yield special_of(inner, mode)
                continue
            yield from member_of(inner, level, work_dir, partial(_pour_zip, archive, info))


def _pour_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, sink: Sink) -> None:
    """Unpack one zip member; the checksum is checked at its end."""
    with archive.open(info) as stream:
        pour(stream, sink)


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


def _tar(path: Path, label: str, level: Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
    """A plain tar."""
    with path.open("rb") as file:
        yield from _tar_stream(file, b"", label, level, work_dir)


def _tar_stream(stream: Readable, head: bytes, label: str, level: Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
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
                yield special_of(inner, stat.S_IFLNK if info.issym() or info.islnk() else stat.S_IFCHR)
                continue
            content = archive.extractfile(info)
            if content is not None:
                yield from member_of(inner, level, work_dir, partial(pour, content))


def _compressed(
    path: Path, label: str, level: Level, work_dir: Path, opener: Callable[[Path], Any]
) -> Iterator[Extracted | Unreadable]:
    """One compressed file: a tar inside is unpacked as it streams, anything else keeps the label of the whole."""
    with opener(path) as stream:
        head = b""
        try:
            read = getattr(stream, "read1", stream.read)
            while len(head) < TAR_BLOCK and (data := read(TAR_BLOCK - len(head))):
                head += data
        except DAMAGE as error:
            if not head:
                yield damage_of(label, "byte 0", error)
                return
        if _is_tar(head):
            yield from _tar_stream(stream, head, label, level, work_dir)
            return
        level.spending.member(label)

        def fill(sink: Sink) -> None:
            sink.write(head)
            pour(stream, sink)

        yield from member_of(label, level, work_dir, fill)


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


_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
_READERS: dict[str, Callable[[Path, str, Level, Path], Iterator[Extracted | Unreadable]]] = {
    "zip": _zip,
    "tar": _tar,
    "7z": seven_zip.read,
    "gzip": lambda path, label, level, work: _compressed(path, label, level, work, gzip.open),
    "bzip2": lambda path, label, level, work: _compressed(path, label, level, work, bz2.open),
    "xz": lambda path, label, level, work: _compressed(path, label, level, work, _Xz),
    "zstd": lambda path, label, level, work: _compressed(path, label, level, work, _zstandard),
}
