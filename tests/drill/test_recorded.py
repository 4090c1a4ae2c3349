"""A drill that the kernel's audit system records: its transfers are found in the log, and come in a store with a delay."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from drill.deployment import PROGRAM, logged_in
from sensors import recorder
from tidewaiter.drill import ground
from tidewaiter.prevention.configurations import named, render

METHODS = [word for name in ("curl", "wget", "curl-to-shell", "scp", "python", "bash-dev-tcp") for word in ("--method", name)]
HOST = ("commanded", "connected", "landed", "checked", "run")

Watch = Callable[[subprocess.Popen[bytes], Path], None]


def drilled(folder: Path, arguments: Sequence[str], watch: Watch) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and rows of a drill that is recorded, by method. `{log}` stands for the log's path."""
    if not ground.may(ground.NET_ADMIN):
        pytest.skip("a drill on 127.0.0.1 counts as harmless: it needs CAP_NET_ADMIN for addresses of its own")
    result = folder / "result.jsonl"
    try:
        with recorder.recording(render(named("auditd")), folder) as log:
            told = [word.format(log=log) for word in arguments]
            process = logged_in(["drill", "--yes", "--format", "jsonl", "--output", str(result), *METHODS, *told])
            try:
                watch(process, log)
                code = process.wait(120)
            finally:
                process.terminate()
                process.wait(60)
    except (recorder.NotUsable, subprocess.SubprocessError) as reason:
        pytest.skip(f"the kernel's audit cannot be used here: {reason}")
    return code, {row["method"]: row for row in map(json.loads, result.read_text(encoding="utf-8").splitlines())}


def stages(row: dict[str, Any]) -> dict[str, str]:
    return {stage: told["state"] for stage, told in row["stages"].items()}


def check(found: dict[str, dict[str, Any]]) -> None:
    assert [name for name, row in found.items() if row["record"] is None] == []
    assert {name: row["utility_seen"] for name, row in found.items()} == {name: row["utility"] for name, row in found.items()}
    for name in ("curl", "wget", "scp", "python", "bash-dev-tcp"):
        assert [stage for stage in HOST if stages(found[name])[stage] != "seen"] == [], name
    assert stages(found["curl-to-shell"])["run"] == "seen"
    assert found["curl-to-shell"]["stages"]["landed"]["why"] == "it stays in memory: no file by design"
    assert {stages(row)["carried"] for row in found.values()} == {"not_visible"}  # no sensor of the network was there
    assert found["curl"]["stages"]["carried"]["why"].startswith("no log that is read would show it")
    assert found["scp"]["stages"]["carried"]["why"].startswith("encrypted")


def test_the_logs_of_a_drill_show_it(tmp_path: Path) -> None:
    code, found = drilled(tmp_path, ["--logs", "{log}", "--pause", "0.2", "--wait", "1"], lambda *_: None)

    assert code == 0
    check(found)
    assert {row["delay"] for row in found.values()} == {None}


def test_what_comes_into_a_store_has_its_delay(tmp_path: Path) -> None:
    """Scans into one store, one after the other, stand for a watch here: what matters is that records come while it is held."""
    store = tmp_path / "transfers.db"
    examples = Path(__file__).resolve().parent.parent.parent / "examples" / "evidence" / "wharf" / "audit.log"
    scan = [*PROGRAM, "scan", "--format", "jsonl", "--store", str(store)]
    subprocess.run([*scan, str(examples)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=120)

    def watch(process: subprocess.Popen[bytes], log: Path) -> None:
        while process.poll() is None:
            subprocess.run([*scan, str(log)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=120)

    code, found = drilled(tmp_path, ["--store", str(store), "--pause", "0.5", "--wait", "12"], watch)

    assert code == 0
    check(found)
    assert {name for name, row in found.items() if not 0 < row["delay"] <= row["complete"] < 60} == set()
