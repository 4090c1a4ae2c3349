"""Reading processes: results come back, and one that dies costs the piece that it was at."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from live_feed import AUDIT, EVE, mixed
from tidewaiter.engines.watch_readers import Done, Readers
from tidewaiter.pipeline.live_reading import Facts, LiveRow, Piece

TEXT = {log: "".join(line.text for line in mixed(4, rate=50) if line.log == log).encode() for log in (AUDIT, EVE)}


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Readers]:
    found = Readers(tmp_path, 2, 30.0)
    yield found
    found.close()


def _piece(log: str) -> Piece:
    return Piece(log_file=log, data=TEXT[log], head=TEXT[log], final=True)


def _heard(readers: Readers, count: int) -> list[Done]:
    found: list[Done] = []
    end = time.monotonic() + 60
    while len(found) < count:
        assert time.monotonic() < end
        found += readers.hear(0.1)
    return found


def test_pieces_come_back_as_rows_and_facts(readers: Readers) -> None:
    readers.give(_piece(AUDIT))
    readers.give(_piece(EVE))
    assert readers.waiting == 2
    found = {done.log_file: done for done in _heard(readers, 2)}
    assert readers.waiting == 0
    assert found[AUDIT].read.recognised_as == "linux_auditd"
    assert msgspec.json.decode(found[AUDIT].rows, type=list[LiveRow])
    assert "web1" in msgspec.json.decode(found[AUDIT].facts, type=Facts).kinds


def test_a_process_that_dies_costs_its_piece(readers: Readers) -> None:
    readers.give(_piece(AUDIT))
    _heard(readers, 1)
    place = readers._of[AUDIT]
    process = readers._all[place].process
    os.kill(process.pid, signal.SIGSTOP)  # it must be at the piece when it dies
    readers.give(_piece(AUDIT))
    readers.give(_piece(AUDIT))
    os.kill(process.pid, signal.SIGKILL)
    first, second = _heard(readers, 2)
    assert "crashed" in (first.read.problem or "")
    assert second.read.problem is None
    assert second.read.recognised_as == "linux_auditd"
