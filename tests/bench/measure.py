"""What a command costs: processor seconds and peak memory of it and of every process that it starts.

Run as a program it measures the rest of its command line. It makes itself the one that inherits orphans (Linux), so that
workers whose parent has ended are counted too.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Cost:
    """Processor seconds (user and system), the largest process and the largest sum of all processes in MB, and what it said."""

    cpu: float
    largest_mb: float
    together_mb: float
    status: int
    output: str
    errors: str


def measure(command: list[str]) -> Cost:
    """Run a command and say what it cost; raises RuntimeError where it fails."""
    cost = measured(command)
    if cost.status != 0:
        raise RuntimeError(f"{' '.join(command)[:200]} ...: exit {cost.status}: {cost.errors[-2000:]}")
    return cost


def measured(command: list[str], timeout: float | None = None) -> Cost:
    """Run a command, whatever its exit status; raises subprocess.TimeoutExpired and ends it where it takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "cost.json"
        outer = [sys.executable, __file__, str(report), *command]
        done = subprocess.run(outer, capture_output=True, text=True, check=False, timeout=timeout)
        return Cost(**json.loads(report.read_text(encoding="utf-8")), output=done.stdout, errors=done.stderr)


def _descendants() -> list[int]:
    """Processes below this one, from /proc; empty where there is none."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(rest[1])
    found: list[int] = []
    frontier = {os.getpid()}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier}
        found.extend(frontier)
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


class _Sampler(threading.Thread):
    """Adds up the memory of all processes below, many times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.going = True

    def run(self) -> None:
        while self.going:
            self.peak = max(self.peak, sum(map(_resident, _descendants())))
            time.sleep(0.05)


def _main(report: str, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    sampler = _Sampler()
    sampler.start()
    status = subprocess.Popen(command).wait()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()  # orphans that came to us
    sampler.going = False
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "cpu": used.ru_utime + used.ru_stime,
        "largest_mb": used.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1),
        "together_mb": sampler.peak / 1e6,
        "status": status,
    }
    Path(report).write_text(json.dumps(cost), encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
