"""`tidewaiter watch` as a user runs it: killed, with full disks, logs that are rotated; nothing may be lost or told twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from live_feed import AUDIT, EVE, WINDOWS, Watching, Writer, kept, mixed, scanned
from live_trouble import Receiver, Rotating, SmallDisk, as_told, wait_for

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
    rotating = Rotating(logs, lines, pace=len(lines) / 12, store=watching.store)
    rotating.run()
    time.sleep(3)
    assert watching.stop() == 0
    watching.finish()  # what was not read when it was stopped
    assert as_told(kept(watching.store)) == as_told(scanned(str(whole)))
    assert rotating.rotations >= 6


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path, logs: Path) -> None:
    try:
        small = SmallDisk(tmp_path / "small", 24_000_000)
    except PermissionError as error:
        pytest.skip(str(error))  # only root mounts a disk
    try:
        lines = list(mixed(30, rate=100))
        half = len(lines) // 2
        watching = Watching(small.place / "state", str(logs))
        watching.errors = tmp_path / "errors"
        watching.start()
        first, second = Writer(logs, lines[:half], pace=half / 4), Writer(logs, lines[half:], pace=half / 4)
        first.run()
        time.sleep(2)
        small.fill()
        second.run()
        time.sleep(3)
        assert b"store_down" in watching.errors.read_bytes()
        assert b"crashed" not in watching.errors.read_bytes()
        small.free()
        wait_for(lambda: b"store_up" in watching.errors.read_bytes(), 60)
        time.sleep(3)
        assert watching.stop() == 0
        watching.finish()  # what was not read when it was stopped
        assert kept(watching.store).keys() == scanned(str(logs)).keys()
    finally:
        small.close()


def test_a_locked_store_delays_and_loses_nothing(tmp_path: Path, logs: Path) -> None:
    lines = list(mixed(20, rate=100))
    watching = Watching(tmp_path / "state", str(logs))
    watching.start()
    wait_for(lambda: Path(watching.store).exists(), 20)
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


def test_a_sink_that_is_down_gets_everything_later(tmp_path: Path, logs: Path) -> None:
    receiver = Receiver()  # down, but the port is known
    settings = tmp_path / "watch.toml"
    settings.write_text(
        f'[[input]]\ntype = "files"\npaths = ["{logs}"]\n'
        f'[[sink]]\ntype = "webhook"\nurl = "http://127.0.0.1:{receiver.port}/"\n',
        encoding="utf-8",
    )
    watching = Watching(tmp_path / "state", str(settings))
    watching.start()
    lines = list(mixed(16, rate=50))
    Writer(logs, lines, pace=len(lines) / 4).run()
    wait_for(lambda: b"sink_down" in watching.errors.read_bytes(), 30)
    receiver.up()
    try:
        wanted = scanned(str(logs)).keys()
        wait_for(lambda: {row["id"] for row in receiver.got} >= wanted, 60)
        assert watching.stop() == 0
    finally:
        receiver.down()
    assert receiver.newest().keys() == set(wanted)


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
        wait_for(status.exists, 30)
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
    wait_for(lambda: len(kept(watching.store)) >= len(wanted), 20)  # by itself, without being started anew
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
    wait_for(lambda: (watching.state / "lock").exists(), 20)
    time.sleep(0.5)
    done = subprocess.run(watching.command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "another watch uses" in done.stderr
    assert watching.stop() == 0
