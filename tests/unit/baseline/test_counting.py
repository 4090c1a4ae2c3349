"""Counts that fade, and counters that are bounded."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.baseline.counters import Cell, Counters, Tallies, known_of
from tidewaiter.baseline.decay import DAY, NOTHING, added, level_of, rate, weight

COUNTS = st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 40_000)), min_size=1, max_size=12)


@given(COUNTS, st.sampled_from([0.5, 7.0, 30.0, 3_650.0]))
def test_a_level_is_the_sum_of_the_faded_counts(counts: list[tuple[int, int]], half_life: float) -> None:
    now = max(day for _, day in counts)
    level = NOTHING
    for count, day in counts:
        level = added(level, level_of(count, day, half_life))
    expected = sum(count * 2.0 ** (-(now - day) / half_life) for count, day in counts)

    assert weight(level, now * DAY, half_life) == pytest.approx(expected, rel=1e-6)


@given(COUNTS)
def test_the_order_of_adding_does_not_matter(counts: list[tuple[int, int]]) -> None:
    levels = [level_of(count, day, 30.0) for count, day in counts]
    forward, backward = NOTHING, NOTHING
    for level in levels:
        forward = added(forward, level)
    for level in reversed(levels):
        backward = added(backward, level)

    assert forward == pytest.approx(backward)


def test_an_observation_counts_half_after_a_half_life() -> None:
    level = level_of(8, 100, 10.0)

    assert [weight(level, (100 + later) * DAY, 10.0) for later in (0, 10, 20, 30)] == pytest.approx([8, 4, 2, 1])


def test_nothing_weighs_nothing_and_extremes_are_numbers() -> None:
    assert weight(NOTHING, 5 * DAY, 30.0) == 0
    assert level_of(0, 5, 30.0) == NOTHING
    assert weight(level_of(1, 0, 0.5), 80_000 * DAY, 0.5) == 0
    assert weight(level_of(1, 80_000, 0.5), 0, 0.5) < float("inf")


@pytest.mark.parametrize("watched", [3, 30, 365])
def test_a_steady_rate_is_told_however_long_it_was_watched(watched: int) -> None:
    level = NOTHING
    for day in range(watched):
        level = added(level, level_of(24, day, 30.0))

    assert rate(level, (watched - 1) * DAY, 30.0, watched) == pytest.approx(24, rel=0.05)


def test_tallies_count_by_day_host_and_key() -> None:
    tallies = Tallies(30.0)
    for day, host in ((10, "a"), (10, "a"), (11, "a"), (10, "b"), (10, "a")):
        tallies.cell("domain", "example.com", host, day)[1] += 1
    cells = tallies.take().cells["domain"]

    assert set(cells) == {("example.com", "a"), ("example.com", "b")}
    found = cells["example.com", "a"]
    assert (found.first, found.last) == (10 * DAY, 11 * DAY)
    assert weight(found.level, 11 * DAY, 30.0) == pytest.approx(1 + 3 * 2 ** (-1 / 30))
    assert tallies.take().cells == {}


def test_the_weakest_are_given_up_while_counting_and_counted() -> None:
    tallies = Tallies(30.0, kept=50)
    for number in range(1_000):
        tallies.cell("address", f"rare{number}", "h", 10)[1] += 1
        tallies.cell("address", "usual", "h", 10)[1] += 1
    counters = tallies.take()
    left = len(counters.cells["address"])

    assert left <= 100
    assert ("usual", "h") in counters.cells["address"]
    assert weight(counters.cells["address"]["usual", "h"].level, 10 * DAY, 30.0) == pytest.approx(1_000)
    assert left + counters.evicted["address"] == 1_001


def test_what_workers_counted_adds_up_in_any_order() -> None:
    chance = random.Random(3)
    parts = []
    for _ in range(3):
        tallies = Tallies(30.0)
        for _ in range(60):
            tallies.cell("domain", chance.choice("abc"), chance.choice(["x", "y", ""]), chance.randint(1, 9))[1] += 1
        parts.append(tallies.take())
    sums = []
    for order in itertools.permutations(parts):
        total = Counters()
        for part in order:
            total.merge(part)
        sums.append({key: (round(cell.level, 9), cell.first, cell.last) for _, key, cell in total.all()})

    assert all(other == sums[0] for other in sums)
    assert len(sums[0]) == 9


def test_merging_bounds_and_counts() -> None:
    total = Counters()
    for part in range(4):
        cells = {(f"{part}-{number}", "h"): Cell(float(number), DAY, DAY) for number in range(8_000)}
        total.merge(Counters(cells={"hash": cells}, late=2))

    assert len(total.cells["hash"]) + total.evicted["hash"] == 32_000
    assert len(total.cells["hash"]) <= 20_000
    assert ("3-7999", "h") in total.cells["hash"]
    assert total.late == 8


def test_what_is_known_of_a_key_over_all_hosts() -> None:
    rows = [("", Cell(0.0, 5, 9)), ("a", Cell(0.0, 3, 4)), ("b", Cell(1.0, 7, 20))]
    known = known_of(iter(rows), "a")

    assert known is not None
    assert (known.hosts, known.first, known.last, known.here) == (frozenset({"a", "b"}), 3, 20, rows[1][1])
    assert known.level == pytest.approx(2.0)
    assert not known.only("a")
    assert known_of(iter(rows[1:2]), "a") is not None
    assert known_of(iter([]), "a") is None
