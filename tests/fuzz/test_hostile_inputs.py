"""Bad input from end to end, through real worker processes: bounded, named, counted, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from measure import measured

import hostile_inputs
import hostile_readers
from tidewaiter.engines import local, workers
from tidewaiter.formats.unpacking import clean_label
from tidewaiter.pipeline.config import ScanOptions

MEGABYTE = 1_000_000
ADDRESS_SPACE = 3_000 * MEGABYTE
PEAK = 500  # MB, of the largest process
SECONDS = 100.0
POSIX = pytest.mark.skipif(os.name == "nt", reason="links, FIFOs, modes and limits of POSIX systems")

SCAN = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
import msgspec
from tidewaiter.engines.local import scan
with scan(sys.argv[1:]) as found:
    told = {{
        "accounts": msgspec.to_builtins(found.accounts),
        "balanced": all(account.balanced for account in found.accounts),
        "unreadable": msgspec.to_builtins(found.unreadable),
        "transfers": msgspec.to_builtins(list(found.transfers())),
    }}
json.dump(told, sys.stdout)
"""


class Told(NamedTuple):
    """What a scan in a process of its own said."""

    accounts: dict[str, Any]
    unreadable: dict[str, str]
    transfers: list[dict[str, Any]]
    errors: str
    peak_mb: float

    def named(self) -> set[str]:
        return set(self.accounts) | set(self.unreadable)

    def hosts(self) -> set[str]:
        return {transfer["device"]["hostname"] for transfer in self.transfers}


def scan_apart(*paths: Path) -> Told:
    """A scan in a process of its own with bounded memory and time."""
    done = measured([sys.executable, "-c", SCAN.format(limit=ADDRESS_SPACE), *map(str, paths)], timeout=SECONDS)
    assert done.status == 0, done.errors
    told = json.loads(done.output)
    assert told["balanced"]
    accounts = {account["log_file"]: account for account in told["accounts"]}
    unreadable = {report["log_file"]: f"{report['kind']}: {report['problem']}" for report in told["unreadable"]}
    return Told(accounts, unreadable, told["transfers"], done.errors, done.largest_mb)


def all_bounded(told: Told) -> None:
    """What holds for every input."""
    assert "Traceback" not in told.errors
    assert told.peak_mb < PEAK
    by_reader = {name: damage for name, one in told.accounts.items() for damage in one["damage"] if damage["place"] == "reader"}
    assert by_reader == {}, "an error of ours"
    assert [text for text in told.unreadable.values() if "crashed" in text or "said nothing" in text] == []
    for name, account in told.accounts.items():
        assert account["damaged"] >= len(account["damage"]), name
        assert all(damage["place"] and damage["problem"] for damage in account["damage"]), name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "evidence"
    made.mkdir()
    return made


def test_files_cut_anywhere(folder: Path) -> None:
    hostile_inputs.truncated(folder)
    told = scan_apart(folder)

    all_bounded(told)
    files = {str(path) for path in folder.iterdir()}
    assert {name.partition("!")[0] for name in told.named()} == files
    assert {"zip1", "zip2.example.com", "gz1", "web1", "ws01.example.com"} <= told.hosts()
    whole = [transfer for transfer in told.transfers if "whole-log.evtx" in transfer["evidence"][0]["log_file"]]
    assert len(whole) <= 3  # the cut copies tell of the same commands
    used = {name: one["parsed"] + one["skipped"].get("duplicate", 0) for name, one in told.accounts.items()}
    late = {name for name, count in used.items() if name.endswith("log.evtx") and count >= 50}
    assert len(late) >= 4, "chunks before the cut are read"
    assert any(account["damaged"] for name, account in told.accounts.items() if "cut-" in name)


def test_content_of_every_wrong_kind(folder: Path) -> None:
    hostile_inputs.odd_content(folder)
    told = scan_apart(folder)

    all_bounded(told)
    assert {name.partition("!")[0] for name in told.named()} == {str(path) for path in folder.iterdir()}
    good = {
        "disguised1",
        "disguised2.example.com",
        "zeros1",
        "zeros2.example.com",
        "utf1",
        "utf2.example.com",
        "shape.example.com",
    }
    assert good | {"wide.example.com", "long.example.com", "long1"} <= told.hosts()
    for name in ("zeros.log", "zeros.json", "long-line.json", "wrong-shape.json"):
        account = told.accounts[str(folder / name)]
        assert account["damaged"] + sum(account["skipped"].values()) > 0, name
    for name in ("empty.evtx", "garbage.evtx", "zeros.evtx", "other.json"):
        assert str(folder / name) in told.unreadable


def test_archives_that_lie(folder: Path) -> None:
    hostile_inputs.odd_archives(folder)
    before = set(folder.parent.rglob("*"))
    told = scan_apart(folder)

    all_bounded(told)
    assert set(folder.parent.rglob("*")) == before, "nothing is written beside the evidence"
    assert not Path("/absolute.log").exists()
    assert {name.partition("!")[0] for name in told.named()} == {str(path) for path in folder.iterdir()}
    assert {f"name{number}" for number in range(7)} | {"many"} <= told.hosts()
    assert any("bomb" in name and "limit" in problem for name, problem in told.unreadable.items())
    assert any("nested deeper" in problem for problem in told.unreadable.values())


@POSIX
def test_files_that_are_no_files(folder: Path) -> None:
    hostile_inputs.odd_files(folder)
    told = scan_apart(folder)

    all_bounded(told)
    assert told.hosts() == {"good1", "good2"}
    special = {Path(name).name: problem for name, problem in told.unreadable.items()}
    assert "FIFO" in special["fifo"]
    assert "not followed" in special["outside"]
    assert {"loop-a", "loop-b", "dangling"} <= set(special)
    assert clean_label(str(folder / "line\nbreak \x1b[2J.log")) in told.accounts


@POSIX
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file: run as another user to see this one refused")
    (folder / "good.log").write_bytes(hostile_inputs.audit_log())
    (folder / "secret.log").write_bytes(hostile_inputs.audit_log())
    (folder / "secret.log").chmod(0)
    told = scan_apart(folder)

    assert "unreadable" in told.unreadable[str(folder / "secret.log")]
    assert len(told.transfers) == 1


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidewaiter", "scan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: (folder / "x.evtx").write_bytes(b""), 3),
        (lambda folder: (folder / "x.evtx").write_bytes(bytes(9_999)), 3),
        (lambda folder: (folder / "x.zip").write_bytes(hostile_inputs.zipped({"a": b"\xff" * 50})), 3),
        (lambda folder: folder.rmdir(), 2),
        (lambda folder: (folder / "x.txt").write_bytes(hostile_inputs.audit_log() + b"\0\xff\n"), 0),
    ],
    ids=["empty", "zeros", "nothing in the zip", "not there", "good and bad"],
)
def test_the_exit_code_says_whether_anything_was_readable(folder: Path, make: Callable[[Path], object], code: int) -> None:
    make(folder)
    done = run_program(str(folder), "--format", "jsonl")

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == (1 if code == 0 else 0)
    if code:
        assert str(folder) in done.stderr


@pytest.mark.parametrize("form", ["table", "csv"])
def test_names_of_members_do_not_speak_to_the_terminal(folder: Path, form: str) -> None:
    names = ("a/\x1b[31mred.log", "b\nline.log", "c\x9b2J.bin", "=cmd|x!A1.log")
    members = {name: hostile_inputs.audit_log() if name.endswith("log") else b"\xff" for name in names}
    (folder / "names.zip").write_bytes(hostile_inputs.zipped(members))
    done = run_program(str(folder), "--format", form)

    assert done.returncode == 0
    assert not {"\x1b", "\x9b"} & set(done.stdout + done.stderr)
    assert "names.zip!c" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("line.log")]


@POSIX
def test_a_reader_that_crashes_or_hangs_costs_one_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_work", hostile_readers.work)
    for name in ("a-good", "b-abort", "c-good", "d-hang", "e-killed", "f-good"):
        (folder / f"{name}.log").write_bytes(hostile_inputs.audit_log(f"host-{name}"))
    (folder / "g-abort.zip").write_bytes(
        hostile_inputs.zipped({"first.log": hostile_inputs.audit_log("zip"), "abort.log": b"x"})
    )
    start = time.monotonic()
    with local.scan([str(folder)], options=ScanOptions(item_seconds=1.5)) as found:
        hosts = {transfer.device.hostname for transfer in found.transfers()}
        problems = {Path(report.log_file).name: report.problem for report in found.unreadable}

    assert time.monotonic() - start < 60
    assert hosts == {"host-a-good", "host-c-good", "host-f-good"}
    assert set(problems) == {"b-abort.log", "d-hang.log", "e-killed.log", "g-abort.zip"}
    assert "crashed" in problems["b-abort.log"]
    assert "crashed" in problems["e-killed.log"]
    assert "said nothing" in problems["d-hang.log"]
