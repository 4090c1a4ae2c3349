"""Servers in Java, one per test that asks for it. Skipped where their jars were not fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from java_servers import KafkaBroker, OpenSearchNode


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A running broker."""
    broker = KafkaBroker(tmp_path)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def opensearch(tmp_path: Path) -> Iterator[OpenSearchNode]:
    """A running node."""
    node = OpenSearchNode(tmp_path)
    try:
        node.start()
        yield node
    finally:
        node.kill()
