"""What tests of feeds share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watched_folder import Watched


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    started = []

    def start(*paths: str, **settings: Any) -> Watched:
        started.append(Watched(tmp_path, *paths, **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()
