"""The baseline in the store: learned once, fading, bounded, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from tidewaiter.baseline.counters import ANY, Cell, Counters
from tidewaiter.baseline.decay import DAY, level_of, weight
from tidewaiter.errors import UsageError
from tidewaiter.store.history import History
from tidewaiter.store.store import open_store

TODAY = 20_000


def counted(**keys: int) -> Counters:
    """So many observations of each domain on host ws01 today."""
    cells = {(key, "ws01"): Cell(level_of(count, TODAY, 30.0), TODAY * DAY, TODAY * DAY) for key, count in keys.items()}
    return Counters(cells={"domain": cells})


def test_what_is_learned_adds_up_and_each_content_counts_once(place: str) -> None:
    with open_store(place) as store:
        assert store.history.empty
        assert store.history.learn(counted(a=3, b=1), "one.evtx", "sha256:1")
        assert not store.history.learn(counted(a=3, b=1), "copy of one.evtx", "sha256:1")
        assert store.history.learn(counted(a=5), "two.evtx", "sha256:2")
        assert store.history.learned(["sha256:1", "sha256:2", "sha256:3"]) == {"sha256:1", "sha256:2"}
    with open_store(place) as store:
        known = store.history.known("domain", "a", "ws01")
        assert known is not None
        assert known.here is not None
        assert weight(known.level, TODAY * DAY, 30.0) == pytest.approx(8)
        assert weight(known.level, (TODAY + 30) * DAY, 30.0) == pytest.approx(4)
        assert known.only("ws01")
        assert store.history.known("domain", "c", "ws01") is None
        assert not store.history.empty


def test_a_question_is_answered_anew_after_learning(place: str) -> None:
    with open_store(place) as store:
        assert store.history.known("domain", "a", "ws01") is None
        store.history.learn(counted(a=1), "one.evtx", "sha256:1")
        assert store.history.known("domain", "a", "ws01") is not None


def test_the_weakest_are_given_up_and_counted(place: str) -> None:
    with open_store(place) as store:
        history = History(store.database, kept=3)
        history.learn(counted(a=9, b=8, c=7, d=1, e=2), "one.evtx", "sha256:1")
        history.learn(counted(f=5), "two.evtx", "sha256:2")
        kept = [key for key, _, _ in history.strongest("domain", 10)]
        told = {facet.name: facet for facet in history.facets()}
        assert kept == ["a", "b", "c"]
        assert told["domain"].evicted == 3
        assert told["domain"].counters == 3
        assert not history.complete("domain")
        assert history.complete("utility")


def test_what_a_worker_gave_up_is_counted_too(place: str) -> None:
    counters = counted(a=1)
    counters.evicted["domain"] = 4
    with open_store(place) as store:
        store.history.learn(counters, "one.evtx", "sha256:1")
        assert not store.history.complete("domain")


def test_the_half_life_is_settled_by_the_first_learning(place: str) -> None:
    with open_store(place) as store:
        assert store.history.begin(7.0) == 7.0
        assert store.history.begin(None) == 7.0
        assert store.history.half_life == 7.0
        with pytest.raises(UsageError, match="half-life of 7 days"):
            store.history.begin(30.0)


def test_hostile_names_are_data(place: str) -> None:
    name = "'); DELETE FROM baseline_counter; --\0\ud800\U0001f480"
    cells = {(name, name): Cell(1.0, 5, 5), (ANY, ""): Cell(1.0, 5, 5)}
    with open_store(place) as store:
        assert store.history.learn(Counters(cells={"domain": cells}), name, "sha256:1")
        known = store.history.known("domain", name, "x")
        assert known is not None
        assert not known.unnamed


def test_a_large_input_is_learned_in_pieces(place: str) -> None:
    with open_store(place) as store:
        store.history.learn(counted(**{f"d{number}": 1 + number for number in range(1_500)}), "one.evtx", "sha256:1")
        assert next(facet for facet in store.history.facets() if facet.name == "domain").counters == 1_500
