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


def _dies(readers: Readers) -> None:
    """The process that has the log is at a piece, and is killed. Waits until another one has taken its place."""
    place = readers._of[AUDIT]
    process = readers._all[place].process
    os.kill(process.pid, signal.SIGSTOP)  # it must be at the piece when it dies
    while not readers._all[place].given:
        readers.give(_piece(AUDIT))
    readers.hear(0.1)
    os.kill(process.pid, signal.SIGKILL)


def test_a_piece_at_which_a_process_dies_is_tried_again(readers: Readers) -> None:
    readers.give(_piece(AUDIT))
    (before,) = _heard(readers, 1)
    _dies(readers)
    readers.give(_piece(AUDIT))
    found = _heard(readers, 2)
    assert [(done.read.problem, done.rows) for done in found] == [(None, before.rows)] * 2


def test_a_piece_at_which_two_processes_die_is_given_up(readers: Readers) -> None:
    readers.give(_piece(AUDIT))
    _heard(readers, 1)
    place = readers._of[AUDIT]
    _dies(readers)
    readers.give(_piece(AUDIT))
    while not readers._all[place].second_try:
        assert readers.hear(0.1) == []
    fresh = readers._all[place]
    os.kill(fresh.process.pid, signal.SIGSTOP)
    fresh.ready = True  # as far as it matters here: it has the piece
    os.kill(fresh.process.pid, signal.SIGKILL)
    first, second = _heard(readers, 2)
    assert "crashed" in (first.read.problem or "")
    assert (second.read.problem, second.read.recognised_as) == (None, "linux_auditd")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_tells_the_engine_to_end_disturbs_no_process(readers: Readers, number: signal.Signals) -> None:
    _heard_ready(readers)
    for one in readers._all:
        os.kill(one.process.pid, number)
    readers.give(_piece(AUDIT))
    (done,) = _heard(readers, 1)
    assert done.read.problem is None
    assert all(one.process.is_alive() for one in readers._all)


def _heard_ready(readers: Readers) -> None:
    while not all(one.ready for one in readers._all):
        readers.hear(0.1)
