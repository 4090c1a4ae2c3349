"""The Kafka feed against librdkafka's mock broker and, where it could be fetched, a real Apache Kafka.

The mock is no Kafka: it answers with the same protocol over TCP, but has no retention, no transactions and no authentication.
What depends on those is not tested with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from feed_reader import FeedReader, numbers_are_right
from kafka_client import produce
from tidewaiter.errors import UsageError
from tidewaiter.feed import Surroundings, open_feed

Start = Callable[..., FeedReader]


@pytest.fixture
def start(kafka_address: str, tmp_path: Path) -> Iterator[Start]:
    started: list[FeedReader] = []

    def begin(**table: Any) -> FeedReader:
        wanted = {"type": "kafka", "brokers": [kafka_address], "topics": ["logs"], **table}
        started.append(FeedReader(lambda: open_feed(wanted, Surroundings(tmp_path, tmp_path))))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def told(address: str, topic: str, partition: int) -> int:
    """The offset that the group has at the broker."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": address, "group.id": "tidewaiter", "log_level": 0})
    (found,) = consumer.committed([TopicPartition(topic, partition)], timeout=30)
    consumer.close()
    return int(found.offset)


def resident() -> int:
    """Bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def test_kills_lose_nothing_and_repeat_nothing(kafka_address: str, start: Start) -> None:
    produce(kafka_address, "logs", [b"0 first"])
    reader = start()
    reader.wait_for(1, seconds=60)
    lines = [b"%d" % number for number in range(2_000)]
    for turn in range(2):
        for partition in (0, 1):
            produce(kafka_address, "logs", lines[turn * 1_000 : (turn + 1) * 1_000], partition=partition)
        reader.wait_for(1 + turn * 2_000 + 300, seconds=60)
        ends = time.monotonic() + 5
        while not reader.poll(2_000) and time.monotonic() < ends:
            time.sleep(0.01)
        reader.kill()  # what was polled and not committed comes again
    reader.wait_for(4_001, seconds=60)
    reader.poll(times=5)

    assert [line.text for line in reader.kept if line.log_file == "kafka:logs/0"] == [b"0 first", *lines]
    assert [line.text for line in reader.kept if line.log_file == "kafka:logs/1"] == lines
    assert numbers_are_right(reader.kept)
    assert len({line.generation for line in reader.kept}) == 2
    assert reader.chunks[-1].caught_up
    assert reader.feed.lag() == 0
    assert reader.problems == []
    ends = time.monotonic() + 30
    while told(kafka_address, "logs", 0) != 2_001 and time.monotonic() < ends:
        time.sleep(0.5)
    assert told(kafka_address, "logs", 0) == 2_001


def test_from_the_end_also_over_a_restart(kafka_address: str, start: Start) -> None:
    produce(kafka_address, "logs", [b"old"])
    reader = start(from_end=True)
    ends = time.monotonic() + 60
    while not reader.poll() and time.monotonic() < ends:
        time.sleep(0.05)
    reader.commit()  # empty chunks say where the end was
    reader.feed.close()
    produce(kafka_address, "logs", [b"while down"])
    reader.kill()
    reader.wait_for(1, seconds=60)

    assert reader.texts == [b"while down"]


def test_what_waits_is_bounded(kafka_address: str, start: Start) -> None:
    produce(kafka_address, "logs", [b"x" * 50_000 for _ in range(80)])  # the mock keeps 5 MB
    reader = start(waiting_bytes=1 << 20)
    ends = time.monotonic() + 60
    while not reader.poll(1) and time.monotonic() < ends:
        time.sleep(0.05)
    before = resident()
    time.sleep(2)  # the library fetches on its own
    assert resident() - before < 3 << 20
    reader.commit()
    reader.wait_for(80, seconds=60)


def test_brokers_that_do_not_answer_are_said_once_and_hold_nothing_up(tmp_path: Path) -> None:
    reader = FeedReader(
        lambda: open_feed({"type": "kafka", "brokers": ["127.0.0.1:9"], "topics": ["logs"]}, Surroundings(tmp_path, tmp_path))
    )
    longest = 0.0
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        began = time.perf_counter()
        reader.poll()
        longest = max(longest, time.perf_counter() - began)
        time.sleep(0.05)
    reader.close()

    assert longest < 0.5
    assert {problem.kind for problem in reader.problems} == {"unreadable"}
    assert len(reader.problems) == len({problem.problem for problem in reader.problems})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"topics": []}, "topics"),
        ({"topics": ["x"], "mechanism": "GSSAPI"}, "mechanism"),
        ({"topics": ["x"], "username": "u"}, "password_file"),
        ({"topics": ["x"], "ca_file": "none.pem"}, "ca"),
        ({"topics": ["x"], "password_env": "NONE_SUCH"}, "NONE_SUCH"),
    ],
)
def test_settings_that_cannot_be_are_usage_errors(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_feed({"type": "kafka", **table}, Surroundings(tmp_path, tmp_path))
