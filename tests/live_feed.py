"""A mixed feed for tests and the bench of `tidewaiter watch`: what hosts and a sensor write, in time order, transfers known.

Linux audit records, Suricata's EVE, and Windows events as JSON. The same lines every time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from log_writer import START, Audit, Windows

AUDIT, EVE, WINDOWS = "audit.log", "eve.json", "windows.json"


class Line(NamedTuple):
    """One write: to which file, and the lines of one event."""

    log: str
    text: str


def mixed(seconds: float, *, rate: int = 100, every: float = 2.0, start: float = 0.0, first: int = 1) -> Iterator[Line]:
    """Events for so many seconds of log time, `rate` a second, with a transfer on each host `every` so many seconds.

    They begin `start` seconds after the beginning of all feeds; `first` is the number of their first event, which is in names.
    """
    chance = random.Random(7)
    audit, windows = Audit("web1"), Windows("ws01.example.com")
    next_transfer = start + every / 2
    for number in range(int(seconds * rate)):
        now, step = start + number / rate, number + first
        if now >= next_transfer:
            next_transfer += every
            yield from _transfer(audit, windows, now, step)
        kind = number % 10
        if kind < 4:
            yield from _audit(audit, now, step, chance)
        elif kind < 7:
            yield from _windows(windows, now, step, chance)
        else:
            yield Line(EVE, eve(now, step, "flow"))


def _audit(log: Audit, now: float, step: int, chance: random.Random) -> Iterator[Line]:
    pid = 2_000 + step % 20_000
    log.programs[pid] = "/opt/monitor/bin/agent"
    roll = chance.random()
    if roll < 0.4:
        log.run(now, pid, "grep", "-q", f"state {step}", "/var/lib/monitor/state")
    elif roll < 0.6:
        log.connect(now, pid, f"198.51.100.{step % 250}", 443)
    else:
        log.create(now, pid, f"/var/lib/monitor/{step}.tmp")
    yield from _taken(log.lines, AUDIT)


def _windows(log: Windows, now: float, step: int, chance: random.Random) -> Iterator[Line]:
    pid = 4_000 + step % 9_000
    roll = chance.random()
    if roll < 0.3:
        log.start(now, pid, "C:\\Windows\\System32\\taskhostw.exe", f"taskhostw.exe -p {step}")
    elif roll < 0.6:
        log.connection(now, pid, f"198.51.100.{step % 250}", 443, "files.example.com")
    else:
        log.file(now, pid, f"C:\\Users\\ann\\AppData\\Local\\Temp\\{step}.tmp")
    yield from _taken(log.lines, WINDOWS)


def _transfer(audit: Audit, windows: Windows, now: float, step: int) -> Iterator[Line]:
    """Three transfers: one of each host, and a third that only the sensor sees."""
    pid = 30_000 + step % 20_000
    audit.run(now, pid, "curl", "-o", f"/tmp/kit{step}", f"http://files.example.org/kit{step}")
    audit.connect(now + 0.001, pid, "198.51.100.7", 80)
    audit.create(now + 0.002, pid, f"/tmp/kit{step}")
    yield from _taken(audit.lines, AUDIT)
    yield Line(EVE, eve(now + 0.003, step, "http", name=f"kit{step}", client="192.0.2.20"))
    yield Line(EVE, eve(now + 0.003, step, "fileinfo", name=f"kit{step}", client="192.0.2.20"))
    audit.run(now + 0.004, pid + 1, f"/tmp/kit{step}")
    yield from _taken(audit.lines, AUDIT)
    target = f"C:\\Users\\Public\\tool{step}.exe"
    windows.start(
        now + 0.005, pid, "C:\\Windows\\System32\\curl.exe", f"curl.exe -o {target} http://files.example.org/t{step}.exe"
    )
    windows.connection(now + 0.006, pid, "198.51.100.7", 80, "files.example.org")
    windows.file(now + 0.007, pid, target)
    yield from _taken(windows.lines, WINDOWS)
    yield Line(EVE, eve(now + 0.008, step + 500_000, "http", name=f"wire{step}.exe", client="192.0.2.30"))
    yield Line(EVE, eve(now + 0.008, step + 500_000, "fileinfo", name=f"wire{step}.exe", client="192.0.2.30"))


def _taken(lines: list[str], log: str) -> Iterator[Line]:
    if lines:
        yield Line(log, "".join(line + "\n" for line in lines))
        lines.clear()


def eve(now: float, step: int, kind: str, *, name: str = "", client: str = "192.0.2.20") -> str:
    """One EVE record."""
    moment = datetime.fromtimestamp(START + now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
    record: dict[str, Any] = {
        "timestamp": moment, "flow_id": 10_000 + step, "in_iface": "eth0", "event_type": kind, "src_ip": client,
        "src_port": 20_000 + step % 40_000, "dest_ip": "198.51.100.7", "dest_port": 80, "proto": "TCP", "app_proto": "http",
    }  # fmt: skip
    if kind == "flow":
        record |= {
            "dest_ip": f"198.51.100.{step % 250}", "dest_port": 443, "app_proto": "tls",
            "flow": {"pkts_toserver": 9, "pkts_toclient": 11, "bytes_toserver": 1_900, "bytes_toclient": 7_000 + step % 900,
                     "start": moment, "end": moment, "age": 0, "state": "closed", "reason": "timeout"},
        }  # fmt: skip
    else:
        asked = {
            "hostname": "files.example.org", "url": f"/{name}", "http_user_agent": "curl/8.5.0", "http_method": "GET",
            "http_content_type": "application/octet-stream", "protocol": "HTTP/1.1", "status": 200, "length": 48_128,
        }  # fmt: skip
        record |= {"tx_id": 0, "http": asked}
        if kind == "fileinfo":
            record |= {
                "src_ip": "198.51.100.7", "src_port": 80, "dest_ip": client, "dest_port": 20_000 + step % 40_000,
                "fileinfo": {"filename": f"/{name}", "gaps": False, "state": "CLOSED", "stored": False, "size": 48_128,
                             "sha256": f"{step:064x}", "md5": f"{step:032x}", "tx_id": 0},
            }  # fmt: skip
    return json.dumps(record) + "\n"


@dataclass
class Writer:
    """Appends lines to files as sensors do: some bytes at a time, at a pace, from a thread."""

    folder: Path
    lines: list[Line]
    pace: float  # lines a second
    thread: threading.Thread | None = None
    files: dict[str, Any] = field(default_factory=dict)

    def write(self, line: Line) -> None:
        """One write, flushed."""
        file = self.files.get(line.log)
        if file is None:
            file = self.files[line.log] = (self.folder / line.log).open("ab", buffering=0)
        file.write(line.text.encode())

    def run(self) -> None:
        """All of them."""
        start = time.monotonic()
        for number, line in enumerate(self.lines):
            ahead = number / self.pace - (time.monotonic() - start)
            if ahead > 0:
                time.sleep(ahead)
            self.write(line)
        self.close()

    def close(self) -> None:
        """Close what is open."""
        for file in self.files.values():
            file.close()
        self.files.clear()

    def start(self) -> None:
        """In the background."""
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def join(self) -> None:
        """Wait for the last line."""
        if self.thread is not None:
            self.thread.join()


class Watching:
    """A `tidewaiter watch` in a process of its own, that can be killed and started again."""

    def __init__(self, state: Path, *paths: str, options: tuple[str, ...] = ()) -> None:
        self.state = state
        self.command = [sys.executable, "-m", "tidewaiter", "watch", *paths, "--state", str(state), *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.errors = state.parent / f"{state.name}.errors"

    def start(self, *more: str) -> None:
        """Start it in a group of its own."""
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*self.command, *more],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9, it and its reading processes."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """Ask it to end, and wait."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def finish(self, seconds: float = 120) -> None:
        """Run it once more until all that there is has been read."""
        self.start("--once")
        assert self.process is not None
        assert self.process.wait(seconds) == 0, self.errors.read_text(encoding="utf-8")[-3000:]

    @property
    def store(self) -> str:
        """Its store."""
        return str(self.state / "watch.db")


def kept(store: str) -> dict[str, dict[str, Any]]:
    """The transfers in a store by id."""
    command = [sys.executable, "-m", "tidewaiter", "list", "--store", store, "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def scanned(*paths: str) -> dict[str, dict[str, Any]]:
    """What a scan of the same files finds."""
    command = [sys.executable, "-m", "tidewaiter", "scan", *paths, "--format", "jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
