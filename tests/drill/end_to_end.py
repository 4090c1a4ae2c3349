#!/usr/bin/env python3
"""A drill against the real thing: auditd and Suricata feed a running watch, and every transfer has to come out of it.

Run as root where nobody uses the kernel's audit system: `.venv/bin/python tests/drill/end_to_end.py`. A private auditd records
one login uid with the rules that `tidewaiter sensors auditd` prints, Suricata listens with the overlay that `tidewaiter sensors
suricata` prints, `tidewaiter watch` reads both logs into a store, and `tidewaiter drill` is held. Exit code 0: every method
that could be run has a record with its delay, joined from host and network.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a script it finds the tests' own modules; under pytest they are found already
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drill.deployment import EVE, PROGRAM, logged_in, suricata, wait_until
from sensors import recorder
from tidewaiter.drill.ledger import BRIDGE
from tidewaiter.prevention.configurations import named, render

SETTLE = 30
"""Seconds for Suricata to start on the bridge."""

Row = dict[str, Any]


@contextlib.contextmanager
def watching(logs: list[Path], store: Path, folder: Path) -> Iterator[None]:
    """A running watch over the logs, which may appear later."""
    command = [*PROGRAM, "watch", *map(str, logs), "--store", str(store), "--state", str(folder / "state")]
    with (folder / "watch.out").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/")
    try:
        try:
            wait_until(store, process, 60)
        except RuntimeError as problem:
            raise RuntimeError(f"{problem}: {_last_words(folder)}") from None
        yield
        if process.poll() is not None:
            raise RuntimeError(f"the watch ended: {_last_words(folder)}")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()


def _last_words(folder: Path) -> str:
    return (folder / "watch.out").read_text(errors="replace")[-2000:]


def held(folder: Path, *, namespaces: bool, wait: float, pause: float = 1.0, methods: Sequence[str] = ()) -> list[Row]:
    """The rows of a drill that is held while the watch runs. Raises recorder.NotUsable, RuntimeError."""
    store, sensor, result = folder / "transfers.db", folder / "sensor", folder / "result.jsonl"
    interface = BRIDGE if namespaces else "lo"
    told = ["drill", "--yes", "--store", str(store), "--format", "jsonl", "--output", str(result)]
    told += ["--wait", f"{wait:g}", "--pause", f"{pause:g}"]
    told += [word for method in methods for word in ("--method", method)]
    told += ["--namespaces", "--settle", str(SETTLE)] if namespaces else []
    with recorder.recording(render(named("auditd")), folder) as log, contextlib.ExitStack() as sensors:
        if not namespaces:
            sensors.enter_context(suricata(interface, sensor))
        sensors.enter_context(watching([log, sensor / EVE], store, folder))
        process = logged_in(told)
        try:
            if namespaces:
                wait_until(Path("/sys/class/net") / interface, process)
                sensors.enter_context(suricata(interface, sensor))
            process.wait(wait + 300)
        finally:
            process.terminate()
            process.wait(60)
    return [json.loads(line) for line in result.read_text(encoding="utf-8").splitlines()]


def summary(rows: list[Row]) -> dict[str, Any]:
    """The figures of a drill."""
    run = [row for row in rows if row["command"] is not None]
    delays = sorted(row["delay"] for row in run if row["delay"] is not None)
    whole = sorted(row["complete"] for row in run if row["complete"] is not None)
    return {
        "methods": len(rows),
        "run": len(run),
        "landed": sum(row["landed"] for row in run),
        "with a record": sum(row["record"] is not None for row in run),
        "joined": sum(row["joined"] for row in run),
        "not joined": [row["method"] for row in run if not row["joined"]],
        "delay (s)": {"median": delays[len(delays) // 2], "most": delays[-1]} if delays else None,
        "complete (s)": {"median": whole[len(whole) // 2], "most": whole[-1]} if whole else None,
    }


def main() -> int:
    """Hold it and print the rows and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--namespaces", action="store_true", help="between two namespaces instead of on the loopback interface")
    parser.add_argument("--wait", type=float, default=120.0, help="seconds to wait for records (default 120)")
    parser.add_argument("--method", action="append", default=[], help="only this method; may be repeated")
    parser.add_argument("--keep", type=Path, help="an empty folder for the logs and the store, which are otherwise removed")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as made:
        folder = arguments.keep or Path(made.enter_context(tempfile.TemporaryDirectory(prefix="tidewaiter-end-to-end-")))
        folder.mkdir(exist_ok=True)
        began = time.monotonic()
        try:
            rows = held(folder, namespaces=arguments.namespaces, wait=arguments.wait, methods=arguments.method)
        except recorder.NotUsable as reason:
            sys.exit(f"the kernel's audit cannot be used here: {reason}")
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
    figures = summary(rows)
    sys.stderr.write(json.dumps(figures, indent=2) + f"\n{time.monotonic() - began:.0f} s\n")
    return 0 if figures["run"] == figures["with a record"] == figures["joined"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
