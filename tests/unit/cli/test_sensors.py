"""`tidewaiter sensors`: what it prints, where to, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidewaiter.cli.main import run
from tidewaiter.prevention.configurations import named, names, render


@pytest.mark.parametrize("name", [one for one in names() if one != "systemd"])
def test_it_prints_the_configuration_and_nothing_else(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sensors", name]) == 0
    told = capsys.readouterr()

    assert told.out == render(named(name))
    assert told.err == ""


def test_the_service_starts_the_program_that_printed_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sensors", "systemd"]) == 0
    start = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ExecStart="))
    program = Path(start.removeprefix("ExecStart=").split()[0])

    assert program.is_absolute()
    assert program.name == "tidewaiter"


def test_it_writes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "tidewaiter.rules"

    assert run(["sensors", "auditd", "--output", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == render(named("auditd"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [["sensors"], ["sensors", "--list"]])
def test_it_lists_what_there_is_with_the_stages(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[0] for line in lines] == names()
    assert "commanded, connected, landed, checked, run, spread" in lines[0]


@pytest.mark.parametrize("arguments", [["nothing"], ["auditd", "--list"]])
def test_what_cannot_be_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sensors", *arguments]) == 2
    assert capsys.readouterr().out == ""
