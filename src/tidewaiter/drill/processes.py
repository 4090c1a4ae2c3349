"""Processes of a drill: told apart from all others by a word in their environment, and by when they started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

TAG = "TIDEWAITER_DRILL"
"""Variable that every process of a drill has, with the drill's token as its value."""
PATIENCE = 5.0
"""Seconds until processes that were told to end must be gone."""

_PROC = Path("/proc")
_SET_CHILD_SUBREAPER = 36  # of Linux's prctl


def started(process: int) -> str | None:
    """When a process started, in ticks since the machine did; None where there is none of that id."""
    try:
        told = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = told.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in ("Z", "X") else fields[19]


def boot() -> str:
    """What tells this run of the machine from all others."""
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def tagged(token: str) -> Iterator[int]:
    """The processes of a drill that are there now. Only those that we may look into are found."""
    word = f"{TAG}={token}".encode()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is somebody else's
            continue
        if word in environment and started(int(entry.name)) is not None:
            yield int(entry.name)


def adopt_orphans() -> None:
    """From now on what descendants of this process leave behind becomes its child, not that of the machine's first process."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """The processes whose parent is this one, ended ones that nobody has asked after among them."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                told = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if int(told.rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(entry.name))
    return found


def end_children() -> None:
    """End the children of this process and theirs, by force where they do not listen."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + PATIENCE
        while (alive := children()) and time.monotonic() < until:
            for process in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
                    os.kill(process, number)
                    os.waitpid(process, os.WNOHANG)
            time.sleep(0.02)


def end(token: str) -> int:
    """End every process of a drill, by force where it does not listen; returns how many there were."""
    found = list(tagged(token))
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
        for process in tagged(token):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        until = time.monotonic() + patience
        while time.monotonic() < until and any(tagged(token)):
            time.sleep(0.05)
        if not any(tagged(token)):
            break
    return len(found)
