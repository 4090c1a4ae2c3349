"""Files that grow: paths, patterns and folders, followed through rotation, truncation, compression and restarts.

What is promised: every line that was there to be read is handed out once, with its number, in order within its log file,
however the file is rotated: renamed (also several times while nobody looked), copied and truncated, compressed before it was
read to its end, its inode used again. What cannot be promised is reported when it happens: what was written between the last
look and a truncation without a copy, or in a file that was deleted, is lost.

A file is looked at about once a second, one that has grown lately at every poll. Memory does not grow with files or lines: an
unfinished line stays in its file until it is finished. Positions of a log file hold its generation and those before it.

A file that a pattern or folder brings is passed over while it is what rotation made of another log file: that one's tracker
reads it. Compressed files are read only so.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tidewaiter.errors import UsageError
from tidewaiter.feed import Chunk, FeedProblem, ProblemKind, Problems, Surroundings
from tidewaiter.feeds.files.generation import read_position
from tidewaiter.feeds.files.names import MOST_FILES, Pattern, common, is_packed, numbered_base
from tidewaiter.feeds.files.tracker import Tracker
from tidewaiter.feeds.files.world import DESCRIPTORS, World
from tidewaiter.formats.unpacking import clean_label
from tidewaiter.output import printable

RESCAN = 1.0
"""Seconds between two looks at names and folders; more where looking itself takes long."""

HOT = 10.0
"""Seconds for which a file that has grown is looked at in every poll."""

SLICE = 0.04
"""Seconds that a poll takes at most before it stops beginning something new."""
CHUNK = 1_000_000
"""Bytes of one file before it is the turn of the others."""

_LATER = "it is read as soon as it appears; look whether the name is right"


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The table `[[input]]` with `type = "files"`."""

    paths: tuple[str, ...]  # files (they need not be there yet), folders, patterns with * ? [...] **
    from_end: bool = False  # of files that are there at the first start, only what is added
    grace: float = 2.0  # seconds a rotated file must be quiet before an unfinished last line is taken for whole

    def __post_init__(self) -> None:
        if not self.paths or not all(self.paths):
            raise UsageError("input of type files: `paths` names no file")
        if not 0 <= self.grace <= 3_600:
            raise UsageError("input of type files: `grace` is a number of seconds from 0 to 3600")


class Feed:
    """Follows all files of one `[[input]]`."""

    def __init__(
        self,
        settings: Settings,
        surroundings: Surroundings,
        *,
        clock: Callable[[], float] = time.monotonic,
        descriptors: int = DESCRIPTORS,
    ) -> None:
        self.name = "files"
        self._settings = settings
        self._patterns = [Pattern(given, surroundings.base) for given in settings.paths]
        self._problems = Problems(printable)
        self._clock = clock
        self._world = World(
            self._problems,
            lambda log_file: self._pattern_of(log_file) is not None,
            clock=clock,
            descriptors=descriptors,
            grace=settings.grace,
        )
        self._trackers: dict[str, Tracker] = {}
        self._ready: OrderedDict[Tracker, None] = OrderedDict()
        self._hot: OrderedDict[Tracker, float] = OrderedDict()
        self._next_scan = float("-inf")
        self._first = True  # nothing was ever committed
        self._looked = False  # by this process
        self._told: set[tuple[str, str]] = set()

    def resume(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Go on from committed positions."""
        for log_file, raw in positions.items():
            pattern = self._pattern_of(log_file)
            position = read_position(raw)
            if pattern is None or position is None:
                continue
            tracker = Tracker(log_file, pattern.place(log_file), self._world)
            tracker.resume(position)
            self._trackers[log_file] = tracker
            self._first = False

    def poll(self, most: int) -> list[Chunk]:
        """Whole lines of whatever files have some, in turns."""
        started = self._clock()
        if started >= self._next_scan:
            self._scan()
            self._next_scan = started + max(RESCAN, 20 * (self._clock() - started))
        for tracker, since in list(self._hot.items()):
            if started - since > HOT:
                del self._hot[tracker]
            elif tracker.has_grown():
                self._ready.setdefault(tracker)
        deadline = time.monotonic() + SLICE
        chunks: list[Chunk] = []
        queue = deque(self._ready)
        while queue and most > 0 and time.monotonic() < deadline:
            tracker = queue.popleft()
            self._ready.pop(tracker, None)
            chunk = tracker.read(min(most, CHUNK), deadline)
            if chunk is not None:
                chunks.append(chunk)
                most -= len(chunk.data)
                self._hot[tracker] = started
            if tracker.more:
                self._ready[tracker] = None
                queue.append(tracker)
        return chunks

    def poll_of(self, log_file: str, most: int, /) -> list[Chunk]:
        """Whole lines of one file."""
        tracker = self._trackers.get(log_file)
        chunk = tracker.read(most, time.monotonic() + SLICE) if tracker is not None else None
        if tracker is None or chunk is None:
            return []
        self._hot[tracker] = self._clock()
        if tracker.more:
            self._ready.setdefault(tracker)
        return [chunk]

    def committed(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Files need not be told."""

    def problems(self) -> list[FeedProblem]:
        """What went wrong since last asked."""
        return self._problems.take()

    def lag(self) -> int:
        """Bytes known to be unread; of files that were not looked at yet, none."""
        return sum(tracker.waiting for tracker in self._trackers.values())

    def clash(self, other: object) -> str | None:
        """A file that another input of this type follows too, as far as can be seen now: each line would be read twice."""
        if not isinstance(other, Feed):
            return None
        pairs = ((mine, theirs) for mine in self._patterns for theirs in other._patterns)
        return next((found for mine, theirs in pairs if (found := common(mine, theirs)) is not None), None)

    def close(self) -> None:
        """Let go of all descriptors."""
        for tracker in self._trackers.values():
            tracker.close()

    def _pattern_of(self, log_file: str) -> Pattern | None:
        return next((pattern for pattern in self._patterns if pattern.covers(log_file)), None)

    def _scan(self) -> None:
        """Find files that are new, and look at all that are known."""
        for pattern in self._patterns:
            try:
                self._find(pattern)
            except OSError as error:
                self._tell(pattern.given, f"cannot be listed: {error.strerror or error}", "let the account read the folder")
            if not self._looked and not any(map(pattern.covers, self._trackers)):
                self._tell(pattern.given, "brings no log yet", _LATER, kind="absent")
            elif not self._looked and pattern.is_explicit() and not pattern.place(pattern.given).exists():
                self._tell(pattern.given, "is not there yet", _LATER, kind="absent")
        self._looked, self._first = True, False
        for tracker in self._trackers.values():
            tracker.check()
            if tracker.more:
                self._ready.setdefault(tracker)

    def _find(self, pattern: Pattern) -> None:
        found = [pattern.given] if pattern.is_explicit() else list(pattern.found())
        if len(found) > MOST_FILES:
            self._tell(pattern.given, f"brings more than {MOST_FILES:,} files; the rest is not followed", "name fewer")
        explicit = pattern.is_explicit()
        for log_file in found[:MOST_FILES]:
            if (label := clean_label(log_file)) != log_file:
                self._tell(label, "has a name that is no text", "rename the file or its folder", kind="refused")
                continue
            name = log_file if explicit else self._own_name(pattern, log_file)
            if name not in self._trackers and (explicit or self._is_wanted(pattern, name, numbered=name != log_file)):
                from_end = self._settings.from_end and self._first
                self._trackers[name] = Tracker(name, pattern.place(name), self._world, from_end=from_end)

    def _own_name(self, pattern: Pattern, log_file: str) -> str:
        """The log file that a numbered file belongs to, where the pattern means that too, though it may not be there yet."""
        base = numbered_base(log_file)
        return base if base is not None and pattern.covers(base) else log_file

    def _is_wanted(self, pattern: Pattern, log_file: str, *, numbered: bool) -> bool:
        """Whether a name that was found is a log file of its own; `numbered`: found was one that rotation made of it."""
        path = pattern.place(log_file)
        if not path.is_file():
            return numbered and not path.exists()
        siblings = self._world.siblings(path.parent)
        if is_packed(path.name) or siblings.is_rotated(path.name, self._world.names(path.parent)):
            return False
        try:
            status = path.stat()
        except OSError:
            return False
        return not self._world.has_reader(path, status.st_dev, status.st_ino, beside=None)

    def _tell(self, given: str, problem: str, remedy: str, kind: ProblemKind = "unreadable") -> None:
        if (given, problem) not in self._told:
            self._told.add((given, problem))
            self._problems.add(kind, given, problem, remedy)
