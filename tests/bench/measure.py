"""What a command costs: processor seconds and peak memory of it and of every process that it starts.

Run as a program it measures the rest of its command line and prints one JSON object. It makes itself the one that inherits
orphans (Linux), so that workers whose parent has ended are counted too.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_PAGE = resource.getpagesize()


@dataclass(frozen=True)
class Cost:
    """Processor seconds (user and system), the largest process and the largest sum of all processes in MB, exit status."""

    cpu: float
    largest_mb: float
    together_mb: float
    status: int
    output: str


def measure(command: list[str]) -> Cost:
    """Run a command and say what it cost; raises RuntimeError where it fails."""
    done = subprocess.run([sys.executable, __file__, *command], capture_output=True, text=True, check=True)
    cost = Cost(**json.loads(done.stdout.splitlines()[-1]))
    if cost.status != 0:
        raise RuntimeError(f"{' '.join(command)[:200]} ...: exit {cost.status}: {done.stderr[-2000:]}")
    return cost


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
            time.sleep(0.02)


def _main(command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    sampler = _Sampler()
    sampler.start()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    output = child.stdout.read()
    status = child.wait()
    try:
        while True:
            os.wait()  # orphans that came to us
    except ChildProcessError:
        pass
    sampler.going = False
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    largest = used.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)
    cost = {
        "cpu": used.ru_utime + used.ru_stime,
        "largest_mb": largest,
        "together_mb": sampler.peak / 1e6,
        "status": status,
        "output": output[-4000:],
    }
    sys.stdout.write(json.dumps(cost) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
