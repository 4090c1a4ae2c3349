"""Children are bounded: time, memory, size of files, and they die with us."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tidewaiter.errors import MissingProgramError
from tidewaiter.formats import capture_child, capture_suricata
from tidewaiter.formats.capture_child import Ended, run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="bounds are the kernel's, and only POSIX has them")
SLEEP = shutil.which("sleep") or "sleep"


@pytest.fixture(params=[True, False], ids=["one thread", "threads"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds are taken on between fork and exec, or by a program of its own where threads run."""
    monkeypatch.setattr(capture_child, "_one_thread", lambda: bool(request.param))


def finish(running: Generator[None, None, Ended]) -> Ended:
    while True:
        try:
            next(running)
        except StopIteration as done:
            ended: Ended = done.value
            return ended


def python(code: str, folder: Path, **bounds: float) -> Ended:
    return finish(run([sys.executable, "-c", code], folder, seconds=bounds.get("seconds", 20), file_size=1 << 20))


def test_a_program_ends_and_its_output_is_there(tmp_path: Path) -> None:
    ended = python("print('hello'); raise SystemExit(3)", tmp_path)

    assert (ended.code, ended.out_of_time) == (3, False)
    assert (tmp_path / "out").read_text() == "hello\n"


def test_a_program_that_takes_too_long_is_asked_and_then_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_child, "GRACE", 0.5)
    began = time.monotonic()
    polite = python("import time; time.sleep(60)", tmp_path, seconds=0.5)
    deaf = python("import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(60)", tmp_path, seconds=0.5)

    assert polite.out_of_time
    assert deaf.out_of_time
    assert time.monotonic() - began < 20


def test_waiting_ends_where_it_has_no_use(tmp_path: Path) -> None:
    ended = finish(run([SLEEP, "60"], tmp_path, seconds=60, file_size=1 << 20, given_up=lambda: True))

    assert ended.seconds < 20
    assert not ended.out_of_time


@pytest.mark.usefixtures("either")
def test_memory_and_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_child, "MEMORY", 400 << 20)

    assert python("x = bytearray(800 << 20)", tmp_path).code != 0
    assert python("x = bytearray(1 << 20)", tmp_path).code == 0
    assert python("open('big', 'wb').write(bytes(4 << 20))", tmp_path).code != 0
    assert (tmp_path / "big").stat().st_size <= 1 << 20


@pytest.mark.usefixtures("either")
def test_a_child_sees_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    python("import os; print(os.environ.get('SECRET_OF_OURS'), os.environ['HOME'] == os.getcwd())", tmp_path)

    assert (tmp_path / "out").read_text() == "None True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize("threads", [0, 1])
def test_a_child_dies_with_us(tmp_path: Path, threads: int) -> None:
    code = (
        "import os, sys, threading, time; from pathlib import Path; from tidewaiter.formats.capture_child import run\n"
        f"for _ in range({threads}):\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "script = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
        "running = run([sys.executable, '-c', script], Path.cwd(), seconds=60, file_size=1 << 20)\n"
        "next(running)\n"
        "while not Path('out').read_text().strip():\n    time.sleep(0.05)\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, timeout=30)
    child = int((tmp_path / "out").read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")


def program(folder: Path, said: str) -> None:
    script = folder / "suricata"
    script.write_text(f"#!/bin/sh\necho '{said}'\n")
    script.chmod(0o755)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (None, "which is not installed"),
        ("This is Suricata version 6.0.10 RELEASE", "is version 6.0.10"),
        ("nothing to say", "does not say its version"),
    ],
)
def test_a_missing_or_old_suricata_is_an_error_that_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, problem: str
) -> None:
    if said is not None:
        program(tmp_path, said)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=problem) as caught:
        capture_suricata.find()

    assert "apt-get install -t bookworm-backports suricata" in str(caught.value)


def test_a_newer_suricata_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "This is Suricata version 8.0.1 RELEASE")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert capture_suricata.find().version == "8.0.1"
