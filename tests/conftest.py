"""What every test gets: no network, and the labelled corpus where it is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["TIDEWAITER_CACHE_DIR"] = ""  # no test takes anything from the cache folder of whoever runs it, or leaves it there
ROOT = Path(__file__).resolve().parent.parent
LOCAL = ("127.", "::1", "localhost")


def _corpus_folder() -> Path:
    named = os.environ.get("TIDEWAITER_CORPUS")
    return Path(named) if named else ROOT.parent / "shared" / "corpus"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The labelled corpus. Absent, the test is skipped; in continuous integration (CI=true) it fails instead."""
    folder = _corpus_folder()
    if folder.is_dir():
        return folder
    missing = f"the labelled corpus is not at {folder}; set TIDEWAITER_CORPUS to its folder"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(missing)
    pytest.skip(missing)  # the corpus is not part of the repository


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """A test that opens a connection to another machine fails at once: the program promises to need no network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOCAL):
            raise AssertionError(f"a test tried to reach {address!r}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()
