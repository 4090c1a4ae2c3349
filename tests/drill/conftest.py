"""One drill at a time: the tests look at the whole machine, and would take each other's drills for what was left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewaiter.drill import ledger

NEEDED = ("ip", "bash", "curl", "scp", "rsync")
"""Programs without which the tests cannot hold their drills. Continuous integration installs them: there they must be there."""


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Wait for the tests of drills that other processes run, then take away what tests that were killed left behind.

    Skips where programs are missing, but for continuous integration.
    """
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing and os.environ.get("CI", "").lower() not in ("true", "1"):
        pytest.skip(f"not installed: {', '.join(missing)} (tests/drill/install.sh)")
    with (Path(tempfile.gettempdir()) / f"tidewaiter-tests-of-drills-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ledger.clean()
        yield
