"""Reads a feed the way a watch does: polls it, commits positions together with the lines, is killed and goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tidewaiter.feed import Chunk, Feed, FeedProblem


class Line(NamedTuple):
    """One line that was handed out."""

    log_file: str
    generation: str
    number: int
    text: bytes


def lines_of(chunk: Chunk) -> Iterator[Line]:
    """The lines of a chunk, which must be whole."""
    assert chunk.finished or not chunk.data or chunk.data.endswith(b"\n")
    assert chunk.received > 0
    for index, text in enumerate(chunk.data.removesuffix(b"\n").split(b"\n") if chunk.data else ()):
        yield Line(chunk.log_file, chunk.generation, chunk.first_line + index, text)


class FeedReader:
    """One feed, its committed positions and the lines that were handed out."""

    def __init__(self, make: Callable[[], Feed]) -> None:
        self._make = make
        self.committed: dict[str, dict[str, Any]] = {}
        self._positions: dict[str, dict[str, Any]] = {}
        self.kept: list[Line] = []
        self._pending: list[Line] = []
        self.chunks: list[Chunk] = []
        self.problems: list[FeedProblem] = []
        self.feed = make()
        self.feed.resume({})

    def poll(self, most: int = 1 << 20, *, times: int = 1) -> list[Chunk]:
        """Poll so often; nothing is committed."""
        found: list[Chunk] = []
        for _ in range(times):
            found += self.feed.poll(most)
        for chunk in found:
            self._pending += lines_of(chunk)
            self._positions[chunk.log_file] = json.loads(json.dumps(chunk.position))  # as a store keeps it
        self.chunks += found
        self.problems += self.feed.problems()
        return found

    def commit(self) -> None:
        """Keep lines and positions together."""
        self.kept += self._pending
        self._pending = []
        self.committed |= self._positions
        self.feed.committed(self.committed)

    def kill(self) -> None:
        """Lose what was not committed and start anew."""
        self._pending, self._positions = [], {}
        self.feed.close()
        self.feed = self._make()
        self.feed.resume(json.loads(json.dumps(self.committed)))

    def wait_for(self, number: int, *, seconds: float = 20.0) -> None:
        """Poll and commit until so many lines are kept; fails after `seconds`."""
        ends = time.monotonic() + seconds
        while len(self.kept) < number:
            assert time.monotonic() < ends, f"{len(self.kept)} of {number} lines came; {self.problems}"
            if self.poll():
                self.commit()
            else:
                time.sleep(0.01)

    @property
    def texts(self) -> list[bytes]:
        """All lines that are kept, in the order in which they came."""
        return [line.text for line in self.kept]

    def close(self) -> None:
        """Stop."""
        self.feed.close()


def numbers_are_right(lines: list[Line]) -> bool:
    """Whether the lines of every generation are numbered from 1 without a gap."""
    last: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.number != last.get((line.log_file, line.generation), 0) + 1:
            return False
        last[line.log_file, line.generation] = line.number
    return True
