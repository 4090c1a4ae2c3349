"""`tidewaiter watch` as a user runs it: killed, with full disks, logs that are rotated; nothing may be lost or told twice."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from live_feed import AUDIT, EVE, WINDOWS, Line, Watching, Writer, kept, mixed, scanned

ROOT = Path(__file__).resolve().parents[2]
CI = os.environ.get("CI", "").lower() in ("true", "1")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def _differing(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What is missing, too much, or another record under the same id."""
    return {
        "missing": [wanted[key] for key in wanted.keys() - found.keys()],
        "extra": [found[key] for key in found.keys() - wanted.keys()],
        "other": [(found[key], wanted[key]) for key in found.keys() & wanted.keys() if found[key] != wanted[key]],
    }


_NOTHING: dict[str, Any] = {"missing": [], "extra": [], "other": []}


def test_replayed_evidence_gives_what_a_scan_gives(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    shutil.copytree(ROOT / "examples" / "evidence", evidence, ignore=shutil.ignore_patterns("*.pcap"))
    watching = Watching(tmp_path / "state", str(evidence))
    watching.finish()
    wanted = scanned(str(evidence))
    assert wanted
    assert _differing(kept(watching.store), wanted) == _NOTHING


def test_replayed_lab_gives_what_a_scan_gives(tmp_path: Path, corpus: Path) -> None:
    evidence = tmp_path / "evidence"
    shutil.copytree(corpus / "lab" / "evidence", evidence, ignore=shutil.ignore_patterns("*.pcap"))
    watching = Watching(tmp_path / "state", str(evidence))
    watching.finish()
    assert _differing(kept(watching.store), scanned(str(evidence))) == _NOTHING


def test_kills_lose_nothing_and_repeat_nothing(tmp_path: Path, logs: Path) -> None:
    lines = list(mixed(40, rate=150))
    writer = Writer(logs, lines, pace=len(lines) / 20)
    writer.start()
    told = tmp_path / "told.jsonl"
    settings = tmp_path / "watch.toml"
    settings.write_text(
        f'[[input]]\ntype = "files"\npaths = ["{logs}"]\n[[sink]]\ntype = "jsonl"\npath = "{told}"\n', encoding="utf-8"
    )
    watching = Watching(tmp_path / "state", str(settings))
    chance = random.Random(11)
    for _ in range(5):
        watching.start()
        time.sleep(chance.uniform(1.5, 5))
        watching.kill()
    writer.join()
    watching.finish()
    found = kept(watching.store)
    assert len(found) >= 60
    assert _differing(found, scanned(str(logs))) == _NOTHING
    assert _newest(told).keys() == found.keys()


def _newest(told: Path) -> dict[str, dict[str, Any]]:
    """Id -> the newest revision that a sink was told, without those that were withdrawn; no revision is told in two ways."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for line in told.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        before = rows.setdefault((row["id"], row["revision"]), row)
        assert before == row
    newest: dict[str, dict[str, Any]] = {}
    for (identity, revision), row in sorted(rows.items()):
        assert revision == newest.get(identity, {"revision": 0})["revision"] + 1
        newest[identity] = row
    return {identity: row for identity, row in newest.items() if row["change"] != "withdrawn"}


def test_rotated_truncated_and_compressed_logs_lose_nothing(tmp_path: Path, logs: Path) -> None:
    lines = list(mixed(30, rate=100))
    whole = tmp_path / "whole"
    whole.mkdir()
    everything = Writer(whole, lines, pace=1e9)
    everything.run()
    watching = Watching(tmp_path / "state", str(logs / "*"))
    watching.start()
    rotating = _Rotating(logs, lines, pace=len(lines) / 12)
    rotating.status = watching.state / "status.json"
    rotating.run()
    time.sleep(3)
    assert watching.stop() == 0
    watching.finish()  # what was not read when it was stopped
    assert _told(kept(watching.store)) == _told(scanned(str(whole)))
    assert rotating.rotations >= 6


def _told(found: dict[str, Any]) -> list[Any]:
    """What the records say, but for where in which file their evidence stands (and ids that depend on it)."""
    return sorted(
        [row["time"], row["utility"], str(row["src"]), str(row["dst"]), str([one["summary"] for one in row["evidence"]])]
        for row in found.values()
    )


class _Rotating(Writer):
    """Renames the audit log and compresses what was renamed, as logrotate does; copies and truncates EVE, once it was read."""

    rotations = 0
    status = Path()  # of the watch that reads it
    eve = 0  # records written

    def write(self, line: Line) -> None:
        super().write(line)
        self.eve += line.log == EVE
        turn = self.lines.index(line)
        if turn % 400 == 399:
            self._rename()
        elif turn % 400 == 199 and EVE in self.files:
            _wait_for(self._eve_was_read, 60)  # what was not read when a log is truncated is gone for everybody
            os.truncate(self.folder / EVE, 0)
            self.rotations += 1

    def _eve_was_read(self) -> bool:
        if not self.status.exists():
            return False
        logs = json.loads(self.status.read_bytes())["logs"]
        return any(log["log_file"].endswith(EVE) and log["lines"] == self.eve for log in logs)

    def _rename(self) -> None:
        self.rotations += 1
        if AUDIT in self.files:
            self.files.pop(AUDIT).close()
            first, second = self.folder / f"{AUDIT}.1", self.folder / f"{AUDIT}.2.gz"
            if first.exists():
                second.write_bytes(gzip.compress(first.read_bytes()))
                first.unlink()
            (self.folder / AUDIT).rename(first)


def _tmpfs(place: Path, size: int) -> bool:
    """Mount a small file system; False where that is not allowed."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False)
    return done.returncode == 0


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path, logs: Path) -> None:
    small = tmp_path / "small"
    if os.name != "posix" or os.geteuid() != 0 or not _tmpfs(small, 24_000_000):
        pytest.skip("file systems can only be mounted with the rights of root")
    try:
        lines = list(mixed(30, rate=100))
        half = len(lines) // 2
        watching = Watching(small / "state", str(logs))
        watching.errors = tmp_path / "errors"
        watching.start()
        first, second = Writer(logs, lines[:half], pace=half / 4), Writer(logs, lines[half:], pace=half / 4)
        first.run()
        time.sleep(2)
        ballast = small / "ballast"
        _fill(ballast)
        second.run()
        time.sleep(3)
        assert b"store_down" in watching.errors.read_bytes()
        assert b"crashed" not in watching.errors.read_bytes()
        ballast.unlink()
        _wait_for(lambda: b"store_up" in watching.errors.read_bytes(), 60)
        time.sleep(3)
        assert watching.stop() == 0
        watching.finish()  # what was not read when it was stopped
        assert kept(watching.store).keys() == scanned(str(logs)).keys()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def _fill(place: Path) -> None:
    """Write until the disk is full."""
    with place.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65_536)
        except OSError:
            pass


def _wait_for(what: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.1)


def test_a_locked_store_delays_and_loses_nothing(tmp_path: Path, logs: Path) -> None:
    lines = list(mixed(20, rate=100))
    watching = Watching(tmp_path / "state", str(logs))
    watching.start()
    _wait_for(lambda: Path(watching.store).exists(), 20)
    time.sleep(1)
    lock = sqlite3.connect(watching.store, timeout=30)
    lock.execute("BEGIN IMMEDIATE")
    Writer(logs, lines, pace=len(lines) / 4).run()
    time.sleep(2)
    lock.rollback()
    lock.close()
    time.sleep(4)
    assert watching.stop() == 0
    watching.finish()  # what was not read when it was stopped
    assert kept(watching.store).keys() == scanned(str(logs)).keys()


class _Receiver(http.server.BaseHTTPRequestHandler):
    got: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.append(body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Nothing on the terminal."""


def test_a_sink_that_is_down_gets_everything_later(tmp_path: Path, logs: Path) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Receiver)
    port = server.server_address[1]
    server.server_close()  # down, but the port is known
    settings = tmp_path / "watch.toml"
    settings.write_text(
        f'[[input]]\ntype = "files"\npaths = ["{logs}"]\n[[sink]]\ntype = "webhook"\nurl = "http://127.0.0.1:{port}/"\n',
        encoding="utf-8",
    )
    watching = Watching(tmp_path / "state", str(settings))
    watching.start()
    lines = list(mixed(16, rate=50))
    Writer(logs, lines, pace=len(lines) / 4).run()
    _wait_for(lambda: b"sink_down" in watching.errors.read_bytes(), 30)
    _Receiver.got.clear()
    http.server.HTTPServer.allow_reuse_address = True
    server = http.server.HTTPServer(("127.0.0.1", port), _Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wanted = scanned(str(logs)).keys()
        _wait_for(lambda: {row["id"] for row in _Receiver.got} >= wanted, 60)
        assert watching.stop() == 0
    finally:
        server.shutdown()
        server.server_close()
    gone = {row["id"] for row in _Receiver.got if row["change"] == "withdrawn"}
    assert {row["id"] for row in _Receiver.got} - gone == set(wanted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_end_loses_nothing(tmp_path: Path, logs: Path, number: signal.Signals) -> None:
    lines = list(mixed(20, rate=200))
    writer = Writer(logs, lines, pace=len(lines) / 8)
    writer.start()
    watching = Watching(tmp_path / "state", str(logs))
    for _ in range(2):
        status = watching.state / "status.json"
        status.unlink(missing_ok=True)
        watching.start()
        _wait_for(status.exists, 30)
        time.sleep(1.5)
        assert watching.process is not None
        os.killpg(watching.process.pid, number)  # a terminal and systemd send it to all processes of the group
        assert watching.process.wait(60) == 0
    writer.join()
    watching.finish()
    assert b"crashed" not in watching.errors.read_bytes()
    assert _differing(kept(watching.store), scanned(str(logs))) == _NOTHING


def test_a_clock_that_jumps_back_and_forth_loses_nothing(tmp_path: Path, logs: Path) -> None:
    lines = [*mixed(6), *mixed(6, start=-7_200, first=10_000), *mixed(6, start=10, first=20_000)]
    writer = Writer(logs, lines, pace=len(lines) / 9)
    watching = Watching(tmp_path / "state", str(logs))
    watching.start()
    writer.run()
    wanted = scanned(str(logs))
    _wait_for(lambda: len(kept(watching.store)) >= len(wanted), 20)  # by itself, without being started anew
    status = json.loads((watching.state / "status.json").read_text(encoding="utf-8"))
    assert watching.stop() == 0
    found = kept(watching.store)
    assert {row["src"]["url"] for row in found.values()} == {row["src"]["url"] for row in wanted.values()}
    assert len(found) == len(wanted) == 27
    once = Watching(tmp_path / "once", str(logs))
    once.finish()
    assert {row["src"]["url"] for row in kept(once.store).values()} == {row["src"]["url"] for row in wanted.values()}
    assert status["numbers"]["late"] > 0


def test_status_says_what_it_reads(tmp_path: Path, logs: Path) -> None:
    watching = Watching(tmp_path / "state", str(logs))
    watching.start()
    Writer(logs, list(mixed(6, rate=50)), pace=200).run()
    time.sleep(3)
    command = [*watching.command[:4], "--status", "--state", str(watching.state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in (AUDIT, EVE, WINDOWS):
        assert name in done.stdout
    assert "running" in done.stdout
    assert watching.stop() == 0


def test_a_second_watch_on_the_same_state_is_refused(tmp_path: Path, logs: Path) -> None:
    watching = Watching(tmp_path / "state", str(logs))
    watching.start()
    _wait_for(lambda: (watching.state / "lock").exists(), 20)
    time.sleep(0.5)
    done = subprocess.run(watching.command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "another watch uses" in done.stderr
    assert watching.stop() == 0
