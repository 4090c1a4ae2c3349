"""One method, carried out with programs that behave badly: what became of it is said, and nothing is taken for landed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tidewaiter.catalog.drill import Method
from tidewaiter.drill import perform, processes

FILE = Method(id="x", utility="x", protocol="x", server="raw", programs=("sh",), fetch=("sh",))
LOOSE = Method(id="x", utility="x", protocol="x", server="raw", programs=("sh",), fetch=("sh",), exact=False)
MEMORY = Method(id="x", utility="x", protocol="x", server="raw", programs=("sh",), fetch=("sh",), lands="memory")
MARKER = perform.marker_of(FILE, "0123456789ab", 3)


@pytest.fixture
def stage(tmp_path: Path) -> perform.Stage:
    (tmp_path / "source").write_bytes(MARKER.content)
    (tmp_path / "landing").mkdir()
    return perform.Stage(tmp_path / "landing", {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, nullcontext)


def done(method: Method, script: str, stage: perform.Stage) -> perform.Performed:
    return perform.perform(method, ["sh", "-c", script], MARKER, stage)


def test_the_marker_is_a_harmless_text_that_tells_the_method() -> None:
    run = subprocess.run(["sh"], input=MARKER.content, capture_output=True, check=True)

    assert MARKER.name == "drill-0123456789ab-x.sh"
    assert run.stdout.decode() == MARKER.says + "\n" == "tidewaiter-drill 0123456789ab x\n"
    assert [line for line in MARKER.content.decode().splitlines() if not line.startswith(("#", "echo "))] == []
    assert MARKER.sha256 == hashlib.sha256(MARKER.content).hexdigest()
    assert len(perform.marker_of(FILE, "0123456789ab", 500).content) > 20_000


def test_what_lands_is_checked_and_run(stage: perform.Stage) -> None:
    found = done(FILE, f"cp ../source {MARKER.name}", stage)

    assert (found.landed, found.checked, found.run, found.problem) == (True, True, True, "")
    assert (found.path, found.sha256) == (str(stage.folder / MARKER.name), MARKER.sha256)
    assert os.access(str(found.path), os.X_OK)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 7", "sh brought nothing (exit code 7)"),
        ("echo no route to the quay >&2; exit 1", "sh brought nothing (exit code 1): no route to the quay"),
        (f"head -c 20 ../source > {MARKER.name}", "sh brought nothing (exit code 0)"),
        (f"(cat ../source; echo '#') > {MARKER.name}", "sh brought nothing (exit code 0)"),
        (f"mkdir {MARKER.name}", "sh brought nothing (exit code 0)"),
    ],
    ids=["nothing", "with words", "cut", "changed", "a folder"],
)
def test_what_did_not_land_whole_has_not_landed(script: str, problem: str, stage: perform.Stage) -> None:
    found = done(FILE, script, stage)

    assert (found.landed, found.checked, found.run, found.path) == (False, False, False, None)
    assert found.problem == problem


def test_a_text_around_the_marker_is_allowed_where_the_method_says_so(stage: perform.Stage) -> None:
    found = done(LOOSE, f"(echo '[192.0.2.7]'; cat ../source) > {MARKER.name}", stage)

    assert (found.landed, found.checked, found.run) == (True, True, True)
    assert found.sha256 != MARKER.sha256


def test_what_runs_in_memory_has_to_say_its_line(stage: perform.Stage) -> None:
    assert done(MEMORY, "cat ../source | sh", stage).landed
    assert done(MEMORY, "true", stage).problem == "sh brought nothing (exit code 0)"


def test_a_program_that_is_not_there_is_told(stage: perform.Stage) -> None:
    found = perform.perform(FILE, ["no-such-program"], MARKER, stage)

    assert found.problem.startswith("no-such-program brought nothing (exit code 127): [Errno 2] No such file")


def test_a_program_that_hangs_is_ended_with_all_it_started(stage: perform.Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perform, "PATIENCE", 0.5)
    found = done(FILE, "sleep 61.25 & echo $! > child; wait", stage)
    child = int((stage.folder / "child").read_text())
    end = time.monotonic() + 10
    while processes.started(child) is not None and time.monotonic() < end:  # what is killed takes a moment to go
        time.sleep(0.01)

    assert found.problem in ("sh did not end within 0 s", "sh did not end within 1 s")
    assert processes.started(child) is None
