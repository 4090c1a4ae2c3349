"""7z archives, through py7zr, one member at a time. Its parser meets forged headers with any error at all; all mean damage."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from tidewaiter.errors import LimitError
from tidewaiter.formats.unpacking import (
    REMEDY_ENCRYPTED,
    Extracted,
    Level,
    Sink,
    Unreadable,
    damage_of,
    member_label,
    member_of,
    special_of,
    work_file,
)


def read(path: Path, label: str, level: Level, work_dir: Path) -> Iterator[Extracted | Unreadable]:
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
            yield damage_of(label, "file", error)
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
                if not (yield from _member_of(archive, folder, entry, end, inner, level, work_dir)):
                    break  # what follows in the same block cannot be unpacked


def _member_of(
    archive: Any, folder: Any, entry: Any, end: int, label: str, level: Level, work_dir: Path
) -> Generator[Extracted | Unreadable, None, bool]:
    """One member of a solid block, at the place where the member before it ended; False where the block breaks off."""
    whole = False

    def fill(sink: Sink) -> None:
        nonlocal whole
        try:
            checksum = archive.worker.decompress(archive.fp, folder, sink, entry.uncompressed, entry.compressed, end)
        except LimitError:
            raise
        except Exception as error:  # see above: any error means damage
            raise zipfile.BadZipFile(str(error) or type(error).__name__) from error
        whole = True
        if entry.crc32 is not None and checksum != entry.crc32:
            raise zipfile.BadZipFile("the checksum differs")

    if entry.is_symlink or entry.is_junction or entry.is_socket:
        # Its content must still be unpacked: the next member starts behind it.
        with work_file(work_dir) as (_, out):
            fill(Sink(out, level))
        yield special_of(label, stat.S_IFLNK)
        return True
    yield from member_of(label, level, work_dir, fill)
    return whole
