"""Transfers, verdicts and inputs, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from store_writer import made, many
from tidewaiter.errors import UsageError
from tidewaiter.schema.account import Account
from tidewaiter.schema.moments import parse_time
from tidewaiter.schema.transfer import Transfer, Verdict
from tidewaiter.store.inputs import LogInput
from tidewaiter.store.store import Changes, Filters, open_store, single


def ids(found: object) -> list[str]:
    return [one.id for one in found if isinstance(one, Transfer)]  # type: ignore[attr-defined]  # any iterable


def test_what_is_kept_comes_back_as_it_was(place: str) -> None:
    kept = many(700)
    with open_store(place) as store:
        assert list(store.keep(kept)) == kept
        assert store.changes == Changes(added=700)
        assert sorted(store.transfers(), key=lambda one: one.id) == sorted(kept, key=lambda one: one.id)
        moments = [one.time for one in store.transfers()]

    assert moments == sorted(moments, key=str)


def test_keeping_the_same_again_changes_nothing(place: str) -> None:
    kept = many(40)
    with open_store(place) as store:
        store.upsert(kept)
        before = list(store.transfers())
    with open_store(place) as store:
        assert store.upsert(list(reversed(kept))) == Changes(unchanged=40)
        assert list(store.transfers()) == before


def test_a_transfer_that_gained_stages_is_updated_and_one_that_lost_some_is_not(place: str) -> None:
    little, more = made(seen=("commanded",)), made(seen=("commanded", "landed"), logs=("one.evtx", "two.evtx"), score=60)
    with open_store(place) as store:
        store.upsert([little])
        assert store.upsert([more]) == Changes(updated=1)
        assert store.upsert([made(seen=("commanded",), logs=("one.evtx",))]) == Changes(unchanged=1)
        assert list(store.transfers()) == [more]


def test_what_two_scans_saw_of_one_transfer_is_joined_once(place: str) -> None:
    host = made(seen=("commanded", "landed"), logs=("host.evtx",), score=50)
    wire = made(seen=("carried",), logs=("eve.json",), score=20)
    with open_store(place) as store:
        store.upsert([host])
        assert store.upsert([wire]) == Changes(updated=1)
        assert store.upsert([wire]) == Changes(unchanged=1)
        assert store.upsert([host]) == Changes(unchanged=1)
        (found,) = store.transfers()

    assert {name for name, record in found.stages.items() if record.state == "seen"} == {"commanded", "landed", "carried"}
    assert [row.log_file for row in found.evidence] == ["host.evtx", "eve.json"]
    assert found.stages["carried"].evidence == [1]
    assert found.score == 50


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), ["none", "low", "high", "late"]),
        (Filters(min_severity="medium"), ["high"]),
        (Filters(hosts=("ws01",)), ["low"]),
        (Filters(hosts=("WS01.EXAMPLE.COM", "192.0.2.10")), ["none", "low", "high", "late"]),
        (Filters(since=parse_time("2026-01-03T00:00:00Z")), ["high", "late"]),
        (Filters(until=parse_time("2026-01-03T10:00:00Z")), ["low", "high"]),
        (Filters(utility="CURL"), ["high"]),
        (Filters(verdict="benign"), ["low"]),
        (Filters(verdict="none"), ["none", "high", "late"]),
    ],
)
def test_filters(place: str, filters: Filters, expected: list[str]) -> None:
    with open_store(place) as store:
        store.upsert(
            [
                made("late", score=0, time="2026-02-01T00:00:00Z", host=None),
                made("high", score=70, time="2026-01-03T10:00:00Z", host="db.example.com", utility="curl"),
                made("low", score=30),
                made("none", score=0, time=None, host="ws02"),
            ]
        )
        store.judge("low", "benign", "", "")
        assert ids(store.transfers(filters)) == expected


def test_a_transfer_is_found_by_the_beginning_of_its_id(place: str) -> None:
    with open_store(place) as store:
        store.upsert([made("abc1"), made("abc1-2"), made("abd1"), made("a%c1")])

        assert ids(store.find("abc")) == ["abc1", "abc1-2"]
        assert single(store.find("abc1"), "abc1", "here").id == "abc1"
        assert ids(store.find("a%")) == ["a%c1"]
        assert ids(store.find("a_c")) == []
        with pytest.raises(UsageError, match="several"):
            single(store.find("ab"), "ab", "here")
        with pytest.raises(UsageError, match="no transfer here"):
            single(store.find("'; DROP TABLE transfer; --"), "x", "here")


def test_verdicts_are_kept_over_scans_and_the_latest_stands(place: str) -> None:
    with open_store(place) as store:
        store.upsert([made()])
        store.judge("aaaa0001", "unsure", "first look", "ann", at=1_767_348_000_000_000)
        store.judge("aaaa0001", "benign", "'); DELETE FROM verdict; --", "bob\0", at=1_767_348_060_000_000)
        (shown,) = store.transfers()
        assert store.upsert([shown]) == Changes(unchanged=1)
        store.upsert([made(seen=("commanded", "run"), score=80)])
        (after,) = store.transfers()
        both = store.verdicts("aaaa0001")
        with pytest.raises(UsageError, match="no transfer"):
            store.judge("aaaa9999", "benign", "", "")
        with pytest.raises(UsageError, match="true_positive"):
            store.judge("aaaa0001", "fine", "", "")

    last = Verdict(verdict="benign", note="'); DELETE FROM verdict; --", by="bob\ufffd", at="2026-01-02T10:01:00Z")
    assert after.score == 80
    assert after.verdict == shown.verdict == last
    assert [one.verdict for one in both] == ["unsure", "benign"]


HOSTILE = "'; DROP TABLE transfer; -- \0 \x1b[2J \u202e \U0001f480 {detail} %s :name \\ \" \r\n"


def test_hostile_text_is_data(place: str) -> None:
    nasty = made("'; DROP TABLE transfer; --", host=HOSTILE, summary=HOSTILE, utility=HOSTILE, logs=(HOSTILE,))
    with open_store(place) as store:
        store.upsert([nasty, made("plain")])
        assert [one for one in store.transfers() if one.id == nasty.id] == [nasty]
        assert ids(store.transfers(Filters(hosts=(HOSTILE,)))) == [nasty.id]
        assert ids(store.transfers(Filters(utility=HOSTILE))) == [nasty.id]
        store.checkpoint([LogInput(log_file=HOSTILE, size=1, digest="x")])
        assert [one.log_file for one in store.inputs()] == [HOSTILE.replace("\0", "\ufffd")]


def test_half_surrogate_pairs_cost_nothing_but_themselves(place: str) -> None:
    with open_store(place) as store:
        store.upsert([made("one", summary="a\ud800b", host="h\udfff")])
        assert store.upsert([made("one", summary="a\ud800b", host="h\udfff")]) == Changes(unchanged=1)
        (found,) = store.transfers()

    assert found.process.command_line == "a?b"


def test_huge_fields_are_kept_whole(place: str) -> None:
    huge = made("huge", summary="A" * 6_000_000, host="h" * 100_000, logs=("l" * 50_000,))
    with open_store(place) as store:
        assert list(store.keep([huge, made("next")]))
        assert ids(store.find("huge")) == ["huge"]
        assert ids(store.transfers(Filters(hosts=("H" * 100_000,)))) == ["huge"]
        assert next(one for one in store.transfers() if one.id == "huge") == huge
        store.checkpoint([LogInput(log_file="l" * 50_000, size=1, digest="x")])


def test_inputs_are_remembered_with_their_accounts(place: str) -> None:
    account = Account(log_file="a.zip!b.evtx", read=3, parsed=2, skipped={"other": 1})
    with open_store(place) as store:
        store.checkpoint([LogInput(log_file="a.zip", size=10, digest="one"), LogInput(log_file="b", size=1, digest="two")])
        assert [one.state for one in store.inputs()] == ["partial", "partial"]
        done = LogInput(log_file="a.zip", size=11, digest="three", state="done", accounts=[account])
        store.checkpoint([done])
        assert list(store.inputs()) == [done, LogInput(log_file="b", size=1, digest="two")]


def test_two_writers_at_once_lose_nothing(place: str) -> None:
    """Both tell the same transfers, each with stages of its own, in opposite orders."""
    base = many(120)
    shown = [made(one.id, seen=("commanded",), logs=("host.evtx",)) for one in base]
    carried = [made(one.id, seen=("carried",), logs=("eve.json",)) for one in reversed(base)]
    open_store(place).close()
    failed: list[BaseException] = []

    def write(transfers: list[Transfer]) -> None:
        try:
            with open_store(place) as store:
                for start in range(0, len(transfers), 7):
                    store.upsert(transfers[start : start + 7])
        except BaseException as error:  # noqa: BLE001 - a thread's error is shown by the test
            failed.append(error)

    writers = [threading.Thread(target=write, args=(transfers,)) for transfers in (shown, carried)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with open_store(place) as store:
        found = list(store.transfers())

    assert failed == []
    assert len(found) == 120
    assert {tuple(sorted(name for name, it in one.stages.items() if it.state == "seen")) for one in found} == {
        ("carried", "commanded")
    }


def test_a_reader_sees_one_state_while_another_writes(place: str) -> None:
    with open_store(place) as reader, open_store(place) as writer:
        writer.upsert(many(300))
        reading = reader.transfers()
        next(reading)
        writer.upsert(many(50, seed=2))
        assert len(list(reading)) == 299
        assert reader.count() == 350
