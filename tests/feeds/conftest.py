"""A NATS server for each test that asks for one. Without the program it is skipped; in continuous integration it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nats_server import NatsServer


def missing(what: str) -> None:
    """Skip the test; in continuous integration fail it."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(what)
    pytest.skip(what)  # the server is no part of the repository


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    program = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if program is None:
        missing("no NATS server is installed: sh tests/feeds/install.sh")
        return
    server = NatsServer(program, tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()
