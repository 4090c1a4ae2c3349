"""Flows that wait as columns: whatever they are kept in and however much of it there is, the transfers are the same."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tidewaiter.baseline.flows import FlowBaseline, Sides
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline import dormant, inputs, run
from tidewaiter.pipeline.dormant import Asleep, Sleeper, append_run, beside, woven
from tidewaiter.pipeline.inputs import InputLimits
from tidewaiter.pipeline.rows import Extent, Run, merge, row_of
from tidewaiter.pipeline.rows import write_run as write_rows
from tidewaiter.pipeline.run import ItemReader, WireCases, correlate
from tidewaiter.schema.batch import FlowRow, flow_event
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.transfer import Transfer

sys.path.append(str(Path(__file__).parent.parent.parent / "bench"))
import generate_wire


class _WithoutRows(ItemReader):
    keeps_rows = False


def scan(logs: Path, work_dir: Path, *, rows: bool) -> tuple[list[Transfer], int]:
    """The transfers of sensor logs, and in how many runs flows waited."""
    work_dir.mkdir()
    reader = (ItemReader if rows else _WithoutRows)(work_dir, "test")
    usual = FlowBaseline()
    runs: list[Run] = []
    waiting: list[Extent] = []
    for item in inputs.plan([str(logs)], InputLimits()):
        done = reader.read(item)
        assert all(account.balanced for account in done.accounts)
        usual.merge(done.usual)
        runs += done.runs
        waiting += done.dormant
    found = correlate(runs, work_dir, {}, {}, Judge(), WireCases(usual), waiting=waiting)
    return sorted(found, key=lambda one: (one.time or "", one.id)), len(waiting)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What two sensors saw of so few hosts that most of their pairs have files and flows."""
    monkeypatch.setattr(generate_wire, "CLIENTS", 6)
    monkeypatch.setattr(generate_wire, "SERVERS", 40)
    folder = tmp_path / "logs"
    folder.mkdir()
    generate_wire.eve(folder / "eve.json", 900_000)
    generate_wire.zeek(folder, 500_000, as_json=True)
    return folder


def test_flows_that_wait_change_nothing(logs: Path, tmp_path: Path) -> None:
    whole, none = scan(logs, tmp_path / "whole", rows=False)
    waited, some = scan(logs, tmp_path / "waited", rows=True)

    assert (none, some > 0) == (0, True)
    assert waited == whole
    assert any("flow" in row.summary for one in whole for row in one.evidence)


def test_small_bounds_change_nothing(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = scan(logs, tmp_path / "whole", rows=False)
    for name, value in (("BLOCK", 3), ("FAN_IN", 2), ("HELD", 2)):
        monkeypatch.setattr(dormant, name, value)
    monkeypatch.setattr(run, "FLOWS_IN_MEMORY", 20)
    waited, some = scan(logs, tmp_path / "waited", rows=True)

    assert some > 4
    assert waited == whole


def flow(time: int, record: int, server: str = "198.51.100.7", got: int = 90_000) -> FlowRow:
    return FlowRow(
        time,
        str(record),
        "10.0.0.1",
        50_000,
        server,
        443,
        "tcp",
        "tls",
        900,
        got,
        None,
        f"f{record}",
        None,
        None,
        {"state": "new"},
    )


@pytest.mark.parametrize("seed", range(8))
def test_events_are_woven_in_the_order_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(dormant, "HELD", chance.choice((2, 1_000)))
    monkeypatch.setattr("tidewaiter.pipeline.rows.BLOCK", chance.choice((1, 2, 5, 256)))
    rows = [flow(chance.randrange(1, 12), number) for number in range(chance.randrange(40))]
    others = [
        Event(
            kind=EventKind.HTTP, time=chance.randrange(1, 12), log_source="x", log_file=chance.choice("az"), record=str(number)
        )
        for number in range(chance.randrange(40))
    ]
    write_rows(tmp_path / "rows.run", [row_of("wire:g", event, ()) for event in others])
    asleep = Asleep("wire:g", tmp_path, None)
    for row in rows:
        asleep.take([("x", "l", None, list(row))])
    batches = next((batches for _, batches in merge([tmp_path / "rows.run"], tmp_path)), iter(())) if others else iter(())
    told = list(woven(batches, asleep))

    expected = sorted([*others, *(flow_event("x", "l", row) for row in rows)], key=lambda one: row_of("", one, ()).order)
    assert all(told)
    assert [event for batch in told for event in batch] == expected


def test_groups_come_between_hosts_in_the_order_of_names(tmp_path: Path) -> None:
    groups = ("wire::a|b", "wire::a|c", "wire::b|c")
    sleepers = [Sleeper(group, "x", "l", "tls" if group == groups[1] else None, flow(5, 1)) for group in reversed(groups)]
    runs = [append_run(tmp_path / "all.flows", some) for some in (sleepers[:2], sleepers[2:])]
    write_rows(
        tmp_path / "rows.run",
        [row_of(host, flow_event("x", "l", flow(7, 2)), ()) for host in ("host", groups[1], "wire::a|d", "z")],
    )
    found = [
        (host, len(list(batches)), asleep is not None, asleep is not None and asleep.stand_out)
        for host, batches, asleep in beside(
            merge([tmp_path / "rows.run"], tmp_path), runs, tmp_path, lambda: Sides(FlowBaseline())
        )
    ]

    assert found == [
        ("host", 1, False, False),
        (groups[0], 0, True, False),
        (groups[1], 1, True, True),  # nobody knows the usual of its service
        ("wire::a|d", 1, False, False),
        (groups[2], 0, True, False),
        ("z", 1, False, False),
    ]
