"""Names: what a pattern means, and what rotation makes of the name of a log file.

A rotated name only says where to look and in which order; what a file is, its content says.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

PACKED = (".gz", ".xz", ".bz2")
"""Compressions that are read."""

MOST_FILES = 10_000
"""Files that one pattern or folder may bring; a log folder with more is a mistake in the settings."""

DEEPEST = 32
"""Folders within folders that are looked into."""

_DATE = r"\d{4}-?\d\d-?\d\d[\dT:._-]*Z?|\d\d:\d\d:\d\d-\d\d:\d\d:\d\d|\d{9,10}"
_NUMBER = re.compile(r"(.+)\.(\d{1,5})")
_DATED = re.compile(rf"(.+?)[.\-_]({_DATE})")
_DATED_STEM = re.compile(rf"(.+?)[.\-_]({_DATE})(\.[A-Za-z][\w]{{0,9}})")
_WORD = re.compile(r"(.+?)(?:[.\-_](?:old|prev|previous|bak)|~)")


class Mark(NamedTuple):
    """What rotation added to a name."""

    base: str  # the name that the file had while it was written
    kind: str  # names of different kinds are ordered by time of change
    key: tuple[int, str]  # older names of one kind come first


def is_packed(name: str) -> bool:
    """Whether the name is that of a compressed file."""
    return name.endswith(PACKED)


def marks(name: str) -> Iterator[Mark]:
    """The names that a file of this name may have had before it was rotated away, compressed or both."""
    bare = name
    for end in PACKED:
        if name.endswith(end) and len(name) > len(end):
            bare = name.removesuffix(end)
            yield Mark(bare, "packed", (0, ""))
            break
    found = _NUMBER.fullmatch(bare)
    if found:
        yield Mark(found[1], "number", (-int(found[2]), ""))
    found = _DATED.fullmatch(bare)
    if found:
        yield Mark(found[1], "date", (0, found[2]))
    found = _DATED_STEM.fullmatch(bare)
    if found:
        yield Mark(found[1] + found[3], "date", (0, found[2]))
    found = _WORD.fullmatch(bare)
    if found:
        yield Mark(found[1], "word", (0, ""))


def numbered_base(log_file: str) -> str | None:
    """The path that a path like `.../NAME.2` or `.../NAME.2.gz` had before rotation; None for other names."""
    found = _NUMBER.fullmatch(log_file.removesuffix(next((end for end in PACKED if log_file.endswith(end)), "")))
    return found[1] if found else None


class Listed(NamedTuple):
    """One file of a folder."""

    name: str
    inode: int


class Siblings:
    """The files of one folder by the name that they had before rotation."""

    def __init__(self, listed: Iterable[Listed]) -> None:
        self.listed = {one.name: one for one in listed}
        self._rotated: dict[str, list[tuple[Mark, Listed]]] = {}
        for one in self.listed.values():
            for mark in marks(one.name):
                self._rotated.setdefault(mark.base, []).append((mark, one))

    def of(self, base: str) -> list[tuple[Mark, Listed]]:
        """What rotation has made of `base`, in no order. `NAME.gz` beside `NAME` is still being written: it is left out."""
        found = self._rotated.get(base, ())
        return [
            (mark, one) for mark, one in found if not (is_packed(one.name) and one.name.rpartition(".")[0] in self._plain(base))
        ]

    def _plain(self, base: str) -> set[str]:
        return {one.name for _, one in self._rotated.get(base, ())} & self.listed.keys()

    def is_rotated(self, name: str, others: Iterable[str] = ()) -> bool:
        """Whether the file is what rotation made of another one that is here, or is one of `others` (names)."""
        return any(mark.base in self.listed or mark.base in others for mark in marks(name))


def list_folder(folder: Path) -> Siblings:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return Siblings(Listed(entry.name, entry.inode()) for entry in entries)
    except OSError:
        return Siblings(())


class Pattern:
    """One of the `paths` of the settings: a file, a folder, or a name with `*`, `?`, `[...]` and `**`."""

    def __init__(self, given: str, base: Path) -> None:
        self.given = given
        self._base = base
        self._wild = glob.has_magic(given)
        self._regex = re.compile(_regex(given)) if self._wild else None

    def place(self, log_file: str) -> Path:
        """Where a log file that is called so by `found` lies."""
        return self._base / log_file

    def absolute(self) -> Pattern:
        """The same with the whole path, so that what it brings can be compared with what others bring."""
        return Pattern(os.path.normpath(self._base.absolute() / self.given), self._base)

    def is_explicit(self) -> bool:
        """Whether one file is meant, be it there or not."""
        return not self._wild and not self.place(self.given).is_dir()

    def covers(self, log_file: str) -> bool:
        """Whether the pattern could have brought a log file of this name."""
        if self._regex is not None:
            return self._regex.fullmatch(log_file) is not None
        return log_file == self.given or log_file.startswith(self.given.rstrip("/") + "/")

    def found(self) -> Iterator[str]:
        """The log files that are there now, as evidence cites them; at most MOST_FILES + 1. Raises OSError of a folder."""
        return islice(self._found(), MOST_FILES + 1)

    def _found(self) -> Iterator[str]:
        if self._wild:
            root = None if Path(self.given).is_absolute() else self._base
            yield from sorted(glob.glob(self.given, root_dir=root, recursive=True))  # noqa: PTH207 - keeps names as given
            return
        place = self.place(self.given)
        if place.is_dir():
            yield from _within(str(place), self.given.rstrip("/") or "/", DEEPEST)
        elif place.exists():
            yield self.given


def common(mine: Pattern, theirs: Pattern) -> str | None:
    """A log file that both would bring, however each spells it, as far as can be seen now; None where there is none."""
    left, right = mine.absolute(), theirs.absolute()
    if left.given == right.given:
        return mine.given
    if left.is_explicit() and right.is_explicit():
        return mine.given if os.path.realpath(left.given) == os.path.realpath(right.given) else None
    if left.is_explicit() or right.is_explicit():
        (one, wide), given = ((left, right), mine) if left.is_explicit() else ((right, left), theirs)
        return given.given if wide.covers(one.given) or wide.covers(os.path.realpath(one.given)) else None
    try:
        return min({*left.found()}.intersection(right.found()), default=None)
    except OSError:  # said when the folder is looked at
        return None


def _within(folder: str, given: str, depth: int) -> Iterator[str]:
    """The files of a folder and those within it, in order; hidden ones and links are passed over. Raises OSError."""
    with os.scandir(folder) as entries:
        inside = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in inside:
        if entry.is_file(follow_symlinks=False):
            yield os.path.join(given, entry.name)  # noqa: PTH118 - thousands of them, every second
        elif depth and entry.is_dir(follow_symlinks=False):
            try:
                yield from _within(entry.path, os.path.join(given, entry.name), depth - 1)  # noqa: PTH118 - as above
            except OSError:  # a folder inside that may not be read does not stop the others
                continue


def _regex(pattern: str) -> str:
    """The pattern as a regular expression; `*` stays within a folder, `**/` is any number of folders."""
    parts: list[str] = []
    rest = pattern
    while rest:
        found = re.match(r"\*\*/|\*+|\?|\[!?\]?[^\]]*\]|[^*?\[]+|\[", rest)
        assert found is not None  # the last two alternatives take whatever there is
        part, rest = found[0], rest[found.end() :]
        if part == "**/":
            parts.append("(?:[^/]+/)*")
        elif part == "**" and not rest:
            parts.append(".*")
        elif part[0] == "*":
            parts.append("[^/]*")
        elif part == "?":
            parts.append("[^/]")
        elif part[0] == "[" and len(part) > 1:
            inner = part[1:-1].replace("\\", "\\\\")
            parts.append("[" + ("^" + inner[1:] if inner.startswith("!") else inner) + "]")
        else:
            parts.append(re.escape(part))
    return "".join(parts)
