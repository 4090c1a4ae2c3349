"""Couriers: every row at least once and in order, whatever the sink and the outbox do."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sink_servers import MemoryOutbox, Reply, WebServer, delivery
from tidewaiter import sink
from tidewaiter.engines.couriers import Courier, Couriers
from tidewaiter.errors import SinkError, StoreError
from tidewaiter.schema.transfer import Severity
from tidewaiter.sink import DeadLetters, Delivery, Outlet


class Recorder:
    """A sink that fails by a script: an exception to raise before or after it took a part of a batch, or None."""

    name = "recorder"

    def __init__(
        self, failures: Sequence[tuple[Exception, int] | None] = (), batch: int = 10, never: Sequence[int] = ()
    ) -> None:
        self.failures = list(failures)
        self.batch = batch
        self.never = set(never)
        self.told: list[int] = []
        self.tries: list[float] = []
        self.closed = False

    def deliver(self, batch: Sequence[Delivery]) -> None:
        assert 0 < len(batch) <= self.batch
        self.tries.append(time.monotonic())
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            self.told += [row.sequence for row in batch[: failure[1]]]
            raise failure[0]
        for row in batch:
            if row.sequence in self.never:
                raise SinkError("refused it", retry=False)
            self.told.append(row.sequence)

    def close(self) -> None:
        self.closed = True


def outlet(made: sink.Sink, folder: Path, minimum: Severity = "informational") -> Outlet:
    return Outlet(made.name, made, minimum, DeadLetters(folder / "dead.jsonl"))


def buried(folder: Path) -> list[int]:
    path = folder / "dead.jsonl"
    return [json.loads(line)["delivery"]["sequence"] for line in path.read_text().splitlines()] if path.exists() else []


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


@pytest.fixture
def events() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def started(tmp_path: Path, events: list[tuple[str, dict[str, Any]]]) -> Iterator[Callable[..., Courier]]:
    """Starts couriers that wait milliseconds where real ones wait seconds, and stops them at the end."""
    made: list[Courier] = []

    def start(recorder: sink.Sink, outbox: Any, minimum: Severity = "informational", **more: Any) -> Courier:
        waits = {"first_wait": 0.001, "longest_wait": 0.01, "idle": 5.0, **more}
        courier = Courier(outlet(recorder, tmp_path, minimum), outbox, report=lambda *told: events.append(told), **waits)
        courier.start()
        made.append(courier)
        return courier

    yield start
    assert [courier.stop(5) for courier in made] == [True] * len(made)


def never_lost(told: Sequence[int], expected: Sequence[int]) -> bool:
    """Whether each was told, and for the first time in order."""
    return list(dict.fromkeys(told)) == list(expected)


def test_rows_are_carried_in_order_and_acknowledged(started: Callable[..., Courier]) -> None:
    outbox = MemoryOutbox([delivery(number) for number in range(3, 1_000, 3)])
    recorder = Recorder()
    courier = started(recorder, outbox)
    until(lambda: outbox.cursor("recorder") == 999)
    status = courier.status()

    assert recorder.told == list(range(3, 1_000, 3))
    assert (status.delivered, status.lag, status.failed, status.down_since, status.last_error) == (333, 0, 0, None, None)


def test_new_rows_wake_a_courier_at_once(started: Callable[..., Courier]) -> None:
    outbox = MemoryOutbox()
    recorder = Recorder()
    courier = started(recorder, outbox, idle=60.0)
    time.sleep(0.05)
    outbox.add(delivery(1))
    courier.wake(1)
    until(lambda: recorder.told == [1])


def test_rows_that_nobody_announced_are_found_too(started: Callable[..., Courier]) -> None:
    outbox = MemoryOutbox()
    recorder = Recorder()
    started(recorder, outbox, idle=0.02)
    time.sleep(0.05)
    outbox.add(delivery(1))
    until(lambda: recorder.told == [1])


FAILURE = st.one_of(
    st.none(),
    st.tuples(st.just(SinkError("down", retry=True)), st.integers(0, 4)),
    st.tuples(st.just(OSError(5, "Input/output error")), st.integers(0, 4)),
    st.tuples(st.just(SinkError("again", retry=False)), st.integers(0, 4)),
)


class Flaky(MemoryOutbox):
    """An outbox whose store is locked now and then, also after it has acknowledged."""

    def __init__(self, rows: Sequence[Delivery], seed: int) -> None:
        super().__init__(rows)
        self.chance = random.Random(seed)

    def after(self, sequence: int, limit: int) -> list[Delivery]:
        if self.chance.random() < 0.2:
            raise StoreError("locked")
        return super().after(sequence, min(limit, 7))

    def cursor(self, name: str) -> int:
        if self.chance.random() < 0.3:
            raise StoreError("locked")
        return super().cursor(name)

    def acknowledge(self, name: str, sequence: int) -> None:
        if self.chance.random() < 0.2:
            raise StoreError("locked")
        super().acknowledge(name, sequence)
        if self.chance.random() < 0.1:
            raise StoreError("locked")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.integers(1, 3), min_size=1, max_size=60),
    failures=st.lists(FAILURE, max_size=25),
    batch=st.integers(1, 9),
    never=st.sets(st.integers(1, 180), max_size=6),
    seed=st.integers(0, 1_000),
    restarts=st.integers(0, 2),
)
def test_a_flaky_sink_gets_every_row_at_least_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    gaps: list[int],
    failures: list[tuple[Exception, int] | None],
    batch: int,
    never: set[int],
    seed: int,
    restarts: int,
) -> None:
    folder = tmp_path_factory.mktemp("flaky")
    sequences = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    outbox = Flaky([delivery(number) for number in sequences], seed)
    recorder = Recorder(failures, batch, sorted(never))
    for _ in range(restarts):
        courier = Courier(outlet(recorder, folder), outbox, first_wait=0.0005, longest_wait=0.001, idle=0.001)
        courier.start()
        time.sleep(0.003)
        assert courier.stop(5)
    courier = Courier(outlet(recorder, folder), outbox, first_wait=0.0005, longest_wait=0.001, idle=0.001)
    courier.start()
    until(lambda: outbox.cursors.get("recorder") == sequences[-1])
    assert courier.stop(5)
    letters = buried(folder)

    # what the script refused once may be in the dead letters too: that is where a person finds it, not lost
    assert set(recorder.told) | set(letters) == set(sequences)
    assert set(letters) >= never & set(sequences)
    told = list(dict.fromkeys(recorder.told))
    assert told == sorted(told)
    assert recorder.closed


def test_one_row_that_can_never_be_told_is_buried_and_the_others_are_not(
    tmp_path: Path, started: Callable[..., Courier], events: list[tuple[str, dict[str, Any]]]
) -> None:
    outbox = MemoryOutbox([delivery(number) for number in range(1, 101)])
    recorder = Recorder(batch=50, never=[7, 77])
    courier = started(recorder, outbox)
    until(lambda: outbox.cursor("recorder") == 100)
    status = courier.status()

    assert never_lost(recorder.told, [number for number in range(1, 101) if number not in (7, 77)])
    assert buried(tmp_path) == [7, 77]
    assert len(recorder.tries) < 40  # halves, not one by one
    assert (status.dead, status.last_error, status.down_since) == (2, "refused it", None)
    assert [(event, fields["id"]) for event, fields in events] == [("dead_letter", f"{7:016x}"), ("dead_letter", f"{77:016x}")]


def test_a_sink_that_trips_over_a_record_does_not_hold_up_the_others(tmp_path: Path, started: Callable[..., Courier]) -> None:
    class Broken(Recorder):
        def deliver(self, batch: Sequence[Delivery]) -> None:
            if any(row.sequence == 2 for row in batch):
                raise ValueError("token hunter2 does not fit")
            super().deliver(batch)

    outbox = MemoryOutbox([delivery(number) for number in range(1, 4)])
    recorder = Broken()
    courier = started(recorder, outbox)
    until(lambda: outbox.cursor("recorder") == 3)
    error = courier.status().last_error

    assert recorder.told == [1, 3]
    assert buried(tmp_path) == [2]
    assert error is not None
    assert error.startswith("unexpected ValueError at test_couriers.py:")
    assert "hunter2" not in error + (tmp_path / "dead.jsonl").read_text()


def test_dead_letters_that_cannot_be_written_hold_the_row(tmp_path: Path, started: Callable[..., Courier]) -> None:
    outbox = MemoryOutbox([delivery(1), delivery(2)])
    recorder = Recorder(batch=1, never=[1])
    (tmp_path / "dead.jsonl").mkdir()
    courier = started(recorder, outbox)
    until(lambda: courier.status().failed > 5)
    assert outbox.cursor("recorder") == 0
    (tmp_path / "dead.jsonl").rmdir()
    until(lambda: outbox.cursor("recorder") == 2)

    assert buried(tmp_path) == [1]
    assert recorder.told == [2]


def test_a_sink_that_is_down_says_since_when_and_recovers(
    started: Callable[..., Courier], events: list[tuple[str, dict[str, Any]]]
) -> None:
    now = [1_000.0]
    outbox = MemoryOutbox([delivery(1), delivery(2)])
    recorder = Recorder([(SinkError("no \x1b[2J route", retry=True), 0)] * 6, batch=1)
    courier = started(recorder, outbox, clock=lambda: now[0], first_wait=0.02, longest_wait=0.02)
    until(lambda: courier.status().failed > 0)
    down = courier.status()
    now[0] = 1_090.0
    until(lambda: outbox.cursor("recorder") == 2)
    up = courier.status()

    assert (down.down_since, down.last_error, down.lag) == (1_000_000_000, "no \\x1b[2J route", 2)
    assert (up.down_since, up.last_success, up.failed, up.retries, up.delivered) == (None, 1_090_000_000, 6, 6, 2)
    assert events == [
        ("sink_down", {"sink": "recorder", "reason": "no \\x1b[2J route"}),
        ("sink_up", {"sink": "recorder", "down_for": 90.0}),
    ]


def test_waits_grow_and_are_bounded(started: Callable[..., Courier]) -> None:
    outbox = MemoryOutbox([delivery(1)])
    recorder = Recorder([(SinkError("down", retry=True), 0)] * 9)
    started(recorder, outbox, first_wait=0.01, longest_wait=0.08)
    until(lambda: outbox.cursor("recorder") == 1)
    waits = [later - earlier for earlier, later in zip(recorder.tries, recorder.tries[1:], strict=False)]

    for number, wait in enumerate(waits):
        assert wait >= min(0.08, 0.01 * 2**number) / 2
    assert max(waits) < 0.08 + 5


def test_a_receiver_that_asks_to_wait_is_given_time(started: Callable[..., Courier]) -> None:
    outbox = MemoryOutbox([delivery(1)])
    recorder = Recorder([(SinkError("busy", retry=True, after=0.2), 0)])
    started(recorder, outbox)
    until(lambda: outbox.cursor("recorder") == 1)

    assert recorder.tries[1] - recorder.tries[0] >= 0.2


@pytest.mark.parametrize("after", [None, 3_000.0])
def test_stopping_does_not_wait_for_the_next_try(started: Callable[..., Courier], after: float | None) -> None:
    outbox = MemoryOutbox([delivery(1)])
    recorder = Recorder([(SinkError("down", retry=True, after=after), 0)] * 9)
    courier = started(recorder, outbox, first_wait=600.0, longest_wait=600.0)
    until(lambda: courier.status().failed == 1)
    begun = time.monotonic()

    assert courier.stop(5)
    assert time.monotonic() - begun < 5
    assert recorder.closed
    assert outbox.cursor("recorder") == 0


def test_a_sink_that_never_comes_back_does_not_keep_the_process(tmp_path: Path) -> None:
    release = threading.Event()

    class Stuck(Recorder):
        def deliver(self, batch: Sequence[Delivery]) -> None:
            release.wait(10)
            super().deliver(batch)

    good, stuck = Recorder(), Stuck()
    outbox = MemoryOutbox([delivery(1)])
    couriers = Couriers(
        [Courier(outlet(one, tmp_path)._replace(name=name), outbox) for name, one in (("good", good), ("stuck", stuck))]
    )
    couriers.start()
    couriers.wake(1)
    until(lambda: good.told == [1])
    begun = time.monotonic()
    ended = couriers.stop(0.2)
    taken = time.monotonic() - begun
    lags = [(status.name, status.lag) for status in couriers.status()]
    release.set()

    assert not ended
    assert taken < 5
    assert couriers.stop(5)
    assert lags == [("good", 0), ("stuck", 1)]  # the slow one holds up nobody else


def test_rows_below_the_severity_are_passed_over_and_acknowledged(started: Callable[..., Courier]) -> None:
    severities: list[Severity] = ["low", "high", "low", "critical", "low"]
    outbox = MemoryOutbox([delivery(number, severity=severity) for number, severity in enumerate(severities, 1)])
    recorder = Recorder()
    courier = started(recorder, outbox, "high")
    until(lambda: outbox.cursor("recorder") == 5)

    assert recorder.told == [2, 4]
    assert courier.status().passed_over == 3


def test_what_the_sink_has_does_not_go_again_while_the_store_is_locked(started: Callable[..., Courier]) -> None:
    class Locked(MemoryOutbox):
        locked = 5

        def acknowledge(self, name: str, sequence: int) -> None:
            if self.locked:
                self.locked -= 1
                raise StoreError("the store is locked")
            super().acknowledge(name, sequence)

    outbox = Locked([delivery(1), delivery(2)])
    recorder = Recorder(batch=1)
    courier = started(recorder, outbox)
    until(lambda: outbox.cursor("recorder") == 2)
    until(lambda: courier.status().down_since is None)

    assert recorder.told == [1, 2]
    assert courier.status().last_error == "the store is locked"


def test_a_real_webhook_that_fails_and_recovers_gets_every_revision(tmp_path: Path) -> None:
    outbox = MemoryOutbox([delivery(number, identity="aa", revision=number) for number in range(1, 21)])
    with WebServer() as web:
        web.script = [Reply(503), Reply(200), Reply(500), Reply(429), Reply(422), *[Reply(200)] * 3, Reply(502)]
        table = {"type": "webhook", "url": web.url, "timeout": 1.0}
        courier = Courier(sink.opened(table, "x", base=tmp_path, state=tmp_path), outbox, first_wait=0.001, longest_wait=0.01)
        courier.start()
        until(lambda: outbox.cursor("webhook") == 20)
        assert courier.stop(5)
        keys = list(dict.fromkeys(request.headers["idempotency-key"] for request in web.requests))
        status = courier.status()

    assert keys == ["aa", *(f"aa:{number}" for number in range(2, 21))]
    assert (status.delivered, status.dead) == (19, 1)
    assert json.loads((tmp_path / "webhook.dead-letters.jsonl").read_text())["reason"].endswith("refused it with 422")
