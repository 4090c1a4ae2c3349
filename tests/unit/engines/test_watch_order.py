"""In which order logs are read, and when rows may go on."""

from __future__ import annotations

import time

from tidewaiter.engines.watch_order import DISORDER, HELD_BACK, LAGGING, NEVER, Order
from tidewaiter.feed import Chunk
from tidewaiter.pipeline.live_folds import Rule
from tidewaiter.pipeline.live_reading import Read

SECOND = 1_000_000


def _chunk(log: str, data: bytes = b"a\n", *, caught_up: bool = True, generation: str = "1", age: float = 0.0) -> Chunk:
    return Chunk(
        log_file=log, first_line=1, data=data, head=data, position={"at": len(data)}, caught_up=caught_up,
        received=int((time.time() - age) * SECOND), generation=generation, finished=False,
    )  # fmt: skip


def _free(_log: str) -> bool:
    return True


def _read(order: Order, now: float, latest: int | None, *, held: bytes = b"") -> list[str]:
    """Read whatever the order gives now; returns of which logs."""
    pieces = list(order.next(now, _free))
    for piece in pieces:
        read = Read(recognised_as="x", latest=latest, held=held, held_line=piece.first_line)
        order.logs[piece.log_file].done(read, now)
    return [piece.log_file for piece in pieces]


def _starved(order: Order) -> str | None:
    return order.starved.log_file if order.starved is not None else None


def test_at_the_start_nothing_goes_on_before_every_log_was_read() -> None:
    order = Order(settle=0.4)
    assert order.add(0, [_chunk("a"), _chunk("b")])
    assert order.behind
    assert order.rule(1.0, more=True) == Rule(0, NEVER)
    first = next(order.next(1.0, _free))
    order.logs[first.log_file].done(Read(recognised_as="x", latest=5 * SECOND), 1.0)
    assert order.rule(1.0) == Rule(0, NEVER)  # the other one may hold what belongs before it
    _read(order, 1.0, 7 * SECOND)
    assert order.rule(1.0).before > 7 * SECOND  # now all is known


def test_of_logs_that_lag_behind_the_earliest_is_read() -> None:
    order = Order(settle=0.4)
    order.add(0, [_chunk("early", caught_up=False), _chunk("late", caught_up=False)])
    pieces = {piece.log_file for piece in order.next(1.0, _free)}
    assert pieces == {"early", "late"}
    order.logs["early"].done(Read(recognised_as="x", latest=10 * SECOND), 1.0)
    order.logs["late"].done(Read(recognised_as="x", latest=500 * SECOND), 1.0)
    order.add(0, [_chunk("early", caught_up=False), _chunk("late", caught_up=False)])
    assert [piece.log_file for piece in order.next(1.0, _free, crowded=True)] == ["early"]
    assert order.rule(1.0) == Rule(10 * SECOND - DISORDER, NEVER)


def test_a_log_that_others_wait_for_and_that_is_not_at_hand_is_named() -> None:
    order, now = Order(settle=0.4), time.monotonic()
    order.add(0, [_chunk("early", caught_up=False), _chunk("late", caught_up=False)])
    for log, seconds in (("early", 10), ("late", 500)):
        piece = next(order.next(now, lambda name, log=log: name == log))  # type: ignore[misc]  # a default binds the name
        order.logs[piece.log_file].done(Read(recognised_as="x", latest=seconds * SECOND), now)
    assert _starved(order) == "early"
    order.add(0, [_chunk("early", caught_up=False)])
    assert _starved(order) is None  # it only has to be read
    order.logs["early"].queue.clear()
    order.add(0, [_chunk("early", caught_up=True)])
    _read(order, now, 20 * SECOND)
    assert _starved(order) == "late"


def test_a_log_without_times_holds_up_nobody() -> None:
    order = Order(settle=0.4)
    order.starting = False
    order.add(0, [_chunk("a", caught_up=False)])
    _read(order, 1.0, None)
    order.add(0, [_chunk("a", caught_up=False)])
    assert order.rule(1.0).before > 1_000_000 * SECOND


def test_rows_of_what_just_came_in_wait_a_moment() -> None:
    order = Order(settle=0.4)
    order.starting = False
    order.add(0, [_chunk("a")])
    _read(order, 1.0, 5 * SECOND)
    order.arrived(7, 1.0)
    assert order.rule(1.2) == Rule(0, NEVER)
    assert order.rule(1.41) == Rule(0, 7)
    assert order.rule(1.5) == Rule(0, NEVER)


def test_a_log_that_was_caught_up_with_a_moment_ago_is_not_waited_for() -> None:
    order, now = Order(settle=0.4), time.monotonic()
    order.starting = False
    order.add(0, [_chunk("a"), _chunk("b")])
    _read(order, now, 5 * SECOND)
    order.add(0, [_chunk("a", caught_up=False)])  # the watch was held up, or the log grew much at once
    at_first = order.behind
    order.arrived(7, now)
    assert order.rule(now + 0.5) == Rule(0, 7)
    order.logs["a"].fresh -= LAGGING  # it goes on so
    assert (at_first, order.behind) == (False, True)
    assert order.rule(now + 2.5) == Rule(5 * SECOND - DISORDER, NEVER)


def test_what_is_held_comes_again_in_front_or_by_itself_after_a_while() -> None:
    order = Order(settle=0.4)
    order.add(0, [_chunk("a", b"one\ntwo\n")])
    _read(order, 1.0, 1, held=b"two\n")
    assert order.logs["a"].held == b"two\n"
    assert list(order.next(1.0 + HELD_BACK / 2, _free)) == []
    order.add(0, [_chunk("a", b"three\n")])
    [piece] = order.next(1.2, _free)
    assert piece.data == b"two\nthree\n"
    order.logs["a"].done(Read(recognised_as="x", held=b"three\n", held_line=3), 1.2)
    kept = order.logs["a"].position
    assert (kept.held, kept.held_line) == (b"three\n", 3)
    [rest] = order.next(1.3 + HELD_BACK, _free)
    assert (rest.data, rest.final) == (b"three\n", True)
    order.logs["a"].done(Read(recognised_as="x"), 3.0)
    assert order.idle
    assert order.logs["a"].position.held == b""


def test_what_is_held_of_a_log_that_was_rotated_is_read_before_the_new_one() -> None:
    order = Order(settle=0.4)
    order.add(0, [_chunk("a", b"one\ntwo\n")])
    _read(order, 1.0, 1, held=b"two\n")
    order.add(0, [_chunk("a", b"new\n", generation="2")])
    [rest] = order.next(1.1, _free)
    assert (rest.data, rest.generation, rest.final) == (b"two\n", "1", True)
    order.logs["a"].done(Read(recognised_as="x"), 1.1)
    [fresh] = order.next(1.1, _free)
    assert (fresh.data, fresh.generation) == (b"new\n", "2")


def test_a_position_is_that_of_what_was_read_not_of_what_is_being_read() -> None:
    order = Order(settle=0.4)
    order.add(0, [_chunk("a", b"one\n"), _chunk("a", b"other\n", generation="2")])
    _read(order, 1.0, 1)
    assert order.logs["a"].position.position == {"at": 4}
    next(order.next(1.0, _free))
    assert order.logs["a"].position.position == {"at": 4}


def test_chunks_that_wait_are_read_in_one_go() -> None:
    order = Order(settle=0.4)
    order.add(0, [_chunk("a", b"one\n"), _chunk("a", b"two\n"), _chunk("a", b"new\n", generation="2")])
    [piece] = order.next(1.0, _free)
    assert (piece.data, piece.generation) == (b"one\ntwo\n", "1")


def test_a_chunk_that_waits_too_long_shows_that_its_log_lags() -> None:
    order = Order(settle=0.4)
    order.starting = False
    order.add(0, [_chunk("a")])
    _read(order, 1.0, 9 * SECOND)
    order.add(0, [_chunk("a", age=30)])
    assert order.behind
    assert order.rule(1.0) == Rule(9 * SECOND - DISORDER, NEVER)
