"""A whole drill with the real programs: every marker lands, whatever was made is gone, also where it is cut short."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drill import machine
from tidewaiter.catalog import drill as knowledge
from tidewaiter.drill import ground, plan

PROGRAM = [sys.executable, "-m", "tidewaiter", "drill"]
NOTHING = Path(__file__).resolve().parent.parent.parent / "examples" / "evidence" / "wharf" / "audit.log"
"""A log of another time, in which no drill can be found."""
BRIEF = ["--yes", "--logs", str(NOTHING), "--wait", "0", "--pause", "0", "--format", "jsonl"]
FEW = [word for name in ("curl", "scp", "rsync", "bash-dev-tcp") for word in ("--method", name)]


def in_integration() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=280)


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def can_log_in() -> bool:
    """Whether root's sshd finds the folder that it insists on, or can be given one."""
    return os.getuid() != 0 or ground.may(ground.SYS_ADMIN) or Path("/run/sshd").is_dir()


WAYS = ("as it comes", "namespaces")


def options(way: str) -> list[str]:
    """The options of a way to hold a drill; skips where this machine does not let us."""
    if way == "as it comes":
        return []
    if not (ground.may(ground.NET_ADMIN) and ground.may(ground.SYS_ADMIN) and shutil.which("ip")):
        pytest.skip("network namespaces need root with its capabilities")
    return ["--namespaces"]


@pytest.mark.parametrize("way", WAYS)
def test_every_method_brings_its_marker_in_and_leaves_nothing(way: str) -> None:
    more = options(way)
    planned = plan.make(knowledge.load())
    if in_integration():
        assert [one.method.id for one in planned.methods if one.missing] == []
    before = machine.state()
    done = drill(*BRIEF, *more)
    found = {row["method"]: row for row in rows(done)}
    expected = {method.id for method in planned.possible if can_log_in() or method.server != "ssh"}
    if way == "as it comes" and os.getuid() != 0:
        expected -= {"finger"}  # no program can be told another port than 79

    assert done.returncode == 1, done.stderr  # nobody has watched it
    assert len(found) == len(planned.methods)
    assert expected >= {"curl", "python", "bash-dev-tcp"}
    assert {name: row["problem"] for name, row in found.items() if name in expected and row["problem"]} == {}
    assert {name for name in expected if not found[name]["landed"]} == set()
    assert all(found[name]["sha256"] for name in expected - {"curl-to-shell"})
    assert {row["record"] for row in found.values()} == {None}
    assert machine.settled(before) == before


@pytest.mark.parametrize(
    ("number", "moment", "way"),
    [
        (signal.SIGTERM, "while servers start", "as it comes"),
        (signal.SIGTERM, "while methods run", "as it comes"),
        (signal.SIGTERM, "while methods run", "namespaces"),
        (signal.SIGTERM, "while it waits", "as it comes"),
        (signal.SIGINT, "while methods run", "as it comes"),
        (signal.SIGHUP, "while methods run", "as it comes"),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else value,
)
def test_a_drill_that_is_told_to_end_leaves_nothing(number: signal.Signals, moment: str, way: str) -> None:
    more = options(way)
    before = machine.state()
    process = subprocess.Popen(
        [*PROGRAM, *BRIEF[:3], "--wait", "60", "--pause", "1", *FEW, *more], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    if moment == "while servers start":
        end = time.monotonic() + 30
        while machine.state()["folders"] == before["folders"] and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
    else:
        sign = "bash-dev-tcp:" if moment == "while methods run" else "Waiting"
        while not process.stderr.readline().startswith(sign):
            assert process.poll() is None
    process.send_signal(number)
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait(60) == 130
    assert said.rstrip().endswith("interrupted")
    assert machine.settled(before) == before


@pytest.mark.parametrize("way", WAYS)
def test_what_a_killed_drill_leaves_is_taken_away_and_nothing_else(way: str) -> None:
    more = options(way)
    before = machine.state()
    process = subprocess.Popen([*PROGRAM, *BRIEF[:3], "--wait", "60", *FEW, *more], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("Waiting"):
        assert process.poll() is None
    held = drill("--clean")
    alive = process.poll() is None
    process.kill()
    process.wait()
    process.stderr.close()
    left = machine.state()
    cleaned = drill("--clean")
    again = drill("--clean")

    assert alive
    assert "left alone: process" in held.stderr  # a drill that goes on is let be
    assert left["folders"] != before["folders"]
    assert (cleaned.returncode, "removed" in cleaned.stderr) == (0, True)
    assert machine.settled(before) == before
    assert "nothing is left of any drill" in again.stderr


def test_servers_end_by_themselves_where_the_drill_is_killed() -> None:
    process = subprocess.Popen([*PROGRAM, *BRIEF[:3], "--wait", "60", *FEW], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("Waiting"):
        assert process.poll() is None
    others = [words for words in machine.drills() if "keeper" in words]
    process.kill()
    process.wait()
    process.stderr.close()
    end = time.monotonic() + 20
    while machine.drills() and time.monotonic() < end:
        time.sleep(0.1)
    left = machine.drills()
    drill("--clean")

    assert others
    assert left == []
