"""A live engine gives what a scan gives, however the rows are cut into ticks, wherever it was stopped and taken up again."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from live_feed import mixed
from tidewaiter.engines.watch_state import State, tick_of
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.live_cases import LiveCases
from tidewaiter.pipeline.live_facts import LiveFacts
from tidewaiter.pipeline.live_folds import LiveFolds, Rule
from tidewaiter.pipeline.live_reading import Facts, LiveReader, LiveRow, Piece
from tidewaiter.store.live import Commit, LiveStore
from tidewaiter.store.store import open_store

LATENESS = 3_000_000


@functools.cache
def _read() -> tuple[list[LiveRow], Facts]:
    """All rows of a feed, in time order, and the facts of all of them."""
    logs: dict[str, str] = {}
    for line in mixed(20, rate=20):
        logs[line.log] = logs.get(line.log, "") + line.text
    rows: list[LiveRow] = []
    facts = LiveFacts()
    with tempfile.TemporaryDirectory() as folder:
        reader = LiveReader(Path(folder), "all")
        for name, text in logs.items():
            read = reader.read(Piece(log_file=f"logs/{name}", data=text.encode(), head=text.encode()[:65_536], final=True))
            rows += read.rows
            facts.learn(read.facts)
    rows.sort(key=lambda row: row.order)
    rows.sort(key=lambda row: row.time)
    return rows, facts.told()


def _state() -> State:
    facts = LiveFacts()
    return State(LiveFolds(facts), LiveCases(Judge(facts.memory), facts.addresses))


class _Engine:
    """As much of an engine as turns rows into records: with a store, stopped and taken up again as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder / "live.db")
        self.take_up()

    def take_up(self) -> None:
        """Go on from what is kept."""
        self.store = open_store(self.place)
        self.live = LiveStore(self.store)
        self.state = _state()
        self.state.resume(self.live)

    def tick(self, rows: list[LiveRow], facts: Facts, rule: Rule, *, sweep: int | None = None, anew: bool = False) -> None:
        """One tick, committed."""
        pieces = [(msgspec.json.encode(facts), msgspec.json.encode(rows))]
        tick = tick_of(rule, sweep, pieces)
        data = msgspec.json.encode(tick)
        number = self.state.tick + 1
        self.state.apply(number, tick)
        if anew:
            self.state.folds.touch_all()
            self.state.cases.judge_anew()
        cases = self.state.cases
        cases.take(self.state.folds.changes(all_now=True))
        told = list(cases.tell())
        changed, cases.changed = cases.changed, set()
        kept = {key: None if (one := cases.kept(key)) is None else msgspec.json.encode(one) for key in changed}
        from tidewaiter.store.live import Withdrawn

        self.live.commit(
            Commit(
                tick=number,
                data=data,
                cases=kept,
                transfers=[one.transfer for one in told if one.transfer is not None],
                withdrawn=[Withdrawn(one.id, one.superseded_by) for one in told if one.transfer is None],
            )
        )

    def found(self) -> list[dict[str, Any]]:
        """The records in the store."""
        return sorted((msgspec.to_builtins(one) for one in self.store.transfers()), key=lambda one: str(one["id"]))


@functools.cache
def _at_once() -> list[dict[str, Any]]:
    """What one tick with all rows gives."""
    rows, facts = _read()
    with tempfile.TemporaryDirectory() as folder:
        engine = _Engine(Path(folder))
        engine.tick(rows, facts, Rule(1 << 62, -1), anew=True)
        found = engine.found()
        engine.store.close()
    assert len(found) >= 30
    return found


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_cut_within_the_lateness_and_any_stop_gives_the_same(data: st.DataObject) -> None:
    rows, facts = _read()
    late = data.draw(st.lists(st.integers(0, LATENESS), min_size=len(rows), max_size=len(rows)), label="lateness")
    coming = sorted(range(len(rows)), key=lambda place: (rows[place].time + late[place], place))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=8), label="cuts"))
    stops = data.draw(st.sets(st.integers(0, len(cuts))), label="stops")
    kept = data.draw(st.sets(st.integers(0, len(cuts))), label="kept")
    some_kept = data.draw(st.dictionaries(st.integers(0, len(cuts)), st.integers(1, 6)), label="some kept")
    with tempfile.TemporaryDirectory() as folder:
        engine = _Engine(Path(folder))
        start, newest = 0, 0
        for turn, end in enumerate([*cuts, len(rows)]):
            part = [rows[place] for place in coming[start:end]]
            newest = max([newest, *(row.time for row in part)])
            start = end
            sure = Rule(newest - LATENESS - 1, -1) if end < len(rows) else Rule(1 << 62, -1)
            engine.tick(part, facts if turn == 0 else Facts(), sure, anew=end == len(rows))
            if turn in kept:
                engine.state.keep(engine.live)
            for _ in range(some_kept.get(turn, 0)):
                engine.state.keep_some(engine.live, 0.0)  # one state
            if turn in stops:
                engine.store.close()
                engine.take_up()
        found = engine.found()
        engine.store.close()
    assert found == _at_once()
