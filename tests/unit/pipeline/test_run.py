"""Work items to runs and accounts, and rows to transfers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from log_writer import Audit, Windows
from tidewaiter.errors import DamagedError
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline import run
from tidewaiter.pipeline.inputs import InputLimits, WorkItem, plan
from tidewaiter.pipeline.rows import read_run, row_of, write_run
from tidewaiter.pipeline.run import ItemReader, ItemResult, correlate, place
from tidewaiter.pipeline.years import folder_of
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind, decode, encode


def read(work_dir: Path, *paths: Path) -> list[ItemResult]:
    reader = ItemReader(work_dir, "test")
    return [reader.read(item) for item in plan([str(path) for path in paths], InputLimits())]


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_an_item_gives_an_account_runs_and_what_its_host_can_show(tmp_path: Path, work_dir: Path) -> None:
    log = Audit("web1.example.com")
    log.run(0, 610, "curl", "-o", "/tmp/a", "http://files.example.org/a")
    log.create(1, 610, "/tmp/a")
    (tmp_path / "audit.log").write_text(log.text())
    (result,) = read(work_dir, tmp_path / "audit.log")

    assert [account.recognised_as for account in result.accounts] == ["linux_auditd"]
    assert result.accounts[0].balanced
    assert (result.accounts[0].first, result.accounts[0].last) == (1_767_348_000_000_000, 1_767_348_001_000_000)
    assert result.kinds == {"web1": ["process_start:command_line", "file_create"]}
    assert result.names == {"web1": "web1.example.com"}
    assert result.folders == {str(tmp_path): ["web1"]}
    (found,) = result.runs
    assert [row.event.kind for row in read_run(found)] == [EventKind.PROCESS_START, EventKind.FILE_CREATE]
    assert [len(row.findings) for row in read_run(found)] == [1, 0]


def test_many_rows_are_spilled_in_several_runs(tmp_path: Path, work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROWS_IN_MEMORY", 10)
    for number in range(3):
        log = Windows(f"ws{number}.example.com")
        for second in range(25):
            log.file(second, 4100, f"C:\\Temp\\{second}.txt")
        log.start(30, 4200, "C:\\Windows\\System32\\curl.exe", "curl -o C:\\Temp\\a.exe http://files.example.org/a.exe")
        (tmp_path / f"{number}.json").write_text(log.text())
    results = read(work_dir, *sorted(tmp_path.glob("*.json")))
    runs = [one for result in results for one in result.runs]
    kinds = {host: set(shown) for result in results for host, shown in result.kinds.items()}

    assert len(runs) == len(set(runs)) >= 3
    assert sum(1 for one in runs for _ in read_run(one)) == 78
    found = list(correlate(runs, work_dir, kinds, {}, Judge()))
    assert [transfer.device.hostname for transfer in found] == ["ws0", "ws1", "ws2"]


def test_the_fault_of_a_reader_costs_its_file_only(tmp_path: Path, work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = ItemReader._events

    def faulty(self: ItemReader, family: str, name: str, opened: Any, account: Account) -> Iterator[list[Event]]:
        yield from original(self, family, name, opened, account)
        if opened.log_file.endswith("fault.log"):
            raise ZeroDivisionError("a fault of ours")
        if opened.log_file.endswith("damage.log"):
            raise DamagedError(opened.log_file, "byte 17", "breaks off")

    monkeypatch.setattr(ItemReader, "_events", faulty)
    log = Audit()
    log.run(0, 610, "curl", "-o", "/tmp/a", "http://files.example.org/a")
    for name in ("damage", "fault", "good"):
        (tmp_path / f"{name}.log").write_text(log.text())
    accounts = {Path(one.log_file).stem: one for result in read(work_dir, *tmp_path.glob("*.log")) for one in result.accounts}

    assert all(account.balanced for account in accounts.values())
    assert [(damage.place, damage.problem) for damage in accounts["damage"].damage] == [("byte 17", "breaks off")]
    assert accounts["fault"].damage[0].place == "reader"
    assert "a fault of ours" in accounts["fault"].damage[0].problem
    assert accounts["good"].damage == []
    assert all(account.parsed for account in accounts.values()), "what was read before stays"


def test_content_that_nobody_knows_is_named(tmp_path: Path, work_dir: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of interest")
    (tmp_path / "net.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(60))
    reports = {Path(one.log_file).name: one.problem for result in read(work_dir, tmp_path) for one in result.unreadable}

    assert set(reports) == {"notes.txt", "net.pcap"}
    assert all(reports.values())


def test_a_problem_of_planning_is_passed_on(work_dir: Path) -> None:
    (item,) = plan([str(work_dir / "missing")], InputLimits())
    result = ItemReader(work_dir, "test").read(item)

    assert isinstance(item, WorkItem)
    assert [report.log_file for report in result.unreadable] == [str(work_dir / "missing")]


@pytest.mark.parametrize(
    ("log_file", "folder"),
    [
        ("/a/b/c.log", "/a/b"),
        ("c.log", ""),
        ("/a/b.zip!x/y.log", "/a/b.zip"),
        (r"C:\e\c.log", "C:/e"),
        ("a.zip!b.zip!c", "a.zip!b.zip"),
    ],
)
def test_the_folder_of_a_log_is_its_archive(log_file: str, folder: str) -> None:
    assert folder_of(log_file) == folder


def test_rows_without_a_host_belong_to_the_one_host_of_their_folder(tmp_path: Path) -> None:
    def event(log_file: str) -> Event:
        return Event(kind=EventKind.SHELL_COMMAND, time=1, log_source="linux_shell_history", log_file=log_file, record="1")

    logs = ["one/history", "two/history", "alone/history"]
    write_run(tmp_path / "a.run", [row_of(f"file:{log}", event(log), ()) for log in logs])
    placed = list(place([tmp_path / "a.run"], {"one": {"web1"}, "two": {"web1", "web2"}}))

    assert {row.event.log_file: row.host for path in placed for row in read_run(path)} == {
        "one/history": "web1",
        "two/history": "file:two/history",
        "alone/history": "file:alone/history",
    }


def test_a_number_of_more_than_64_bits_costs_no_file() -> None:
    event = Event(
        kind=EventKind.HTTP, time=1, log_source="x", log_file="x", record="1", url="http://192.0.2.1/a", file_size=1 << 70,
        pid=7, extra={"range": {"end": [1 << 64, 5]}, "flag": True},
    )  # fmt: skip
    again = decode(encode(event))
    assert (again.file_size, again.pid, again.url) == (None, 7, event.url)
    assert again.extra == {"range": {"end": [hex(1 << 64), 5]}, "flag": True}
    assert event.file_size == 1 << 70, "the event stays as it was"
