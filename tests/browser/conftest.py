"""The browser that the tests of this folder share, and the reports that they open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.chromium import Browser, found, running

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A running Chromium. Where there is none the tests are skipped; in continuous integration (CI=true) they fail."""
    if found() is None:
        missing = "no chromium here: run tests/browser/install.sh as root, or name one in $TIDEWAITER_CHROMIUM"
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(missing)
        pytest.skip(missing)  # Chromium is no part of the repository
    with running(tmp_path_factory.mktemp("profile")) as started:
        yield started
