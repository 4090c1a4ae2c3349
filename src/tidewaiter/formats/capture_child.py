"""Running a packet program (Suricata, tshark) as a bounded child: private folder, no network, time, memory, death with us."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MEMORY = 6 << 30
"""Address space of a child, in bytes: far more than its tables may grow to, since threads reserve what they never touch."""
GRACE = 10.0
"""Seconds to write down what is known, after the time is up and before the process is killed."""
_LAUNCHER = Path(__file__).with_name("capture_launcher.py")


class Ended(NamedTuple):
    """How a child ended: its exit code (negative: a signal), the seconds it took, and whether we stopped it for the time."""

    code: int
    seconds: float
    out_of_time: bool


def run(
    command: Sequence[str],
    folder: Path,
    *,
    seconds: float,
    file_size: int,
    given_up: Callable[[], bool] = lambda: False,
) -> Generator[None, None, Ended]:
    """Run a program in its private folder, yielding about once a second; returns how it ended.

    Standard output and error go to `folder`/out and `folder`/err. `given_up` is asked once a second whether waiting has no
    use any more. Closing the generator ends the child.
    """
    began = time.monotonic()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        launched, take_bounds = _launched(command, file_size)
        process = subprocess.Popen(  # noqa: S603 - no shell, absolute path
            launched, cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True, close_fds=True, preexec_fn=take_bounds,
        )  # fmt: skip
    late = False
    try:
        while True:
            left = began + seconds - time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(min(1.0, max(left, 0.01)))
                return Ended(code, time.monotonic() - began, late)
            if given_up():
                return Ended(-signal.SIGKILL, time.monotonic() - began, late)
            if left <= 0:
                if late:
                    return Ended(-signal.SIGKILL, time.monotonic() - began, late)
                late, seconds = True, seconds + GRACE
                process.send_signal(signal.SIGINT)
            yield
    finally:
        _kill(process)


def _launched(command: Sequence[str], file_size: int) -> tuple[list[str], Callable[[], None] | None]:
    """What to start, and what to do between fork and exec: code of ours may run there only where no thread holds a lock."""
    if os.name != "posix":
        return list(command), None
    bounds = {"memory": MEMORY, "file_size": file_size, "parent": os.getpid()}
    if _one_thread():
        from tidewaiter.formats import capture_launcher

        return list(command), functools.partial(capture_launcher.bound, bounds)
    return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(bounds), *command], None


def _one_thread() -> bool:
    """Whether this process surely has one thread, native ones included. Only Linux says so."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - names are enough
    except OSError:
        return False


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours but the search path; all that a program keeps about itself goes into the private folder."""
    home = str(folder)
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    places = dict.fromkeys(
        ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "WIRESHARK_CONFIG_DIR"), home
    )
    return {**kept, **places, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the child and of its group."""
    if process.poll() is None:
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        with suppress(OSError):
            process.kill()
        process.wait()
