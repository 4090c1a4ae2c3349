"""Servers and certificates for sinks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sink_servers import WebServer, make_certificates


@pytest.fixture
def web() -> Iterator[WebServer]:
    """An HTTP server that answers 200."""
    with WebServer() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, other.pem, server.pem and server.key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder
