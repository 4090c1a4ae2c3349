"""Checkpoints of SQLite's write-ahead log, made beside the writer.

A commit that finds the log full copies it into the database and waits until the disk has both: half a second on a busy disk,
in which a live engine reads nothing. Here a thread with a connection of its own does so after commits. It hinders no writer;
what it cannot do it does after a later commit. Source: SQLite documentation, "Write-Ahead Logging" and "PRAGMA wal_checkpoint".
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading

EVERY = 1.0
"""Seconds between two checkpoints at least."""
_TRIES = 3
"""Checkpoints in a row: what is committed during one is left to the next, and only a log that is wholly copied begins anew."""
LONGEST_LOG = 16_384
"""Pages (of 4 KB) at which a commit makes a checkpoint after all."""


class Checkpoints:
    """The thread; `committed` after each commit, `close` at the end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._wanted, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def committed(self) -> None:
        """There is something to copy."""
        self._wanted.set()

    def close(self) -> None:
        """End the thread; a checkpoint that is under way is waited for."""
        self._stop.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            while not self._stop.is_set():
                self._wanted.wait()
                self._wanted.clear()
                for _ in range(_TRIES):
                    if self._stop.is_set() or _whole(connection):
                        break
                self._stop.wait(EVERY)


def _whole(connection: sqlite3.Connection) -> bool:
    """Make a checkpoint; whether everything in the log was copied, or nothing can be now."""
    try:
        _, there, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:  # a full disk, a lock: the writer meets it too, and says so
        return True
    return bool(there == copied)
