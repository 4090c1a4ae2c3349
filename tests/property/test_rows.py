"""Rows of many runs come in one order, however their times meet and wherever their blocks end."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.pipeline import rows
from tidewaiter.pipeline.rows import Row, row_of, write_run
from tidewaiter.schema.event import Event, EventKind


def _row(host: str, time: int, log: str, record: int, run: int) -> Row:
    event = Event(
        kind=EventKind.FILE_CREATE, time=time, log_source="linux_sysmon", log_file=log, record=str(record), pid=run, host=host
    )
    return row_of(host, event, ())


ROWS = st.tuples(st.sampled_from(["web01", "ws02"]), st.integers(1, 6), st.sampled_from(["a.log", "b.log"]), st.integers(1, 9))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(runs=st.lists(st.lists(ROWS, min_size=1, max_size=12), min_size=1, max_size=5), block=st.integers(1, 4))
def test_runs_merge_in_the_order_of_their_rows(tmp_path: Path, runs: list[list[tuple[str, int, str, int]]], block: int) -> None:
    every: list[Row] = []
    paths = []
    with patch.object(rows, "BLOCK", block):
        for number, told in enumerate(runs):
            held = [_row(*one, number) for one in told]
            every += held
            paths.append(tmp_path / f"{number}.run")
            write_run(paths[-1], held)
        came = [
            (host, glimpse.read().id, glimpse.pid)
            for host, batches in rows.merge(paths, tmp_path)
            for few in batches
            for glimpse in few
        ]

    ordered = sorted(every, key=lambda row: (*row.order, row.event.pid))
    assert came == [(row.host, row.event.id, row.event.pid) for row in ordered]
