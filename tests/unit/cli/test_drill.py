"""`tidewaiter drill` before it does anything: the plan, and what it refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tidewaiter.cli.main import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the test's own: none may be made."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.mark.parametrize("arguments", [[], ["--dry-run"], ["--dry-run", "--yes"], ["--logs", "."]], ids=str)
def test_without_yes_the_plan_is_shown_and_nothing_is_done(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["drill", "--method", "bash-dev-tcp", "--method", "curl", *arguments])
    shown = capsys.readouterr()

    assert code == 2
    assert shown.out == ""
    assert "bash-dev-tcp: bash -c 'cat < /dev/tcp/ADDRESS/PORT > NAME'" in shown.err
    assert "raw: a TCP server of our own" in shown.err
    assert "Nothing has been done. --yes does it." in shown.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--yes"], "say where the records will be"),
        (["--yes", "--store", "x.db", "--logs", "."], "not both"),
        (["--yes", "--method", "pigeon", "--logs", "."], "no method is called pigeon"),
        (["--yes", "--method", "bash-dev-tcp", "--store", "nowhere.db"], "there is no store at nowhere.db"),
        (["--yes", "--logs", "nowhere"], "does not exist"),
        (["--yes", "--pause", "-1", "--logs", "."], "-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    arguments: list[str],
    says: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(["drill", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_cleaning_where_nothing_is_left_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "--clean"]) == 0
    assert "nothing is left of any drill" in capsys.readouterr().err
