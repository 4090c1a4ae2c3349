"""What a drill could leave behind on a machine, as it can be seen from outside."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from tidewaiter.drill import processes

KEPT = ("/root/.ssh", "/root/.wget-hsts", "/root/.cache/lftp", "/root/.local/share/lftp", "/root/.config", "/run/sshd")


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def state() -> dict[str, object]:
    """Files, addresses, routes, interfaces, namespaces and processes by which a drill would be known."""
    folder = Path(tempfile.gettempdir())
    return {
        "folders": sorted(path.name for path in folder.glob("tidewaiter-drill-*")),
        "addresses": _printed("ip", "-o", "-4", "address", "show", "dev", "lo"),
        "routes": [line for line in _printed("ip", "route", "show", "table", "all").splitlines() if "10.99." in line],
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir() if path.name.startswith("twdrill")),
        "namespaces": _printed("ip", "netns", "list"),
        "kept": {path: (Path(path).stat().st_mtime_ns if Path(path).exists() else None) for path in KEPT},
        "processes": sorted(words for words in drills() if words),
    }


def drills() -> list[str]:
    """Command lines of processes that a drill has started: tagged ones, and servers that were told to read a drill's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            tagged = processes.TAG.encode() in (entry / "environ").read_bytes()
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if tagged or "tidewaiter-drill-" in words or "tidewaiter.drill" in words:
            found.append(words)
    return found


def settled(before: dict[str, object], seconds: float = 15.0) -> dict[str, object]:
    """The state as soon as it is what it was before, else the state after some time: what is killed takes a moment to go."""
    end = time.monotonic() + seconds
    while (now := state()) != before and time.monotonic() < end:
        time.sleep(0.1)
    return now
