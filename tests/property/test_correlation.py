"""Correlation is a fold: how rows are cut, filed and ordered must not matter."""

from __future__ import annotations

import random
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from property.worlds import ACTS, START, event_of, histories, rows_of, told
from tidewaiter.pipeline import rows as pipeline_rows
from tidewaiter.pipeline.rows import Row, Run, append_run, merge, read_run, write_run
from tidewaiter.schema.event import EventKind
from tidewaiter.schema.transfer import STAGES, Transfer

ENOUGH = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shape(transfers: list[Transfer]) -> list[tuple[str, str | None, tuple[str, ...]]]:
    """Ids, destinations and stages."""
    return sorted((one.id, one.dst.path, tuple(one.stages[stage].state for stage in STAGES)) for one in transfers)


@ENOUGH
@given(histories(), st.randoms(use_true_random=False))
def test_cutting_the_rows_anywhere_changes_nothing(rows: list[Row], chance: random.Random) -> None:
    cuts = sorted(chance.choices(range(len(rows) + 1), k=chance.randrange(1, 8)))
    steps = [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]

    assert told(steps) == told([rows])


@ENOUGH
@given(histories())
def test_a_row_at_a_time_is_the_same_as_all_at_once(rows: list[Row]) -> None:
    assert told([[row] for row in rows]) == told([rows])


def test_histories_do_hold_transfers() -> None:
    command = ("curl", "-o", "/tmp/a", "http://192.0.2.7/a")
    start = {"kind": EventKind.PROCESS_START, "pid": 610, "process_path": "/usr/bin/curl", "argv": command}
    landed = {"kind": EventKind.FILE_CREATE, "pid": 610, "file_path": "/tmp/a"}
    rows = rows_of([event_of(start, START, 1), event_of(landed, START + 1, 2)])
    (transfer,) = told([rows])

    assert transfer.stages["landed"].state == "seen"


@ENOUGH
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_runs_and_how_rows_are_spread_over_them_changes_nothing(rows: list[Row], chance: random.Random) -> None:
    groups: list[list[Row]] = [[] for _ in range(4)]
    for row in rows:
        groups[chance.randrange(4)].append(row)
    chance.shuffle(groups)
    for group in groups:
        chance.shuffle(group)
    sorted_groups = [sorted(group, key=lambda row: row.order) for group in groups]
    merged = sorted((row for group in sorted_groups for row in group), key=lambda row: row.order)

    assert told([merged]) == told([rows])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from(("x.log", "y.log"))), max_size=60),
    st.integers(1, 90),
    st.sampled_from((1, 2, 5, 256)),
)
def test_merging_runs_is_sorting(tmp_path: Path, keys: list[tuple[str, int, str]], count: int, block: int) -> None:
    runs: list[list[Row]] = [[] for _ in range(count)]
    everything = []
    for number, (host, time, log) in enumerate(keys):
        event = event_of({"kind": EventKind.FILE_CREATE, "file_path": "/tmp/a"}, time, number, log)
        row = Row(host, time, f"{log}#{number:09}", event)
        everything.append(row)
        runs[number * 7 % count].append(row)
    files: list[Run] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_rows, "BLOCK", block)
        together = tmp_path / "together.run"
        together.write_bytes(b"what a worker could not finish writing")
        for number, run in enumerate(runs):
            if number % 3:
                files.append(append_run(together, run))
            else:
                write_run(tmp_path / f"{number}.run", run)
                files.append(tmp_path / f"{number}.run")

        assert list(read_run(files[0])) == sorted(runs[0], key=lambda row: row.order)
        merged = [(host, [one.read() for batch in batches for one in batch]) for host, batches in merge(files, tmp_path)]
        everything.sort(key=lambda row: row.order)
        assert merged == [(host, [row.event for row in group]) for host, group in groupby(everything, key=lambda row: row.host)]


def test_rows_of_one_log_keep_their_order_within_one_moment() -> None:
    fields = {"kind": EventKind.FILE_CREATE, "file_path": "/tmp/a", "pid": 610}
    rows = rows_of([event_of(fields, START, number) for number in (1000, 9, 99, 10)])

    assert [row.event.record for row in rows] == ["9", "10", "99", "1000"]


@ENOUGH
@given(st.lists(ACTS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_names_of_the_logs_change_nothing(acts: list[dict[str, object]], chance: random.Random) -> None:
    logs = ["a.log", "b.log", "c.log"]
    placed = [(fields, START + place * 7_000_000, chance.choice(logs)) for place, fields in enumerate(acts)]
    renamed = dict(zip(logs, ["z.log", "y.log", "x.log"], strict=True))
    first = rows_of([event_of(fields, time, number, log) for number, (fields, time, log) in enumerate(placed, 1)])
    second = rows_of([event_of(fields, time, number, renamed[log]) for number, (fields, time, log) in enumerate(placed, 1)])

    assert shape(told([first])) == shape(told([second]))
