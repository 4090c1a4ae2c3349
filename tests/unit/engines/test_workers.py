"""Worker processes: how they start, and that a forked one holds on to nothing of its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from log_writer import Audit
from tidewaiter.engines import workers
from tidewaiter.engines.workers import Worker
from tidewaiter.pipeline.inputs import WorkItem
from tidewaiter.pipeline.run import ItemResult

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
SCAN = """
import sys, threading
from multiprocessing import forkserver
from tidewaiter.engines.local import scan
hold = threading.Event()
if sys.argv[2] == "threads":
    threading.Thread(target=hold.wait, daemon=True).start()
with scan(sys.argv[1:2]) as found:
    print(len(list(found.transfers())), forkserver._forkserver._forkserver_pid is not None)
hold.set()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """One download."""
    audit = Audit("web1")
    audit.run(0, 610, "curl", "-o", "/srv/data.json", "https://files.example.org/data.json")
    path = tmp_path / "audit.log"
    path.write_text(audit.text(), encoding="utf-8")
    return path


def _read(worker: Worker, log: Path) -> ItemResult | str:
    worker.give(WorkItem(place=os.fsencode(log), log_file=str(log), size=log.stat().st_size))
    while (result := worker.hear(worker.pipe.poll(1.0), 60.0)) is None:
        pass
    return result


@LINUX
@pytest.mark.parametrize(("threads", "served"), [("alone", "False"), ("threads", "True")])
def test_only_a_process_with_one_thread_is_forked(log: Path, threads: str, served: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCAN, log, threads], capture_output=True, text=True, check=False, timeout=60)

    assert (done.stdout.split(), done.stderr) == (["1", served], "")


@LINUX
def test_a_forked_worker_holds_no_file_lock_or_pipe_of_its_parent(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(workers, "_alone", lambda: True)
    with (tmp_path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first, second = (Worker(tmp_path, number, 1.0, survey=False) for number in range(2))
        result = _read(second, log)  # by now it has let go of everything
        held = [str(entry.readlink()) for entry in Path(f"/proc/{second.process.pid}/fd").iterdir()]
        ends = {str(Path(f"/proc/self/fd/{worker.pipe.fileno()}").readlink()) for worker in (first, second)}
    try:
        assert isinstance(result, ItemResult)
        assert result.accounts[0].parsed > 0
        assert str(tmp_path / "lock") not in held
        assert not ends & set(held), "else it would never learn that its parent is gone"
        with (tmp_path / "lock").open("wb") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        first.stop()
        second.stop()
    assert not first.process.is_alive()
    assert not second.process.is_alive()


def test_a_worker_that_is_gone_costs_its_item_and_says_so(log: Path, tmp_path: Path) -> None:
    worker = Worker(tmp_path, 0, 1.0, survey=False)
    _read(worker, log)
    worker.process.kill()
    worker.process.join()
    said = _read(worker, log)
    worker.stop()

    assert isinstance(said, str)
    assert "crashed" in said
