"""An installed server program, run in the foreground with settings of its own, until it is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tidewaiter.errors import DrillError

STARTING = 15.0
"""Seconds until a server must listen."""
LAST_WORDS = 300


class Daemon:
    """A started server program. It leads a session of its own, so that it ends with everything it started."""

    def __init__(self, command: Sequence[str], ports: dict[str, int], address: str, log: Path) -> None:
        self.ports = ports
        self._log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(  # noqa: S603 - the arguments are ours, no shell reads them
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd="/", start_new_session=True
            )
        try:
            self._wait(address)
        except BaseException:  # raised again: only what was begun is undone first
            self.stop()
            raise

    def _wait(self, address: str) -> None:
        end = time.monotonic() + STARTING
        waiting = set(self.ports.values())
        while waiting:
            if self._process.poll() is not None:
                raise DrillError(f"it ended at once: {self._last_words()}")
            if time.monotonic() > end:
                raise DrillError(f"it did not listen within {STARTING:.0f} s: {self._last_words()}")
            waiting = {port for port in waiting if not _listens(address, port)}
            if waiting:
                time.sleep(0.1)

    def _last_words(self) -> str:
        with self._log.open("rb") as stream:
            said = stream.read(64_000).decode("utf-8", "replace").strip()
        return said[-LAST_WORDS:] or f"exit code {self._process.returncode}, and no word why"

    def stop(self) -> None:
        """End the program and what it started, by force where it does not listen."""
        for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                return


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1.0):
            return True
    except OSError:
        return False
