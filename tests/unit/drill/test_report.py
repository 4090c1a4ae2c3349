"""What is said of a method: which stages were seen, and why others were not."""

from __future__ import annotations

import io
import json

import pytest

from tidewaiter.catalog.drill import DRILLED, Method
from tidewaiter.cli.drill_page import write_page
from tidewaiter.drill.lookout import Sighting
from tidewaiter.drill.perform import Performed
from tidewaiter.drill.report import MethodReport, not_run, proven, told
from tidewaiter.schema.transfer import (
    STAGES,
    Device,
    EvidenceRow,
    File,
    Landing,
    Origin,
    Process,
    StageRecord,
    Transfer,
)

METHOD = Method(
    id="scp", utility="scp", protocol="ssh", server="ssh", programs=("scp",), fetch=("scp",), why={"carried": "encrypted"}
)
DONE = Performed(command=["scp", "-q", "a b"], started=1_800_000_000.25, landed=True, path="/tmp/x", sha256="ab" * 32)


def record(identity: str, sources: tuple[str, ...], **states: str) -> Transfer:
    stages = {name: StageRecord(state=states.get(name, "not_seen")) for name in STAGES}  # type: ignore[arg-type]
    rows = [EvidenceRow(log_file="x", record="1", time=None, log_source=name, summary="") for name in sources]
    parts = {"device": Device(), "process": Process(), "src": Origin(), "dst": Landing(), "file": File()}
    return Transfer(id=identity, time=None, utility="scp", stages=stages, evidence=rows, **parts)  # type: ignore[arg-type]


def sighting(*records: Transfer) -> Sighting:
    return Sighting(records={one.id: one for one in records}, first=1_800_000_002.0, last=1_800_000_004.5)


def states(report: MethodReport) -> list[str]:
    return [report.stages[stage].state for stage in DRILLED]


def test_a_joined_record_tells_its_stages_and_delays() -> None:
    both = record("a" * 12, ("linux_auditd", "suricata_eve"), commanded="seen", landed="seen", carried="not_visible")
    report = told(METHOD, DONE, sighting(both))

    assert (report.record, report.records, report.joined, report.utility_seen) == ("a" * 12, ["a" * 12], True, "scp")
    assert (report.started, report.delay, report.complete) == ("2027-01-15T08:00:00.250000Z", 1.75, 4.25)
    assert report.command == "scp -q 'a b'"
    assert states(report) == ["seen", "not_seen", "not_visible", "seen", "not_seen", "not_seen"]
    assert report.stages["commanded"].why == ""
    assert report.stages["carried"].why == "encrypted"
    assert report.stages["connected"].why == "logs that would show it are there and do not"


def test_a_stage_in_a_record_of_its_own_is_told_as_not_joined() -> None:
    host = record("a" * 12, ("linux_auditd",), commanded="seen", landed="seen")
    wire = record("b" * 12, ("suricata_eve",), carried="seen")
    report = told(METHOD, DONE, sighting(wire, host))

    assert (report.record, report.records, report.joined) == ("a" * 12, ["a" * 12, "b" * 12], False)
    assert report.stages["carried"].why == f"seen in the record {'b' * 12}, which was not joined with this one"


def test_no_record_is_told_for_every_stage() -> None:
    report = told(METHOD, DONE, None)

    assert (report.record, report.delay, states(report)) == (None, None, ["no_record"] * 6)
    assert report.stages["commanded"].why == "no record of this transfer"


def test_a_deployment_is_proven_where_everything_that_was_run_landed_and_has_a_record() -> None:
    seen = told(METHOD, DONE, sighting(record("a" * 12, ("linux_auditd",), commanded="seen")))
    lost = told(METHOD, Performed(command=["scp"]), sighting(record("a" * 12, ("linux_auditd",), commanded="seen")))
    left_out = not_run(METHOD, "not installed: scp")

    assert proven([seen, left_out])
    assert not proven([seen, told(METHOD, DONE, None)])
    assert not proven([seen, lost])
    assert not proven([left_out])
    assert not proven([])


@pytest.fixture
def reports() -> list[MethodReport]:
    both = record("a" * 12, ("linux_auditd", "suricata_eve"), commanded="seen", landed="seen", carried="not_visible")
    bad = Performed(command=["scp"], problem="scp brought nothing (exit code 1): \x1b[31mred\u202e")
    return [told(METHOD, DONE, sighting(both)), told(METHOD, bad, None), not_run(METHOD, "not installed: scp")]


def test_the_page_says_it_all_and_is_safe_to_look_at(reports: list[MethodReport]) -> None:
    stream = io.StringIO()
    write_page(reports, stream, "table")
    page = stream.getvalue()

    assert "a" * 12 in page
    assert "host + network" in page
    assert "1.8 s" in page
    assert "carried (not visible) by scp: encrypted" in page
    assert "No record at all: scp" in page
    assert "not installed: scp" in page
    assert "2 methods run, 1 with a record, 1 of them with host and network joined; delay 1.8 s (median), 1.8 s at most" in page
    assert "\\x1b[31mred\\u202e" in page
    assert "\x1b" not in page


def test_where_nothing_at_all_was_seen_the_page_asks_for_the_watch() -> None:
    stream = io.StringIO()
    write_page([told(METHOD, DONE, None)], stream, "table")

    assert "does the watch run?" in " ".join(stream.getvalue().split())


def test_lines_of_json_hold_every_method(reports: list[MethodReport]) -> None:
    stream = io.StringIO()
    write_page(reports, stream, "jsonl")
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]

    assert [row["command"] for row in rows] == ["scp -q 'a b'", "scp", None]
    assert [row["stages"]["run"]["state"] for row in rows] == ["not_seen", "no_record", "not_run"]
    assert set(rows[0]) >= {"method", "utility", "command", "started", "landed", "record", "delay", "stages"}
