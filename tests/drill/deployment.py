"""Real sensors around a drill: Suricata on the interface, a login session whose commands the private auditd records."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sensors import overlay, recorder
from tidewaiter.prevention.configurations import named, render

PROGRAM = [sys.executable, "-m", "tidewaiter"]
EVE = "eve-tidewaiter.json"
STARTING = 120.0
"""Seconds that a program may take to start."""


def wait_until(path: Path, process: subprocess.Popen[bytes], seconds: float = STARTING) -> None:
    """Until a file or interface is there. Raises RuntimeError where the process ends before, or it takes too long."""
    end = time.monotonic() + seconds
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{path} did not appear")
        time.sleep(0.1)


@contextlib.contextmanager
def suricata(interface: str, folder: Path) -> Iterator[Path]:
    """Suricata with the overlay that the program prints, on the traffic of drills only; gives the path of its log."""
    configuration = overlay.configuration(folder, render(named("suricata")))
    command = ["suricata", "-c", str(configuration), "-S", "/dev/null", "-k", "none", f"--af-packet={interface}"]
    command += ["-l", str(folder), "--pidfile", str(folder / "suricata.pid"), "--set", "unix-command.enabled=no"]
    command += ["--set", "flow.managers=1", "--set", "flow.recyclers=1", "net 10.99.0.0/16"]
    said = folder / "said"
    with said.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd="/")
    try:
        end = time.monotonic() + STARTING
        while "Engine started" not in said.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Suricata does not start: {said.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield folder / EVE
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()


def logged_in(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """The program in a login session of its own, which is what the recorder records."""

    def log_in() -> None:
        Path("/proc/self/loginuid").write_text(str(recorder.LOGIN_UID))

    return subprocess.Popen([*PROGRAM, *arguments], stdin=subprocess.DEVNULL, preexec_fn=log_in, env=dict(os.environ))
