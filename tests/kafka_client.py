"""Messages into Kafka, each of them delivered for sure."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any


def produce(address: str, topic: str, values: Iterable[bytes], *, partition: int = 0) -> None:
    """Send messages to a partition of a topic that is made where it is not there, and wait until the broker has them all."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": address, "log_level": 0})
    _make(producer, topic, partition)
    failed: list[Any] = []
    for value in values:
        producer.produce(
            topic, value, partition=partition, on_delivery=lambda error, _: failed.append(error) if error else None
        )
    assert producer.flush(60) == 0
    assert failed == []


def _make(producer: Any, topic: str, partition: int) -> None:
    """Asking for a topic makes it; what comes before its partition stands would be refused."""
    end = time.monotonic() + 60
    while True:
        found = producer.list_topics(topic, timeout=10).topics[topic]
        if found.error is None and partition in found.partitions:
            return
        assert time.monotonic() < end, found.error
        time.sleep(0.1)
