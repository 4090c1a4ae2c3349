"""Where the files of one log file are after rotation: the one that was being read, its copy, and those that nobody has seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidewaiter.feeds.files.contents import Contents, open_contents
from tidewaiter.feeds.files.generation import PAST, Generation
from tidewaiter.feeds.files.names import Listed, Mark, is_packed
from tidewaiter.feeds.files.world import World, as_finished, is_of

if TYPE_CHECKING:
    from tidewaiter.feeds.files.tracker import Tracker


class Rotation:
    """Looks into the folder of one log file. Raises OSError only where said."""

    def __init__(self, path: Path, world: World, tracker: Tracker) -> None:
        self._path = path
        self._world = world
        self._tracker = tracker
        self._misfits: set[tuple[int, int, int]] = set()  # (generation, device, inode) whose content turned out to differ
        self._seen: set[tuple[str, int]] = set()
        self._unreadable: set[int] = set()  # inodes of files that were passed over

    def is_misfit(self, generation: Generation, status: os.stat_result) -> None:
        """The file only looked like a copy of the generation."""
        self._misfits.add((generation.number, status.st_dev, status.st_ino))

    def is_unreadable(self, path: Path) -> None:
        """The file cannot be read: look at it no more."""
        try:
            self._unreadable.add(path.stat().st_ino)
        except OSError:  # it is gone, and so is the trouble
            return

    def moved(self, now: Generation) -> Contents | None:
        """The generation's own file, by its inode, under whatever name in the folder. Raises OSError of opening it."""
        folder = self._path.parent
        for one in self._world.siblings(folder, anew=True).listed.values():
            path = folder / one.name
            if one.inode != now.inode or path == self._path:
                continue
            try:
                contents = open_contents(path)
            except FileNotFoundError:
                continue
            status = contents.status()
            if now.is_at(status.st_dev, status.st_ino) and is_of(now, path):
                return contents
            contents.close()
        return None

    def copy(self, now: Generation) -> Contents | None:
        """A copy, perhaps a compressed one, that holds at least what was read. Raises OSError where it cannot be opened."""
        if now.head_size:
            for path in self._ordered(anew=True):
                status = _status(path)
                if status is not None and self._holds(now, path, status):
                    return open_contents(path)
        return None

    def has_changed(self, *, anew: bool = False) -> bool:
        """Whether other files than when last asked are what rotation made of the log file."""
        seen = {(one.name, one.inode) for _, one in self._world.siblings(self._path.parent, anew=anew).of(self._path.name)}
        changed, self._seen = seen != self._seen, seen
        return changed

    def following(self, known: Sequence[Generation], *, anew: bool = False) -> Path | None:
        """The oldest file that was rotated away after the newest that is known, and was never seen."""
        rotated = [(path, status) for path in self._ordered(anew=anew) if (status := _status(path)) is not None]
        matched = self._matched([one for one in known if one.head_size], rotated)
        empty = self._matched([one for one in known if not one.head_size], rotated)  # these say nothing about order
        found: list[tuple[int, Path]] = []
        is_known = False
        for path, status in rotated:
            if path in matched:
                found, is_known = [], True
            elif path not in empty and status.st_ino not in self._unreadable and self._is_new(path, status):
                found.append((status.st_mtime_ns, path))
        if known and not is_known:
            since = max(one.modified for one in known)
            found = [(modified, path) for modified, path in found if modified >= since]
        return found[0][1] if found else None

    def _matched(self, known: Sequence[Generation], rotated: Sequence[tuple[Path, os.stat_result]]) -> set[Path]:
        """Those files that are known: each generation is one file, by its inode if possible, else by what is in it."""
        matched: set[Path] = set()
        left = list(known)
        for by_inode in (True, False):
            for path, status in rotated:
                if path in matched:
                    continue
                for one in left:
                    if (not by_inode or one.is_at(status.st_dev, status.st_ino)) and self._holds(one, path, status):
                        matched.add(path)
                        left.remove(one)
                        break
        return matched

    def history(self, is_wanted: Callable[[Path], bool]) -> tuple[list[Path], list[Generation]]:
        """What was rotated before we came, oldest first: files that are to be read, and those that count as read."""
        rotated = [path for path in self._ordered() if (status := _status(path)) is not None and self._is_new(path, status)]
        wanted = [path for path in rotated if is_wanted(path)]
        passed: list[Generation] = []
        for path in [path for path in rotated if path not in wanted][-PAST:]:
            generation = as_finished(path, len(passed) + 1)
            if generation is not None:
                passed.append(generation)
        return wanted, passed

    def grown(self, finished: Iterable[Generation]) -> tuple[Generation, Path] | None:
        """One of these generations to whose file something was added, and where that is."""
        folder = self._path.parent
        inodes = {one.inode: one for one in finished}
        for one in self._world.siblings(folder).listed.values() if inodes else ():
            generation = inodes.get(one.inode)
            if generation is not None and one.name != self._path.name and not is_packed(one.name):
                path = folder / one.name
                status = _status(path)
                if status is not None and status.st_size > generation.offset and is_of(generation, path):
                    return generation, path
        return None

    def _is_new(self, path: Path, status: os.stat_result) -> bool:
        """Whether the file holds something that nobody else reads."""
        return status.st_size > 0 and not self._world.has_reader(path, status.st_dev, status.st_ino, beside=self._tracker)

    def _holds(self, generation: Generation, path: Path, status: os.stat_result) -> bool:
        key = generation.number, status.st_dev, status.st_ino
        return key not in self._misfits and is_of(generation, path, finished=generation is not self._tracker.now)

    def _ordered(self, *, anew: bool = False) -> list[Path]:
        """What rotation made of this log file, oldest first."""
        folder = self._path.parent
        found = self._world.siblings(folder, anew=anew).of(self._path.name)
        kinds = {mark.kind for mark, _ in found}
        by_name = len(kinds) == 1 and kinds <= {"number", "date"}
        dated: list[tuple[tuple[Any, ...], Path]] = []
        for mark, one in found:
            key = _age(mark, one, folder / one.name, by_name=by_name)
            if key is not None:
                dated.append((key, folder / one.name))
        return [path for _, path in sorted(dated)]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _age(mark: Mark, one: Listed, path: Path, *, by_name: bool) -> tuple[Any, ...] | None:
    """What sorts rotated files by age, oldest first; None where the file is gone."""
    if by_name:
        return (*mark.key, one.name)
    status = _status(path)
    return None if status is None else (status.st_mtime_ns, *mark.key, one.name)
