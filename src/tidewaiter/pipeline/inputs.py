"""Finding what the caller gave, opening it, and asking who can read it.

Files and folders are walked in a fixed order; each real file is met once. Symbolic links inside a folder are followed only to
places inside the given paths, so that a copied file system cannot pull in files of the analyst's own computer. FIFOs, sockets
and devices are reported and never opened. Archives are unpacked one member at a time (formats.archives).
"""

from __future__ import annotations

import importlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from tidewaiter import log_source
from tidewaiter.formats import archives
from tidewaiter.formats.archives import InputLimits, Unreadable, clean_label
from tidewaiter.log_source import HEAD_BYTES, Opened

__all__ = [
    "InputLimits",
    "Opened",
    "Recognised",
    "Unreadable",
    "WorkItem",
    "iterate_inputs",
    "open_item",
    "plan",
    "recognise",
    "work_folder",
]

Family = Literal["evtx", "windows_json", "stream"]

_SQLITE_MAGIC = b"SQLite format 3\0"


class WorkItem(msgspec.Struct, kw_only=True, frozen=True):
    """One top-level file, the unit of work of a process. `problem` is set where there is nothing to open."""

    place: bytes  # the path as the file system has it: names need not be text
    log_file: str
    size: int = 0
    problem: Unreadable | None = None
    extract: bool = False  # put the contents of captures aside

    @property
    def path(self) -> str:
        """The path, for opening the file."""
        return os.fsdecode(self.place)


class Recognised(NamedTuple):
    """Who reads an input and what in its content said so.

    `family` "evtx" and "windows_json" name a container (formats/), "stream" a log source of the register.
    """

    family: Family
    name: str
    why: str


def work_folder(parent: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A new private folder (mode 0700) for unpacked members; a context manager that removes it."""
    return tempfile.TemporaryDirectory(prefix="tidewaiter-", dir=parent, ignore_cleanup_errors=True)


def iterate_inputs(paths: Sequence[str], limits: InputLimits, work_dir: Path) -> Iterator[Opened | Unreadable]:
    """Everything readable under `paths`, in a fixed order, and what is not readable with the reason.

    Members of archives are files in `work_dir` that live until the next one is asked for.
    """
    for item in plan(paths, limits):
        yield from open_item(item, limits, work_dir)


def plan(paths: Sequence[str], limits: InputLimits) -> list[WorkItem]:  # noqa: ARG001 - kept for bounds on walking
    """The top-level files under `paths`, in a fixed order, each real file once. Nothing is opened."""
    walk = _Walk(paths)
    for path in paths:
        walk.add_given(path)
    walk.follow_links()
    return walk.items


def open_item(item: WorkItem, limits: InputLimits, work_dir: Path) -> Iterator[Opened | Unreadable]:
    """The inputs of one work item: the file itself, or each member of the archive that it is, nested ones included."""
    if item.problem is not None:
        yield item.problem
        return
    yield from _open(Path(item.path), item.log_file, 0, archives.Spending(limits, item.size), work_dir)


def _open(path: Path, label: str, depth: int, spending: archives.Spending, work_dir: Path) -> Iterator[Opened | Unreadable]:
    """Open one file; unpack it where it is an archive. The depth of recursion is bounded by `limits.depth`."""
    try:
        head, size = _head(path)
    except OSError as error:
        yield _unreadable(label, error)
        return
    if not head:
        yield Unreadable(log_file=label, place="file", problem="empty", kind="empty")
        return
    kind = archives.kind_of(head)
    if kind is None:
        yield Opened(path=path, log_file=label, size=size, head=head)
        return
    if depth >= spending.limits.depth:
        problem = f"archives nested deeper than {spending.limits.depth}"
        yield Unreadable(log_file=label, place="file", problem=problem, kind="limit")
        return
    unpacked = archives.members(path, label, kind, spending, work_dir)
    try:
        for member in unpacked:
            if isinstance(member, Unreadable):
                yield member
            else:
                yield from _open(member.path, member.log_file, depth + 1, spending, work_dir)
    finally:
        unpacked.close()  # type: ignore[attr-defined]  # a generator: removes the member's file


def _head(path: Path) -> tuple[bytes, int]:
    """The first bytes and the size of a regular file; raises OSError on anything else. Never blocks on a FIFO."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("no regular file")
        return file.read(HEAD_BYTES), status.st_size


def _unreadable(label: str, error: OSError) -> Unreadable:
    """The report of what the operating system refused."""
    problem = error.strerror or str(error) or type(error).__name__
    return Unreadable(log_file=label, place="file", problem=problem, kind="unreadable")


class _Walk:
    """Collects work items. Links are kept for the end, so that a file is known by its real name where both are given."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.items: list[WorkItem] = []
        self.seen: set[tuple[int, int] | str] = set()
        self.links: list[str] = []
        self.roots: list[str] = []
        for path in paths:
            with suppress(OSError, ValueError):
                self.roots.append(os.path.realpath(path))

    def add_given(self, path: str) -> None:
        """A path that the caller gave: links are followed, whatever they point to."""
        try:
            status = os.stat(path)  # noqa: PTH116 - the path is kept as spelled
        except (OSError, ValueError) as error:
            self._report(path, error)
            return
        self._add(path, status)

    def follow_links(self) -> None:
        """Look at the links met on the way; folders behind them may hold further ones."""
        while self.links:
            batch, self.links = sorted(self.links), []
            for path in batch:
                target = os.path.realpath(path)
                if not any(target == root or target.startswith(root.rstrip(os.sep) + os.sep) for root in self.roots):
                    self._special(path, "symbolic link out of the given folders: not followed")
                    continue
                self.add_given(path)

    def _add(self, path: str, status: os.stat_result) -> None:
        """One existing path: walk a folder, note a file, report the rest."""
        if stat.S_ISDIR(status.st_mode):
            self._walk(path, status)
        elif not stat.S_ISREG(status.st_mode):
            self._special(path, f"{_what(status.st_mode)}: not opened")
        elif self._first(path, status):
            self.items.append(WorkItem(place=os.fsencode(path), log_file=clean_label(path), size=status.st_size))

    def _walk(self, top: str, status: os.stat_result) -> None:
        """Walk a folder without recursion, names sorted, each real folder once."""
        waiting = [(top, status)]
        while waiting:
            folder, status = waiting.pop()
            if not self._first(folder, status):
                continue
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            except OSError as error:
                self._report(folder, error)
                continue
            below: list[tuple[str, os.stat_result]] = []
            for entry in found:
                if entry.is_symlink():
                    self.links.append(entry.path)
                    continue
                try:
                    status = os.stat(entry.path, follow_symlinks=False)  # noqa: PTH116 - scandir has no inode on Windows
                except OSError as error:
                    self._report(entry.path, error)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    below.append((entry.path, status))
                else:
                    self._add(entry.path, status)
            waiting.extend(reversed(below))

    def _first(self, path: str, status: os.stat_result) -> bool:
        """True the first time that this real file or folder is met."""
        key = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def _report(self, path: str, error: OSError | ValueError) -> None:
        label = clean_label(path)
        report = _unreadable(label, error if isinstance(error, OSError) else OSError(str(error)))
        self.items.append(WorkItem(place=os.fsencode(path), log_file=label, problem=report))

    def _special(self, path: str, problem: str) -> None:
        label = clean_label(path)
        report = Unreadable(log_file=label, place="file", problem=problem, kind="special file")
        self.items.append(WorkItem(place=os.fsencode(path), log_file=label, problem=report))


def _what(mode: int) -> str:
    """The kind of special file, in words."""
    if stat.S_ISFIFO(mode):
        return "FIFO"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "special file"


def recognise(opened: Opened) -> Recognised | None:
    """Who reads this input, by content: the Windows containers, then the register in its order, then names; None = nobody."""
    head = opened.head
    why: str | None = _ask("tidewaiter.formats.evtx", head)
    if why is not None:
        return Recognised("evtx", "evtx", why)
    why = _ask("tidewaiter.formats.windows_json", head)
    if why is not None:
        return Recognised("windows_json", "windows_json", why)
    sources = []
    for entry in log_source.streams():
        name, source = entry.name, entry.load()
        sources.append((name, source))
        why = source.recognise(head)
        if why is None and head.startswith(_SQLITE_MAGIC) and hasattr(source, "recognise_path"):
            why = source.recognise_path(opened.path)
        if why is not None:
            return Recognised("stream", name, why)
    for name, source in sources:
        if hasattr(source, "recognise_named"):
            why = source.recognise_named(head, opened.log_file)
            if why is not None:
                return Recognised("stream", name, why)
    return None


def _ask(module: str, head: bytes) -> str | None:
    """What the recogniser of a container format says."""
    answer = importlib.import_module(module).recognise(head)
    return None if answer is None else str(answer)
