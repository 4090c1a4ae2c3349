"""Worker processes of the local engine: each reads one item at a time, and what breaks it costs that item.

Where this process has one thread only (Linux says so), workers are forked from it: they find loaded what it has loaded, and
start within milliseconds. Elsewhere a server process that has imported the pipeline forks them, on Windows each starts anew.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from tidewaiter.engines.memory import give_back, keep_little, resident
from tidewaiter.pipeline.inputs import WorkItem
from tidewaiter.pipeline.run import ItemReader, ItemResult

_BEAT = b"beat"
_STARTING = 120.0
"""Seconds that a worker may take to start, on a machine with better things to do."""
_OBJECTS = 50_000
"""Objects between two searches for garbage in cycles: batches of events are no garbage, and are many."""

_MUCH = 8_000_000
"""Bytes of input after which a worker sees whether to give memory back."""
_GROWN = 1 << 20
"""Bytes by which a worker may grow before it does: that takes some milliseconds."""


def _work(pipe: Connection, work_dir: str, name: str, half_life: float, survey: bool) -> None:
    """A worker process: items in, results out, a beat now and then."""
    last = 0.0

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > 2.0:
            last = time.monotonic()
            pipe.send_bytes(_BEAT)

    tempfile.tempdir = work_dir  # what a reader puts aside goes with the scan's own files, even where we are killed
    gc.freeze()  # what was inherited stays as it is, and its pages shared
    gc.set_threshold(_OBJECTS, 10, 10)
    keep_little()
    reader, much, mark = ItemReader(Path(work_dir), name, beat, half_life, survey=survey), 0, 0
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        pipe.send_bytes(_BEAT)
        while True:
            item = msgspec.msgpack.decode(pipe.recv_bytes(), type=WorkItem)
            pipe.send_bytes(msgspec.msgpack.encode(reader.read(item)))
            much += item.size
            if much > _MUCH:
                much = 0
                if resident() >= mark:
                    give_back()
                    mark = min(mark or _mark(), _mark())  # from the least that it ever had: creeping up is growing too


def _mark() -> int:
    """How much memory in use is so much more than now that it is worth giving some back; 0, always, where nobody knows."""
    now = resident()
    return now + _GROWN if now else 0


def _forked(inherited: list[int], pipe: Connection, *settings: Any) -> None:
    """`_work` in a process that inherited everything: it lets go of all files, locks and sockets but its own pipe.

    Their numbers stay taken, by the null device: no object that is dropped later closes what was opened since.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for number in inherited:
        if number > 2 and number != pipe.fileno():
            with contextlib.suppress(OSError):  # that of the listing itself
                os.fstat(number)
                os.dup2(null, number)
    _work(pipe, *settings)


def _open_files() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def _alone() -> bool:
    """Whether this process surely has one thread, native ones included: only then may it be forked and go on."""
    try:
        return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Start workers that do not import the caller's script again: they have no need of it, and it may start a scan itself."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _started(pipe: Connection, *settings: Any) -> Any:
    """A worker process with its end of a pipe."""
    if _alone():
        forked = multiprocessing.get_context("fork").Process(target=_forked, args=(_open_files(), pipe, *settings), daemon=True)
        forked.start()
        return forked
    context: Any = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
    if os.name != "nt":
        context.set_forkserver_preload(["tidewaiter.pipeline.run"])  # imported once, for all workers
    process = context.Process(target=_work, args=(pipe, *settings), daemon=True)
    with _without_main():
        process.start()
    return process


class Worker:
    """One worker process with its pipe and the item it is at."""

    def __init__(self, work_dir: Path, number: int, half_life: float, *, survey: bool) -> None:
        name = f"{os.urandom(8).hex()}-{number}"  # the work folder may hold what an earlier scan read
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = _started(theirs, str(work_dir), name, half_life, survey)
        theirs.close()
        self.item: WorkItem | None = None
        self.heard = time.monotonic()
        self.ready = False  # it has started and can read

    def give(self, item: WorkItem) -> None:
        """Hand it an item."""
        self.item = item
        self.heard = time.monotonic()
        with contextlib.suppress(OSError):  # it died while idle: hearing it says so
            self.pipe.send_bytes(msgspec.msgpack.encode(item))

    def hear(self, ready: bool, patience: float) -> ItemResult | str | None:
        """Its result, why there will be none, or None while it is still at it. `ready`: its pipe holds something."""
        if ready:
            try:
                message = self.pipe.recv_bytes()
            except (EOFError, OSError):
                self.process.join(1.0)
                return f"the reader crashed (exit {self.process.exitcode}); the rest of the input was read"
            if message != _BEAT:
                return msgspec.msgpack.decode(message, type=ItemResult)
            self.heard, self.ready = time.monotonic(), True
        if not self.ready:
            patience = max(patience, _STARTING)
        if time.monotonic() - self.heard > patience:
            return f"the reader said nothing for {patience:.0f} s and was stopped; the rest of the input was read"
        return None

    def stop(self) -> None:
        """End the process, by force where it does not listen."""
        self.pipe.close()
        self.process.join(0.5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
