"""Results appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidewaiter.cli.main import run
from tidewaiter.cli.streams import results


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"

    with results(str(target)) as stream:
        stream.write("日本\n")
        assert not target.exists()

    assert target.read_bytes() == "日本\n".encode()
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    with pytest.raises(ZeroDivisionError), results(str(target)) as stream:
        stream.write("half")
        raise ZeroDivisionError

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_device_is_written_and_not_replaced() -> None:
    with results("/dev/null") as stream:
        stream.write("x")

    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("target", [None, "-"])
def test_standard_output_is_the_default(target: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    with results(target) as stream:
        stream.write("x\n")

    assert capsys.readouterr().out == "x\n"


@pytest.mark.parametrize("command", [["scan", "--output"], ["report", "--output"], ["scan", "--confine", "--output"]])
def test_a_folder_that_is_not_there_is_said_before_anything_is_read(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, str(tmp_path / "results" / "out"), str(tmp_path)]) == 2

    assert "results is not there: make it first" in capsys.readouterr().err
