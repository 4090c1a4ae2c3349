"""What a live engine keeps, on both databases: all of a commit or nothing of it, the outbox in order, what is over removed."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa

from store_writer import made
from tidewaiter.baseline.counters import Cell, Counters
from tidewaiter.errors import StateError, StoreError
from tidewaiter.store import live as live_module
from tidewaiter.store import tables
from tidewaiter.store.live import Commit, LiveStore, Withdrawn
from tidewaiter.store.store import open_store


def _live(place: str) -> LiveStore:
    return LiveStore(open_store(place))


def test_a_commit_is_there_after_a_start(place: str) -> None:
    live = _live(place)
    live.commit(Commit(tick=1, data=b"{}", positions={"logs/a\udcff": b"1"}, cases={"k\0": b"c"}, transfers=[made()]))
    live.commit(Commit(tick=2, data=b"[]", positions={"logs/a\udcff": b"2"}, cases={"k\0": None}))
    live.store.close()
    again = _live(place)
    assert again.positions() == {"logs/a\udcff": b"2"}
    assert list(again.cases()) == []
    assert list(again.ticks(0)) == [(1, b"{}"), (2, b"[]")]
    assert list(again.ticks(1)) == [(2, b"[]")]
    assert [one.id for one in again.store.transfers()] == ["aaaa0001"]
    again.store.close()


def test_a_commit_that_fails_leaves_nothing_behind(place: str) -> None:
    live = _live(place)
    live.commit(Commit(tick=1, data=b"{}"))
    with pytest.raises(StoreError):
        live.commit(Commit(tick=1, data=b"{}", positions={"a": b"1"}, transfers=[made()]))
    assert live.positions() == {}
    assert live.store.count() == 0
    assert live.after(0, 10) == []
    [delivery] = live.commit(Commit(tick=2, data=b"{}", transfers=[made()]))
    assert (delivery.sequence, delivery.change) == (1, "new")
    live.store.close()


def test_changes_become_deliveries_with_revisions(place: str) -> None:
    live = _live(place)
    first = live.commit(Commit(tick=1, transfers=[made(score=70), made("bbbb0002", score=10)]))
    same = live.commit(Commit(tick=2, transfers=[made(score=70)]))
    more = live.commit(Commit(tick=3, transfers=[made(seen=("commanded", "landed"), score=20)]))
    gone = live.commit(Commit(tick=4, withdrawn=[Withdrawn("bbbb0002", "aaaa0001"), Withdrawn("never told")]))
    back = live.commit(Commit(tick=5, transfers=[made("bbbb0002")]))
    told = [
        (one.sequence, one.id, one.revision, one.change, one.superseded_by, one.highest) for one in first + more + gone + back
    ]
    high = first[0].transfer.severity if first[0].transfer else ""
    low = first[1].transfer.severity if first[1].transfer else ""
    assert same == []
    assert told == [
        (1, "aaaa0001", 1, "new", None, high),
        (2, "bbbb0002", 1, "new", None, low),
        (3, "aaaa0001", 2, "update", None, high),
        (4, "bbbb0002", 2, "withdrawn", "aaaa0001", low),
        (5, "bbbb0002", 3, "update", None, back[0].highest),
    ]
    assert live.after(0, 100) == first + more + gone + back
    live.store.close()


def test_verdicts_follow_a_transfer_into_the_one_that_it_went_into(place: str) -> None:
    live = _live(place)
    live.commit(Commit(tick=1, transfers=[made(), made("bbbb0002")]))
    live.store.judge("bbbb0002", "benign", "known", "ann")
    live.commit(Commit(tick=2, withdrawn=[Withdrawn("bbbb0002", "aaaa0001")]))
    assert [one.verdict for one in live.store.verdicts("aaaa0001")] == ["benign"]
    assert [one.id for one in live.store.transfers()] == ["aaaa0001"]
    live.store.close()


def test_states_stand_for_the_ticks_up_to_them(place: str) -> None:
    live = _live(place)
    for number in range(1, 6):
        live.commit(Commit(tick=number, data=b"{}"))
    counted = Counters()
    counted.cells["domain"] = {("files.example.com", "ws01"): Cell(1.0, 0, 86_400_000_000)}
    live.keep_states(3, [("a", b"1"), ("b", b"2")], counted)
    live.keep_states(3, [("a", None), ("b", b"3")], Counters())
    assert dict(live.states()) == {"b": b"3"}
    assert [number for number, _ in live.ticks(3)] == [4, 5]
    assert live.store.history.known("domain", "files.example.com", "ws01") is not None
    live.store.close()


def test_ticks_that_states_stand_for_go_by_and_by(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_SPENT_AT_ONCE", 2)
    live = _live(place)
    for number in range(1, 6):
        live.commit(Commit(tick=number, data=b"{}"))
    live.keep_states(3, [], Counters())
    live.commit(Commit(tick=6))
    assert [number for number, _ in live.ticks(0)] == [3, 4, 5]
    live.commit(Commit(tick=7))
    live.commit(Commit(tick=8))
    assert [number for number, _ in live.ticks(0)] == [4, 5]
    live.store.close()


def test_what_is_kept_is_small_and_damage_is_told(place: str) -> None:
    live = _live(place)
    long = msgspec.json.encode({"rows": ["the same again"] * 10_000})
    live.commit(Commit(tick=1, data=long))
    live.keep_states(0, [("a", long)], Counters())
    assert list(live.ticks(0)) == [(1, long)]
    assert dict(live.states()) == {"a": long}
    with live.store.database.writing() as connection:
        for table in (tables.live_tick, tables.live_state):
            [data] = connection.execute(sa.select(table.c.data)).scalars()
            assert len(data) < len(long) // 10
            connection.execute(table.update().values(data=bytes(data)[:-9]))
    with pytest.raises(StateError, match="damaged"):
        list(live.ticks(0))
    with pytest.raises(StateError, match="damaged"):
        list(live.states())
    with live.store.database.writing() as connection:  # as before they were deflated
        connection.execute(tables.live_tick.update().values(data=long))
    assert list(live.ticks(0)) == [(1, long)]
    live.store.close()


def test_the_outbox_goes_on_where_each_sink_is(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    live = _live(place)
    live.commit(Commit(tick=1, transfers=[made("0000")]))
    assert live.cursor("late") == 1  # a new sink is told what comes from now on
    live.commit(Commit(tick=2, transfers=[made(f"{number:04}") for number in range(1, 9)]))
    live.acknowledge("late", 5)
    assert live.cursor("other") == 9
    assert live.prune(["late", "other"]) == 0
    assert [one.sequence for one in live.after(0, 100)] == [6, 7, 8, 9]
    monkeypatch.setattr(live_module, "OUTBOX_KEPT", 2)
    assert live.prune(["late"]) == 2
    assert [one.sequence for one in live.after(0, 100)] == [8, 9]
    live.store.close()
    again = _live(place)
    [delivery] = again.commit(Commit(tick=3, transfers=[made("zzzz")]))
    assert delivery.sequence == 10
    again.store.close()


def test_numbers_go_on_after_the_whole_outbox_was_delivered(place: str) -> None:
    live = _live(place)
    live.commit(Commit(tick=1, transfers=[made()]))
    live.acknowledge("sink", 1)
    live.prune(["sink"])
    live.store.close()
    again = _live(place)
    [delivery] = again.commit(Commit(tick=2, transfers=[made("bbbb0002")]))
    assert delivery.sequence == 2
    again.store.close()


def test_a_delivery_is_json_in_the_table(place: str) -> None:
    live = _live(place)
    live.commit(Commit(tick=1, transfers=[made()]))
    with live.store.database.reading() as connection:
        data = connection.execute(sa.select(tables.outbox.c.data)).scalar_one()
    assert msgspec.json.decode(bytes(data))["id"] == "aaaa0001"
    live.store.close()
