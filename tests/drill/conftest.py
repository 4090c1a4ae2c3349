"""One drill at a time: the tests look at the whole machine, and would take each other's drills for what was left behind."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewaiter.drill import ledger


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Wait for the tests of drills that other processes run, then take away what tests that were killed left behind."""
    with (Path(tempfile.gettempdir()) / f"tidewaiter-tests-of-drills-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ledger.clean()
        yield
