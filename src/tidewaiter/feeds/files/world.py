"""What the followed files of one feed share: settings, folders as last listed, open descriptors, who reads which file."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tidewaiter.feed import Problems
from tidewaiter.feeds.files.contents import Contents, Plain, gzip_size, open_contents
from tidewaiter.feeds.files.generation import HEAD, Generation
from tidewaiter.feeds.files.names import Siblings, is_packed, list_folder

if TYPE_CHECKING:
    from tidewaiter.feeds.files.tracker import Tracker

DESCRIPTORS = 256
"""Files that are open at once; the one that was used longest ago is closed for another."""

SETTLED = 100_000_000
"""Nanoseconds after its last change from which on the time of change of a folder tells whether its listing still holds."""


class World:
    """Shared by the trackers of one feed."""

    def __init__(
        self,
        problems: Problems,
        is_named: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
        descriptors: int = DESCRIPTORS,
        grace: float,
    ) -> None:
        self.problems = problems
        self.is_named = is_named  # whether the settings name a log file
        self.clock = clock  # seconds
        self.grace = grace  # seconds a file must be quiet before an unfinished last line is taken for whole
        self._descriptors = descriptors
        self._open: OrderedDict[Tracker, None] = OrderedDict()
        self._folders: dict[Path, tuple[int, bool, float, Siblings]] = {}  # changed, settled by then, listed when
        self._trackers: dict[Path, Tracker] = {}
        self._names: dict[Path, set[str]] = {}
        self._readers: dict[tuple[int, int], list[tuple[Tracker, Generation]]] = {}

    def siblings(self, folder: Path, *, anew: bool = False) -> Siblings:
        """What lies in a folder: now, or (cheaper while it changes all the time) a second ago."""
        found = self._folders.get(folder)
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            changed = -1
        if found is not None and found[0] == changed and found[1]:
            return found[3]
        if found is None or anew or self.clock() - found[2] > 1.0:
            if len(self._folders) > 1_000:
                self._folders.clear()
            settled = 0 <= changed < time.time_ns() - SETTLED
            found = changed, settled, self.clock(), list_folder(folder)
            self._folders[folder] = found
        return found[3]

    def follows(self, tracker: Tracker) -> None:
        """There is one more tracker."""
        self._trackers[tracker.path] = tracker
        self._names.setdefault(tracker.path.parent, set()).add(tracker.path.name)

    def names(self, folder: Path) -> set[str]:
        """Names of the log files of a folder that are followed, be they there or not."""
        return self._names.get(folder, set())

    def opened(self, tracker: Tracker) -> None:
        """The tracker uses a descriptor now; another may lose its own."""
        self._open[tracker] = None
        self._open.move_to_end(tracker)
        while len(self._open) > max(self._descriptors, 1):
            others = [one for one in self._open if one is not tracker]
            next((one for one in others if not one.away), others[0]).close()

    def closed(self, tracker: Tracker) -> None:
        """The tracker has closed its descriptor."""
        self._open.pop(tracker, None)

    def reads(self, tracker: Tracker, generation: Generation) -> None:
        """Note who reads which file."""
        readers = self._readers.setdefault((generation.device, generation.inode), [])
        readers[:] = [(one, known) for one, known in readers if known in one.generations()][-8:]
        readers.append((tracker, generation))

    def has_reader(self, path: Path, device: int, inode: int, *, beside: Tracker | None) -> bool:
        """Whether another tracker reads, or has read, the file at this path."""
        for tracker, generation in self._readers.get((device, inode), ()):
            if tracker is beside or generation not in tracker.generations():
                continue
            if (generation is tracker.now and not tracker.away) or (generation.head_size and is_of(generation, path)):
                return True
        unpacked = self._trackers.get(path.with_suffix("")) if is_packed(path.name) else None
        if unpacked is None or unpacked is beside:
            return False
        return any(generation.head_size and is_of(generation, path) for generation in unpacked.generations())


def is_of(generation: Generation, path: Path, *, finished: bool = False) -> bool:
    """Whether the file holds what was read of the generation, and perhaps more; False where it cannot be read.

    `finished`: nothing more of it is expected, so that a plain copy must be exactly as long.
    """
    try:
        contents = open_contents(path)
    except OSError:
        return False
    try:
        return _is_of(generation, contents, finished)
    except OSError:
        return False
    finally:
        contents.close()


def _is_of(generation: Generation, contents: Contents, finished: bool) -> bool:
    status = contents.status()
    same = generation.is_at(status.st_dev, status.st_ino)
    if not generation.head_size:
        return same and not contents.read(0, 1)  # an inode alone says nothing: it may have been used again
    head = contents.read(0, HEAD)
    if not generation.knows_head(head) or not (same or head[: generation.head_size].strip(b"\0")):
        return False  # nothing but NUL bytes: that says nothing
    if is_packed(contents.path.name):
        size = gzip_size(contents.path)
        return same or size is None or size >= generation.offset % (1 << 32)
    if finished and not same and status.st_size != generation.offset:
        return False
    return status.st_size >= generation.offset and generation.knows_tail(
        contents.read(generation.offset - generation.tail_size, generation.tail_size)
    )


def as_finished(path: Path, number: int) -> Generation | None:
    """A file that counts as read to its end; None where it cannot be read or is empty."""
    try:
        contents = open_contents(path)
    except OSError:
        return None
    try:
        status = contents.status()
        generation = Generation(number=number, device=status.st_dev, inode=status.st_ino, modified=status.st_mtime_ns)
        generation.learn_head(contents.read(0, HEAD))
        if isinstance(contents, Plain):
            generation.move(status.st_size, 0, contents.read(max(status.st_size - HEAD, 0), HEAD))
        else:
            generation.offset = gzip_size(path) or 0
    except OSError:
        return None
    finally:
        contents.close()
    return generation if generation.head_size else None
