"""Sinks against the servers that users have: what the other tests know from documentation is proved here."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from java_servers import KafkaBroker, OpenSearchNode
from sink_servers import MemoryOutbox, delivery
from tidewaiter import sink
from tidewaiter.engines.couriers import Courier
from tidewaiter.errors import SinkError


def opened(folder: Path, **table: Any) -> sink.Outlet:
    return sink.opened(table, "sink 1", base=folder, state=folder)


def until(outbox: MemoryOutbox, name: str, sequence: int, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while outbox.cursor(name) < sequence:
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def consumed(address: str, topic: str) -> dict[str, list[int]]:
    """Revisions by transfer, in the order of the topic, until nothing more comes."""
    library = pytest.importorskip("confluent_kafka", reason="an extra")
    consumer = library.Consumer({"bootstrap.servers": address, "group.id": "test", "enable.auto.commit": False})
    found: dict[str, list[int]] = {}
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([library.TopicPartition(topic, number, 0) for number in partitions])
        quiet = 0
        while quiet < 5:
            message = consumer.poll(0.5)
            quiet = quiet + 1 if message is None else 0
            if message is not None and message.error() is None:
                found.setdefault(message.key().decode(), []).append(json.loads(message.value())["revision"])
    finally:
        consumer.close()
    return found


def test_a_broker_that_is_killed_in_between_gets_every_revision_in_order(tmp_path: Path, kafka: KafkaBroker) -> None:
    pytest.importorskip("confluent_kafka", reason="an extra")
    rows = [delivery(number, identity=f"t{number % 40}", revision=(number - 1) // 40 + 1) for number in range(1, 4_001)]
    outbox = MemoryOutbox(rows[:2_000])
    outlet = opened(tmp_path, type="kafka", brokers=[kafka.address], topic="transfers", timeout=2)
    courier = Courier(outlet, outbox, longest_wait=1.0)
    courier.start()
    until(outbox, "kafka", 400)
    kafka.kill()
    outbox.add(*rows[2_000:])
    courier.wake()
    end = time.monotonic() + 30
    while courier.status().down_since is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    kafka.start()
    until(outbox, "kafka", 4_000)
    assert courier.stop()
    told = consumed(kafka.address, "transfers")

    assert {name: list(dict.fromkeys(revisions)) for name, revisions in told.items()} == {
        f"t{number}": list(range(1, 101)) for number in range(40)
    }
    assert courier.status().dead == 0


def asked(url: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            told = json.loads(error.read())
    return told


def failure(made: sink.Sink) -> tuple[bool, str]:
    with pytest.raises(SinkError) as caught:
        made.deliver([delivery(1)])
    made.close()
    return caught.value.retry, str(caught.value).rpartition(": ")[2]


def test_a_search_node_keeps_the_newest_revision_of_each_transfer(tmp_path: Path, opensearch: OpenSearchNode) -> None:
    url = opensearch.url
    for document in ("ecs", "plain"):
        index = f"transfers-{document}"
        outlet = opened(tmp_path, type="elasticsearch", url=url, index=index, document=document)
        first, second = delivery(1, identity="aa"), delivery(2, identity="aa", revision=2, change="update", severity="critical")
        outlet.sink.deliver([first, delivery(3, identity="bb")])
        outlet.sink.deliver([second])
        outlet.sink.deliver([first, second])  # come again
        outlet.sink.deliver([delivery(4, identity="bb", revision=2, change="withdrawn", superseded_by="aa")])
        outlet.sink.deliver([delivery(5, identity="cc", summary="\x1b\ud800\x00\u202e" + "x" * 40_000)])
        outbox = MemoryOutbox(
            [delivery(number, identity=f"t{number % 100}", revision=(number - 1) // 100 + 1) for number in range(1, 1_001)]
        )
        courier = Courier(outlet, outbox)
        courier.start()
        until(outbox, "elasticsearch", 1_000)
        assert courier.stop()
        asked(f"{url}/{index}/_refresh", "POST")
        kept = {name: asked(f"{url}/{index}/_doc/{name}") for name in ("aa", "bb", "t7")}
        own = {name: answer["_source"].get("tidewaiter", answer["_source"]) for name, answer in kept.items()}

        assert {name: answer["_version"] for name, answer in kept.items()} == {"aa": 2, "bb": 2, "t7": 10}
        assert (own["aa"]["severity"], own["bb"]["change"], own["bb"]["superseded_by"]) == ("critical", "withdrawn", "aa")
        assert asked(f"{url}/{index}/_count")["count"] == 103

    # what the node says when it cannot or will not take documents
    asked(f"{url}/wrong", "PUT", {"mappings": {"properties": {"file": {"type": "long"}}}})
    asked(f"{url}/transfers-ecs/_settings", "PUT", {"index.blocks.write": True})
    asked(f"{url}/_cluster/settings", "PUT", {"persistent": {"action.auto_create_index": "false"}})
    said = [
        failure(opened(tmp_path, type="elasticsearch", url=url, index=name).sink)
        for name in ("wrong", "transfers-ecs", "nowhere")
    ]

    assert said == [
        (False, "400 mapper_parsing_exception"),
        (True, "403 cluster_block_exception"),
        (True, "404 index_not_found_exception"),
    ]
