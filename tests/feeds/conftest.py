"""A NATS server for each test that asks for one. Without the program it is skipped; in continuous integration it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from java_servers import KafkaBroker
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


@pytest.fixture(params=["mock", "broker"])
def kafka_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Two kinds of broker: librdkafka's mock, which speaks the protocol over TCP and keeps messages in memory, always; and a
    real Apache Kafka, where tests/servers/install.sh could fetch it.
    """
    if request.param == "broker":
        broker = KafkaBroker(tmp_path)
        try:
            broker.start()
            yield broker.address
        finally:
            broker.kill()
        return
    from confluent_kafka import Producer

    mock: Any = Producer({"test.mock.num.brokers": 1, "log_level": 0})  # the brokers live as long as this client
    (about,) = mock.list_topics(timeout=10).brokers.values()
    yield f"{about.host}:{about.port}"
    mock.flush(1)
