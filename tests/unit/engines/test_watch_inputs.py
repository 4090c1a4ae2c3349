"""Two inputs of a watch that follow one file are refused: its lines would be read twice."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tidewaiter.engines.watch_config import WatchOptions
from tidewaiter.engines.watch_run import opened
from tidewaiter.errors import UsageError


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with two logs, one of them within a folder of its own, and a link to it."""
    (tmp_path / "logs" / "audit").mkdir(parents=True)
    (tmp_path / "logs" / "auth.log").write_text("", encoding="utf-8")
    (tmp_path / "logs" / "audit" / "audit.log").write_text("", encoding="utf-8")
    (tmp_path / "linked.log").symlink_to(tmp_path / "logs" / "audit" / "audit.log")
    (tmp_path / "state").mkdir()
    return tmp_path


def begin(base: Path, *inputs: list[str]) -> None:
    """Open a watch with these paths for its inputs, and end it."""
    tables = [{"type": "files", "paths": [path.replace("BASE", str(base)) for path in paths]} for paths in inputs]
    with contextlib.ExitStack() as held:
        held.enter_context(opened(WatchOptions(input=tables), base / "state", base=base, report=lambda *_: None))


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (["logs/auth.log"], ["logs/auth.log"], "logs/auth.log"),
        (["logs/auth.log"], ["x.log", "logs/../logs/auth.log"], "logs/auth.log"),
        (["logs/auth.log"], ["BASE/logs/auth.log"], "logs/auth.log"),
        (["logs/not_yet.log"], ["BASE/logs/not_yet.log"], "logs/not_yet.log"),
        (["logs"], ["logs/audit/audit.log"], "logs/audit/audit.log"),
        (["logs/*.log"], ["logs/not_yet.log"], "logs/not_yet.log"),
        (["logs/not_yet.log"], ["BASE/logs/*.log"], "logs/not_yet.log"),
        (["logs/*.log"], ["logs/a*"], "auth.log"),
        (["logs"], ["logs/**/audit.log"], "audit.log"),
        (["logs/audit/audit.log"], ["linked.log"], "logs/audit/audit.log"),
        (["linked.log"], ["logs"], "linked.log"),
    ],
)
def test_one_file_in_two_inputs_is_refused_with_both_named(
    logs: Path, first: list[str], second: list[str], shared: str
) -> None:
    with pytest.raises(UsageError, match=r"input 1 \(.+\) and input 2 \(.+\) both follow .+: name it in one") as caught:
        begin(logs, first, second)
    assert f"{shared}:" in str(caught.value)
    assert ", ".join(first) in str(caught.value)


@pytest.mark.parametrize(
    "inputs",
    [
        [["logs/auth.log"], ["logs/audit/audit.log"]],
        [["logs/*.log"], ["logs/audit"]],
        [["logs/*.log"], ["logs/*.json"]],
        [["logs/auth.log", "logs/auth.log", "logs/*.log"], ["elsewhere"]],
    ],
)
def test_inputs_that_share_nothing_begin(logs: Path, inputs: list[list[str]]) -> None:
    begin(logs, *inputs)
