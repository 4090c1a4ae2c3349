"""Giving memory back."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewaiter.engines import memory, watch_run
from tidewaiter.engines.watch_config import WatchOptions


class Cycle:
    """Something that knows itself, as a transfer and its process know each other."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def seldom_collected() -> Iterator[None]:
    """Rubbish in cycles is not looked for by itself, as in the program, which sets it off far."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("seldom_collected")
def test_rubbish_in_cycles_goes() -> None:
    held = weakref.ref(Cycle())
    assert held() is not None
    memory.give_back()
    assert held() is None


@pytest.mark.usefixtures("seldom_collected")
def test_a_watch_tidies_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_run, "TIDIED_EVERY", 0.0)
    log = tmp_path / "audit.log"
    log.write_bytes(b"")
    state = tmp_path / "state"
    state.mkdir()
    options = WatchOptions(input=[{"type": "files", "paths": [str(log)]}], jobs=1)
    with watch_run.opened(options, state, base=tmp_path, report=lambda *_: None) as running:
        held = weakref.ref(Cycle())
        assert held() is not None
        running.run(once=True)
        assert held() is None


def test_memory_in_use_is_known() -> None:
    before = memory.resident()
    if not before:
        pytest.skip("this system does not tell")
    block = b"x" * 64_000_000
    assert memory.resident() - before > 50_000_000, len(block)


FREED = """
from tidewaiter.engines import memory
learned = [b"x" * size for size in (20_000_000, 30_000_000)]  # glibc keeps more, the larger what was freed
memory.keep_little()
del learned
before = memory.resident()
blocks = [b"x" * 700_000 for _ in range(20)]
most = memory.resident()
del blocks
print(before, most, memory.resident())
"""


def test_little_is_kept_of_what_was_freed() -> None:
    if not memory.resident():
        pytest.skip("this system does not tell")
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    before, most, after = map(int, done.stdout.split())
    assert most - before > 10_000_000
    assert after - before < 2_000_000
