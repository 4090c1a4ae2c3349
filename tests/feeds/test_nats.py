"""The NATS feed against a real nats-server with JetStream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from feed_reader import FeedReader, numbers_are_right
from nats_server import NatsServer
from tidewaiter.errors import UsageError
from tidewaiter.feed import Surroundings, open_feed

Start = Callable[..., FeedReader]


@pytest.fixture
def start(nats_server: NatsServer, tmp_path: Path) -> Iterator[Start]:
    started: list[FeedReader] = []

    def begin(**table: Any) -> FeedReader:
        wanted = {"type": "nats", "servers": [nats_server.url], "subject": "logs", **table}
        started.append(FeedReader(lambda: open_feed(wanted, Surroundings(tmp_path, tmp_path))))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def unacknowledged(server: NatsServer, stream: str) -> list[int]:
    """Per consumer, messages that the server would deliver again."""

    async def ask(context: Any) -> list[int]:
        return [one.num_ack_pending for one in await context.consumers_info(stream)]

    found: list[int] = server.do(ask)
    return found


def test_messages_become_numbered_lines(nats_server: NatsServer, start: Start) -> None:
    nats_server.add_stream("LOGS", subjects=["logs"])
    nats_server.publish("logs", [b"one", b"two\nthree\n", b"", b"four\r\n"])
    reader = start()
    reader.wait_for(4)

    assert reader.texts == [b"one", b"two", b"three", b"four"]
    assert [line.number for line in reader.kept] == [1, 2, 3, 4]
    assert reader.kept[0].log_file == "nats:logs"
    assert reader.chunks[-1].caught_up
    assert reader.problems == []


@pytest.mark.parametrize("retention", ["limits", "workqueue", "interest"])
def test_kills_lose_nothing_and_repeat_nothing(nats_server: NatsServer, start: Start, retention: str) -> None:
    nats_server.add_stream("LOGS", subjects=["logs"], retention=retention)
    reader = start()
    if retention == "interest":  # what comes before anybody is interested is nobody's
        ends = time.monotonic() + 20
        while not unacknowledged(nats_server, "LOGS") and time.monotonic() < ends:
            time.sleep(0.1)
    lines = [b"line %d" % number for number in range(3_000)]
    for turn in range(3):
        nats_server.publish("logs", lines[turn * 1_000 : (turn + 1) * 1_000])
        reader.wait_for(turn * 1_000 + 200)  # commits what it polls
        ends = time.monotonic() + 20
        while not reader.poll(100) and len(reader.kept) < (turn + 1) * 1_000 and time.monotonic() < ends:
            time.sleep(0.01)
        reader.kill()  # what was polled and not committed comes again
    reader.wait_for(3_000)
    reader.poll(times=3)

    assert reader.texts == lines
    assert numbers_are_right(reader.kept)
    assert len({line.generation for line in reader.kept}) == 1
    ends = time.monotonic() + 20
    answers: list[list[int]] = []  # the last reader may still be putting its consumer in place of the one before
    while answers[-10:] != [[0]] * 10 and time.monotonic() < ends:
        answers.append(unacknowledged(nats_server, "LOGS"))
        time.sleep(0.1)
    assert answers[-10:] == [[0]] * 10  # one consumer, and all it had is acknowledged
    if retention != "limits":
        left = nats_server.do(lambda context: context.stream_info("LOGS"))
        assert left.state.messages == 0


def test_a_server_that_is_killed_and_comes_back(nats_server: NatsServer, start: Start) -> None:
    nats_server.add_stream("LOGS", subjects=["logs"])
    nats_server.publish("logs", [b"before %d" % number for number in range(50)])
    reader = start()
    reader.wait_for(50)
    nats_server.kill()
    ends = time.monotonic() + 30
    while not reader.problems and time.monotonic() < ends:
        reader.poll()
        time.sleep(0.05)
    assert {problem.kind for problem in reader.problems} == {"unreadable"}
    nats_server.start()
    nats_server.publish("logs", [b"after %d" % number for number in range(50)])
    reader.wait_for(100, seconds=60)

    assert reader.texts == [b"before %d" % number for number in range(50)] + [b"after %d" % number for number in range(50)]


def test_from_the_end_also_over_a_restart(nats_server: NatsServer, start: Start) -> None:
    nats_server.add_stream("LOGS", subjects=["logs"])
    nats_server.publish("logs", [b"old"])
    reader = start(from_end=True)
    ends = time.monotonic() + 20
    while not reader.poll() and time.monotonic() < ends:
        time.sleep(0.05)
    reader.commit()  # an empty chunk says where the end was
    reader.feed.close()
    nats_server.publish("logs", [b"while down"])
    reader.kill()
    nats_server.publish("logs", [b"new"])
    reader.wait_for(2)

    assert reader.texts == [b"while down", b"new"]


def test_what_the_stream_dropped_is_said_and_a_new_stream_is_a_new_generation(nats_server: NatsServer, start: Start) -> None:
    nats_server.add_stream("LOGS", subjects=["logs"], max_msgs=10)
    nats_server.publish("logs", [b"a"])
    reader = start()
    reader.wait_for(1)
    reader.feed.close()
    nats_server.publish("logs", [b"%d" % number for number in range(30)])
    reader.kill()
    reader.wait_for(11)
    assert reader.texts[1:] == [b"%d" % number for number in range(20, 30)]
    assert [(problem.kind, problem.count) for problem in reader.problems] == [("lost", 20)]

    reader.feed.close()
    nats_server.do(lambda context: context.delete_stream("LOGS"))
    nats_server.add_stream("LOGS", subjects=["logs"])
    nats_server.publish("logs", [b"anew"])
    reader.kill()
    reader.wait_for(12)
    assert (reader.texts[-1], reader.kept[-1].number) == (b"anew", 1)
    assert reader.kept[-1].generation != reader.kept[0].generation


def test_what_waits_is_bounded(nats_server: NatsServer, start: Start) -> None:
    nats_server.add_stream("LOGS", subjects=["logs"])
    nats_server.publish("logs", [b"x" * 20_000 for _ in range(1_000)])
    reader = start(waiting_bytes=1 << 20)
    time.sleep(2)
    waiting = reader.feed._bytes  # type: ignore[attr-defined] # what is held is not told
    assert 0 < waiting < (1 << 20) + 256 * 20_000
    assert reader.feed.lag() > 500
    reader.wait_for(1_000)
    assert reader.feed.lag() == 0


@pytest.mark.parametrize(
    ("table", "said"),
    [({"subject": ""}, "subject"), ({"durable": "a b"}, "durable"), ({"password_env": "NONE_SUCH"}, "NONE_SUCH")],
)
def test_settings_that_cannot_be_are_usage_errors(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_feed({"type": "nats", "subject": "logs", **table}, Surroundings(tmp_path, tmp_path))
