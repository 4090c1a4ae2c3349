"""The reading processes of a watch: pieces of logs in, rows and facts out, as the JSON that the store keeps.

A log whose reader joins lines stays with one process, which remembers what it knows of it. Another process takes the place of
one that crashes or hangs. A piece is tried twice: one at which two processes crash, or one hangs, is given up and reported.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections import deque
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tidewaiter.engines.memory import keep_little
from tidewaiter.engines.workers import _without_main
from tidewaiter.pipeline.live_reading import LiveReader, Piece, Read, warm

PATIENCE = 120.0
"""Seconds that a process may take for a piece before it is given up."""
QUEUED = 4
"""Pieces that wait in front of one process."""


class Done(NamedTuple):
    """What became of a piece. `rows` and `facts` are JSON."""

    log_file: str
    read: Read
    rows: bytes
    facts: bytes


def _work(pipe: Connection, work_dir: str, name: str, half_life: float) -> None:
    for asked in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # may go to a whole group; the engine lets us finish
        signal.signal(asked, signal.SIG_IGN)
    tempfile.tempdir = work_dir
    keep_little()
    reader = LiveReader(Path(work_dir), name, half_life)
    warm()  # nobody waits for the first event to load a language
    rows, facts, rest = msgspec.json.Encoder(), msgspec.json.Encoder(), msgspec.msgpack.Encoder()
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        pipe.send_bytes(b"")
        while True:
            read = reader.read(msgspec.msgpack.decode(pipe.recv_bytes(), type=Piece))
            lines, learned = rows.encode(read.rows), facts.encode(read.facts)
            pipe.send_bytes(rest.encode(msgspec.structs.replace(read, rows=[], facts=_NO_FACTS)))
            pipe.send_bytes(lines)
            pipe.send_bytes(learned)


_NO_FACTS = Read().facts


class _Process:
    """One reading process with the pieces that it was given."""

    def __init__(self, context: Any, work_dir: Path, number: int, half_life: float) -> None:
        self.pipe, theirs = context.Pipe()
        settings = (theirs, str(work_dir), f"watch-{number}", half_life)
        self.process = context.Process(target=_work, args=settings, daemon=True)
        with _without_main():
            self.process.start()
        theirs.close()
        self.given: deque[Piece] = deque()
        self.second_try = False  # whether another process crashed at the first piece
        self.ready = False
        self.since = time.monotonic()

    def stop(self) -> None:
        """End it, by force where it does not listen."""
        self.pipe.close()
        self.process.join(1.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Readers:
    """A few reading processes."""

    def __init__(self, work_dir: Path, count: int, half_life: float) -> None:
        self._half_life = half_life
        self._context = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
        if os.name != "nt":
            self._context.set_forkserver_preload(["tidewaiter.pipeline.live_reading"])
        self._work_dir = work_dir
        self._started = 0
        self._all = [self._start() for _ in range(max(1, count))]
        self._of: dict[str, int] = {}

    def _start(self) -> _Process:
        self._started += 1
        return _Process(self._context, self._work_dir, self._started, self._half_life)

    @property
    def waiting(self) -> int:
        """Pieces that are not done."""
        return sum(len(one.given) for one in self._all)

    def free(self, log_file: str) -> bool:
        """Whether a process that may read this log can take a piece."""
        return len(self._all[self._place(log_file)].given) < QUEUED

    def _place(self, log_file: str) -> int:
        """The process that has the log, else the one with the least to do."""
        place = self._of.get(log_file)
        if place is None:
            waiting = [sum(len(piece.data) for piece in one.given) for one in self._all]
            place = waiting.index(min(waiting))
        return place

    def give(self, piece: Piece) -> None:
        """Hand over a piece."""
        one = self._all[self._place(piece.log_file)]
        if not one.given:
            one.since = time.monotonic()
        one.given.append(piece)
        if one.ready and len(one.given) == 1:
            self._send(one)

    @staticmethod
    def _send(one: _Process) -> None:
        one.since = time.monotonic()
        with contextlib.suppress(OSError):  # it died: hearing it says so
            one.pipe.send_bytes(msgspec.msgpack.encode(one.given[0]))

    def hear(self, seconds: float) -> list[Done]:
        """What is done by now; waits up to `seconds` for the first."""
        found: list[Done] = []
        ready = wait([one.pipe for one in self._all], timeout=seconds)
        for place, one in enumerate(self._all):
            if one.pipe in ready:
                self._hear(place, one, found)
            elif one.given and time.monotonic() - one.since > PATIENCE:
                self._give_up(place, one, found, f"the reader said nothing for {PATIENCE:.0f} s and was stopped")
        return found

    def _hear(self, place: int, one: _Process, found: list[Done]) -> None:
        try:
            message = one.pipe.recv_bytes()
            if not one.ready:
                one.ready = True
            else:
                read = msgspec.msgpack.decode(message, type=Read)
                rows, facts = one.pipe.recv_bytes(), one.pipe.recv_bytes()
                if read.remembers:
                    self._of.setdefault(one.given[0].log_file, place)
                found.append(Done(one.given.popleft().log_file, read, rows, facts))
                one.second_try = False
        except (EOFError, OSError):
            one.process.join(1.0)
            if one.given and one.ready and not one.second_try:
                self._replace(place, one).second_try = True
            else:
                self._give_up(place, one, found, f"the reader crashed (exit {one.process.exitcode})")
            return
        if one.given:
            self._send(one)

    def _give_up(self, place: int, one: _Process, found: list[Done], problem: str) -> None:
        """Report the piece that the process was at and give the others to a new one."""
        if one.given and one.ready:
            piece = one.given.popleft()
            found.append(Done(piece.log_file, Read(problem=problem), b"[]", b"{}"))
        self._replace(place, one)

    def _replace(self, place: int, one: _Process) -> _Process:
        """A new process, with what the old one was given."""
        one.stop()
        fresh = self._all[place] = self._start()
        fresh.given = one.given
        return fresh

    def close(self) -> None:
        """End all processes."""
        for one in self._all:
            one.stop()
