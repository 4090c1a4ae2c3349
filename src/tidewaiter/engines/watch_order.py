"""In which order a watch reads its logs and lets rows through: logs that lag behind are read side by side in log time.

While everything is caught up, a row waits a moment (`settle`) for those of other logs that belong before it. While some log has
more waiting than was read, rows later than what is surely known of it wait too: old logs are read as a scan would read them.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tidewaiter.feed import Chunk
from tidewaiter.pipeline.live_folds import Rule
from tidewaiter.pipeline.live_reading import Piece, Read

SECOND = 1_000_000
DISORDER = 2 * SECOND
"""Within one log, rows may stand so much (log time) before earlier ones while it is caught up with."""
HELD_BACK = 1.0
"""Seconds after which lines that may be half an event are taken as they are, where nothing follows."""
LAGGING = 1.5
"""A chunk that waits for so many seconds shows that its log is not caught up with. Where a log was caught up with less than so
long ago, its rows are not waited for: that would take longer than to catch up again."""
PIECE = 1_000_000
"""Bytes that are read in one go where so much is waiting."""
NEVER = -1


class Position(msgspec.Struct, kw_only=True):
    """How far a log was read, and what of it is held until more comes. Kept as JSON."""

    version: int = 1
    position: dict[str, Any] = {}  # as the feed gave it
    generation: str = ""
    held: bytes = b""
    held_line: int = 1
    latest: int | None = None
    lines: int = 0


@dataclass(eq=False)
class Log:
    """One log that a feed brings."""

    log_file: str
    feed: int
    queue: deque[Chunk] = field(default_factory=deque)
    at: Chunk | None = None  # what is being read; also the last one that was
    reading: bool = False
    held: bytes = b""
    held_line: int = 1
    latest: int | None = None  # log time up to which it was read
    since: float = 0.0  # when something of it was last read
    caught_up: bool = True
    fresh: float = -math.inf  # when it was last caught up with
    recognised_as: str | None = None
    deaf: bool = False  # no log source knew what is held: more must come first
    lines: int = 0
    pieces: int = 0  # that were read since the watch was started
    position: Position = field(default_factory=Position)  # after the last piece that was read
    received: int = 0  # wall clock (microseconds) of the newest chunk that was read

    @property
    def behind(self) -> bool:
        """Whether more of it is waiting than what just came in."""
        now = time.monotonic()
        if not self.caught_up and now - self.fresh > LAGGING and (not self.idle or now - self.since < LAGGING):
            return True
        return bool(self.queue) and time.time_ns() // 1_000 - self.queue[0].received > LAGGING * SECOND

    @property
    def idle(self) -> bool:
        """Whether nothing of it is waiting or being read."""
        return not self.queue and not self.reading

    def piece(self, now: float) -> Piece | None:
        """What to read next of it, or None."""
        if self.reading:
            return None
        if self.queue:
            chunk = self.queue[0]
            if self.held and self.at is not None and chunk.generation != self.at.generation:
                return self._rest()
            taken = self._taken()
            self.at, self.reading, self.since = taken[-1], True, now
            data, first = b"".join(one.data for one in taken), chunk.first_line
            if self.held:
                data, first = self.held + data, self.held_line
                self.held = b""
            return Piece(
                log_file=self.log_file,
                first_line=first,
                data=data,
                head=chunk.head,
                generation=chunk.generation,
                final=taken[-1].finished,
            )
        if self.held and not self.deaf and now - self.since > HELD_BACK:
            return self._rest()
        return None

    def _taken(self) -> list[Chunk]:
        """The next chunks of one generation, about a PIECE of them."""
        taken = [self.queue.popleft()]
        size = len(taken[0].data)
        while self.queue and not taken[-1].finished and size + len(self.queue[0].data) <= PIECE:
            following = self.queue[0]
            whole = taken[-1].data.endswith(b"\n") or not taken[-1].data
            if following.generation != taken[0].generation or not whole:
                break
            taken.append(self.queue.popleft())
            size += len(following.data)
        return taken

    def _rest(self) -> Piece | None:
        """What is held, as it is."""
        if self.at is None:
            return None
        data, self.held, self.reading = self.held, b"", True
        head, generation = self.at.head, self.at.generation
        return Piece(log_file=self.log_file, first_line=self.held_line, data=data, head=head, generation=generation, final=True)

    def done(self, read: Read, now: float) -> None:
        """A piece of it was read."""
        self.reading, self.since = False, now
        self.pieces += 1
        if read.held:
            self.held, self.held_line = read.held, read.held_line
        self.deaf = read.recognised_as is None and bool(read.held)
        self.recognised_as = read.recognised_as or self.recognised_as
        if read.latest is not None:
            self.latest = max(self.latest or 0, read.latest)
        if read.account is not None:
            self.lines += read.account.read
        if self.at is not None and not self.queue:
            self.caught_up = self.at.caught_up
        if self.at is not None:
            self.received = self.at.received
            self.position = Position(
                position=self.at.position,
                generation=self.at.generation,
                held=self.held,
                held_line=self.held_line,
                latest=self.latest,
                lines=self.lines,
            )

    def resume(self, kept: Position) -> None:
        """Go on where it was committed."""
        self.position, self.latest, self.lines = kept, kept.latest, kept.lines
        self.held, self.held_line = kept.held, kept.held_line
        self.at = Chunk(
            log_file=self.log_file, first_line=kept.held_line, data=b"", head=b"", position=kept.position, caught_up=True,
            received=0, generation=kept.generation, finished=False,
        )  # fmt: skip


class Order:
    """All logs of a watch, and the turn that each row gets."""

    def __init__(self, settle: float) -> None:
        self.settle = settle
        self.logs: dict[str, Log] = {}
        self.starting = True  # what was there before the watch is still being read
        self._ticks: deque[tuple[int, float]] = deque()  # ticks whose rows may still wait, and when they came

    @property
    def behind(self) -> bool:
        """Whether some log has more waiting than what just came in, or was not read at all yet."""
        return any(log.behind or not (log.pieces or log.idle) for log in self.logs.values())

    def add(self, feed: int, chunks: Iterable[Chunk]) -> bool:
        """Chunks that a feed brought. Says whether there is more to come of what was there before."""
        more = False
        for chunk in chunks:
            log = self.logs.get(chunk.log_file)
            if log is None:
                log = self.logs[chunk.log_file] = Log(chunk.log_file, feed)
                more = True
            more |= not chunk.caught_up
            log.queue.append(chunk)
            log.caught_up = chunk.caught_up
            if chunk.caught_up:
                log.fresh = time.monotonic()
            log.deaf = False
        return more

    @property
    def queued(self) -> int:
        """Bytes that wait to be read."""
        return sum(len(chunk.data) for log in self.logs.values() for chunk in log.queue)

    @property
    def idle(self) -> bool:
        """Whether all that came in was read."""
        return all(log.idle and (not log.held or log.deaf) for log in self.logs.values())

    @property
    def starved(self) -> Log | None:
        """The log that the rows of others wait for, where nothing of it is at hand."""
        behind = [log for log in self.logs.values() if log.behind]
        first = min(behind, key=lambda log: log.latest or 0, default=None)
        return first if first is not None and first.idle else None

    def next(self, now: float, free: Callable[[str], bool], *, crowded: bool = False) -> Iterator[Piece]:
        """What to read now, of logs whose reader is free. Where many rows wait, only of the log that they wait for."""
        behind = [log for log in self.logs.values() if log.behind]
        first = min((log.latest or 0 for log in behind), default=0)
        for log in list(self.logs.values()):
            if crowded and behind and log.queue and log.latest is not None and log.latest > first + DISORDER:
                continue  # its rows would wait anyway
            piece = log.piece(now) if free(log.log_file) else None
            if piece is not None:
                yield piece

    def arrived(self, tick: int, now: float) -> None:
        """Rows came in with this tick."""
        self._ticks.append((tick, now))

    def rule(self, now: float, *, more: bool = False, crowded: bool = False) -> Rule:
        """Which rows may go on now. `more`: feeds still bring what was there before; `crowded`: too many rows wait."""
        behind = [log for log in self.logs.values() if log.behind or (self.starting and not log.idle)]
        if self.starting and more and not crowded:
            return Rule(0, NEVER)
        if behind:
            if not crowded and not all(log.pieces for log in behind):
                return Rule(0, NEVER)
            known = [log.latest for log in behind if log.latest is not None]  # a log without any time holds up nobody
            return Rule(min(known, default=1 << 62) - DISORDER, NEVER)
        if self.starting:
            return Rule(1 << 62, NEVER)
        arrived = NEVER
        while self._ticks and self._ticks[0][1] <= now - self.settle:
            arrived = self._ticks.popleft()[0]
        return Rule(0, arrived)
