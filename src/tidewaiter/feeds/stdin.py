"""Standard input: a pipe that is read as far as it goes, or a file.

A pipe cannot be read twice: lines that were read and not yet committed when the process is killed are lost, as is what the
writing program still holds. Where that matters, let the program write a file and follow that. While nobody polls, the pipe
fills and the program waits: nothing is dropped.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from tidewaiter.feed import HEAD_BYTES, LONGEST_LINE, Chunk, FeedProblem, Problems, Surroundings, cut_lines, now_micros
from tidewaiter.output import printable

LOG_FILE = "stdin"
BLOCK = 1 << 18
"""Bytes read at a time."""


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The table `[[input]]` with `type = "stdin"`: there is nothing to set."""


class Feed:
    """Reads one descriptor. Every start is a generation of its own."""

    def __init__(self, settings: Settings, surroundings: Surroundings, *, descriptor: int | None = None) -> None:  # noqa: ARG002 - the interface
        self.name = LOG_FILE
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._generation = f"{now_micros():x}"
        self._problems = Problems(printable)
        self._head = b""
        self._held = b""  # an unfinished line; at most a longest line and a block
        self._skipping = False
        self._line = 0
        self._ended = False

    def resume(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """What was read before a restart is gone."""

    def poll(self, most: int) -> list[Chunk]:
        """What is in the pipe; after its end, once, what is left with `finished`."""
        if self._ended or not select.select([self._descriptor], [], [], 0)[0]:
            return []
        try:
            part = os.read(self._descriptor, max(min(most, BLOCK), 1))
        except OSError as error:
            text = f"cannot be read: {error.strerror or error}"
            self._problems.add("unreadable", LOG_FILE, text, "start again with an input that can be read")
            part = b""
        if len(self._head) < HEAD_BYTES:
            self._head += part[: HEAD_BYTES - len(self._head)]
        raw = self._held + part
        cut = cut_lines(raw, skipping=self._skipping)
        self._held, self._skipping = raw[cut.used :], cut.skipping
        if cut.left_out:
            text = f"lines longer than {LONGEST_LINE:,} bytes were cut"
            self._problems.add("cut", LOG_FILE, text, "find out what writes them", count=cut.left_out, unit="bytes")
        if part:
            return [self._chunk(cut.data, cut.lines, finished=False)] if cut.lines else []
        self._ended = True
        rest = self._held.strip(b"\0")
        return [self._chunk(cut.data + rest, cut.lines + bool(rest), finished=True)]

    def poll_of(self, _log_file: str, most: int, /) -> list[Chunk]:
        """As `poll`: it cannot choose."""
        return self.poll(most)

    def _chunk(self, data: bytes, lines: int, *, finished: bool) -> Chunk:
        first = self._line + 1
        self._line += lines
        return Chunk(
            log_file=LOG_FILE,
            first_line=first,
            data=data,
            head=self._head,
            position={"version": 1, "generation": self._generation, "line": self._line},
            caught_up=len(data) < BLOCK,
            received=now_micros(),
            generation=self._generation,
            finished=finished,
        )

    def committed(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Nobody needs to be told."""

    def problems(self) -> list[FeedProblem]:
        """What went wrong since last asked."""
        return self._problems.take()

    def lag(self) -> int:
        """What is held back here; what is in the pipe, nobody can tell."""
        return len(self._held)

    def close(self) -> None:
        """The descriptor is not ours to close."""
