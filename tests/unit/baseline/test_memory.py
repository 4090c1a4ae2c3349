"""What the evidence shows to be usual, kept packed: it answers as counters do that are kept as they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.baseline import memory
from tidewaiter.baseline.counters import Cell, Counters, known_of, sum_of
from tidewaiter.baseline.decay import DAY
from tidewaiter.baseline.memory import Evidence

KEYS = st.sampled_from(("a", "b", ""))
HOSTS = st.sampled_from(("", "ws01", "ws02", "web1"))
CELLS = st.dictionaries(
    st.tuples(KEYS, HOSTS),
    st.builds(
        lambda level, first, more: Cell(level, first * DAY, (first + more) * DAY),
        st.floats(0, 900),
        st.integers(0, 30_000),
        st.integers(0, 90),
    ),
)


@given(st.lists(CELLS, max_size=6))
def test_it_answers_what_plain_counters_answer(parts: list[dict[tuple[str, str], Cell]]) -> None:
    evidence, plain = Evidence(), dict[tuple[str, str], Cell]()
    for part in parts:
        evidence.add(Counters(cells={"hash": part}))
        for pair, cell in part.items():
            plain[pair] = sum_of(plain[pair], cell) if pair in plain else cell
    for key in ("a", "b", ""):
        for host in ("", "ws02", "elsewhere"):
            expected = known_of(((name, cell) for (one, name), cell in plain.items() if one == key), host)
            found = evidence.known("hash", key, host)
            assert (found is None) == (expected is None)
            if found is not None and expected is not None:
                assert found._replace(level=0) == expected._replace(level=0)
                assert found.level == pytest.approx(expected.level)


def test_the_weakest_are_given_up_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 10)
    evidence = Evidence()
    cells = {(f"{number}", f"ws{number % 3}"): Cell(float(number), DAY, DAY) for number in range(21)}
    evidence.add(Counters(cells={"hash": cells, "domain": dict(list(cells.items())[:20])}))

    assert not evidence.complete("hash")
    assert evidence.complete("domain")
    assert evidence.known("hash", "10", "ws1") is None
    assert [evidence.known("hash", str(number), "x") is not None for number in range(11, 21)] == [True] * 10


def test_what_a_worker_gave_up_is_remembered() -> None:
    evidence = Evidence(Counters(evicted={"hash": 3}))

    assert not evidence.complete("hash")


def test_names_of_hosts_that_nothing_is_known_of_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 4)
    monkeypatch.setattr(memory, "HOSTS_KEPT", 30)
    evidence, chance = Evidence(), random.Random(1)
    for number in range(100):
        cell = Cell(chance.random() + (50 if number in (5, 70) else 0), DAY, DAY)
        evidence.add(Counters(cells={"domain": {("files.example.com", f"ws{number}"): cell}}))

    assert len(evidence._names) <= 31
    known = evidence.known("domain", "files.example.com", "ws5")
    assert known is not None
    assert {"ws5", "ws70"} <= known.hosts
    assert known.here is not None
    assert known.here.level > 50


def test_a_facet_that_is_not_kept_is_not_said_to_be_unknown() -> None:
    evidence = Evidence(facets=("hash",))
    evidence.add(
        Counters(cells={"hash": {("a", "ws01"): Cell(1.0, DAY, DAY)}, "program": {("b", "ws01"): Cell(1.0, DAY, DAY)}})
    )

    assert evidence.known("hash", "a", "ws01") is not None
    with pytest.raises(KeyError):
        evidence.known("program", "b", "ws01")
