"""Kafka against the mock broker that librdkafka brings: it speaks the protocol over real sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sink_servers import delivery
from tidewaiter import sink
from tidewaiter.errors import SinkError, UsageError

confluent_kafka = pytest.importorskip("confluent_kafka", reason="an extra")


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Address of a mock cluster of three brokers, which lives as long as its client."""
    owner = confluent_kafka.Producer({"test.mock.num.brokers": 3, "bootstrap.servers": ""})
    listed = owner.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{one.host}:{one.port}" for one in listed)
    owner.flush(1)


def opened(folder: Path, broker: str, **more: Any) -> sink.Sink:
    table = {"type": "kafka", "brokers": broker.split(","), "topic": "transfers", "timeout": 10, **more}
    return sink.opened(table, "sink 1", base=folder, state=folder).sink


def consumed(broker: str, topic: str, count: int) -> list[Any]:
    """The first messages of a topic."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": "test", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
        found: list[Any] = []
        end = time.monotonic() + 20
        while len(found) < count and time.monotonic() < end:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message)
        return found
    finally:
        consumer.close()


def test_messages_are_keyed_and_in_order(tmp_path: Path, broker: str) -> None:
    made = opened(tmp_path, broker, topic="ordered")
    made.deliver([delivery(1, identity="aa"), delivery(2, identity="aa", revision=2, change="update", severity="high")])
    made.deliver([delivery(3, identity="aa", revision=3, change="withdrawn", superseded_by="bb")])
    made.close()
    messages = consumed(broker, "ordered", 3)
    told = [json.loads(message.value()) for message in messages]

    assert [message.key() for message in messages] == [b"aa"] * 3
    assert len({message.partition() for message in messages}) == 1
    assert [(one["revision"], one["change"]) for one in told] == [(1, "new"), (2, "update"), (3, "withdrawn")]
    assert dict(messages[1].headers()) == {"change": b"update", "revision": b"2"}
    assert told[2]["superseded_by"] == "bb"


def test_a_large_batch_arrives_whole(tmp_path: Path, broker: str) -> None:
    made = opened(tmp_path, broker, topic="many", options={"queue.buffering.max.messages": 10})
    made.deliver([delivery(number, identity="aa") for number in range(1, 201)])
    made.close()

    assert [json.loads(message.value())["sequence"] for message in consumed(broker, "many", 200)] == list(range(1, 201))


def test_a_message_that_is_too_large_is_useless_to_repeat(tmp_path: Path, broker: str) -> None:
    made = opened(tmp_path, broker, topic="large")
    with pytest.raises(SinkError, match="too large") as caught:
        made.deliver([delivery(1, summary="x" * 2_000_000)])
    made.deliver([delivery(2)])
    made.close()

    assert not caught.value.retry
    assert [json.loads(message.value())["sequence"] for message in consumed(broker, "large", 1)] == [2]


def test_brokers_that_are_away_are_tried_again(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = opened(tmp_path, f"127.0.0.1:{port}", timeout=1)
    begun = time.monotonic()
    with pytest.raises(SinkError, match="transfers") as caught:
        made.deliver([delivery()])
    made.close()

    assert caught.value.retry
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"options": {"enable.idempotence": False}}, "enable.idempotence: has a setting"),
        ({"options": {"acks": 0}}, "acks: has a setting"),
        ({"options": {"plugin.library.paths": "x"}}, "plugin.library.paths"),
        ({"options": {"no.such.option": "x"}}, "no.such.option"),
        ({"username": "me"}, "go together"),
        ({"ca_file": "x"}, "need tls = true"),
        ({"timeout": 0}, "timeout"),
        ({"brokers": []}, "must not be empty"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opened(tmp_path, "127.0.0.1:9", **more)


def test_a_password_is_not_sent_readable_and_does_not_show(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    with pytest.raises(UsageError, match="set tls = true"):
        opened(tmp_path, "127.0.0.1:9", username="me", password_file="password", mechanism="PLAIN")
    made = opened(tmp_path, "127.0.0.1:9", username="me", password_file="password", timeout=1)
    with pytest.raises(SinkError) as caught:
        made.deliver([delivery()])
    made.close()

    assert "hunter2" not in f"{caught.value} {made!r} {vars(made)}"
