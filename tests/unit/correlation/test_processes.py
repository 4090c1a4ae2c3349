"""Which process acts in an event."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.correlation import processes
from tidewaiter.correlation.glimpse import Glimpse, glimpse_of
from tidewaiter.correlation.processes import Process, Processes
from tidewaiter.schema.event import Event, EventKind

SECOND = 1_000_000


def event(kind: EventKind, seconds: float, **fields: Any) -> Glimpse:
    fields.setdefault("log_source", "windows_sysmon")
    return glimpse_of(Event(kind=kind, time=int(seconds * SECOND), log_file="x", record="1", **fields), ())


def start(seconds: float, pid: int, path: str = "/usr/bin/a", **fields: Any) -> Glimpse:
    return event(EventKind.PROCESS_START, seconds, pid=pid, process_path=path, **fields)


def of(known: Processes, one: Glimpse) -> Process:
    found = known.of(one)
    assert found is not None
    return found


def test_a_pid_means_the_process_that_started_last_under_it() -> None:
    known = Processes()
    first = of(known, start(0, 7, "/usr/bin/curl"))
    assert known.of(event(EventKind.FILE_CREATE, 1, pid=7)) is first
    second = of(known, start(100, 7, "/usr/bin/vim"))

    assert second is not first
    assert known.of(event(EventKind.FILE_CREATE, 101, pid=7)) is second
    assert second.program == "vim"


def test_a_guid_is_stronger_than_a_pid() -> None:
    known = Processes()
    first = of(known, start(0, 7, process_key="{a}"))
    second = of(known, start(50, 7, process_key="{b}"))

    assert known.of(event(EventKind.CONNECTION, 60, pid=7, process_key="{a}")) is first
    assert known.of(event(EventKind.CONNECTION, 60, pid=7, process_key="{b}")) is second
    assert known.of(event(EventKind.CONNECTION, 60, pid=7, process_key="{c}")) not in (first, second)


@pytest.mark.parametrize(
    ("later", "same"),
    [
        ({"log_source": "windows_security"}, True),
        ({"log_source": "windows_security", "seconds": 10}, False),
        ({"log_source": "windows_security", "path": "C:\\Windows\\other.exe"}, False),
        ({"log_source": "windows_sysmon", "process_key": "{b}"}, False),
    ],
    ids=["two sensors", "much later", "another program", "another guid"],
)
def test_two_reports_of_one_start(later: dict[str, Any], same: bool) -> None:
    known = Processes()
    first = of(known, start(0, 7, "C:\\Windows\\curl.exe", process_key="{a}"))
    fields = {"seconds": 0.5, "path": "C:\\WINDOWS\\curl.exe", **later}
    again = known.of(start(fields.pop("seconds"), 7, fields.pop("path"), **fields))

    assert (again is first) is same


def test_lineage_goes_up_through_parents_that_were_never_seen_starting() -> None:
    known = Processes()
    shell = of(known, start(0, 10, "/usr/bin/bash", parent_pid=5, parent_path="/usr/sbin/sshd"))
    child = of(known, start(1, 11, "/usr/bin/sh", parent_pid=10))
    grandchild = of(known, start(2, 12, "/usr/bin/curl", parent_pid=11))

    assert [one.program for one in grandchild.lineage()] == ["curl", "sh", "bash", "sshd"]
    assert grandchild.lineage(2) == [grandchild, child]
    assert shell.parent is not None
    assert not shell.parent.seen_start


def test_lineage_ends_where_a_pid_is_its_own_ancestor() -> None:
    known = Processes()
    one = of(known, start(0, 10, parent_pid=10))
    one.parent = one

    assert one.lineage() == [one]


def test_acts_before_the_start_belong_to_the_process_that_the_sensor_names() -> None:
    known = Processes()
    early = of(known, event(EventKind.CONNECTION, 0, pid=9, process_key="{k}"))
    early.connected(event(EventKind.CONNECTION, 0, pid=9, process_key="{k}"))
    late = of(known, start(0.2, 9, process_key="{k}"))

    assert late.connections == early.connections is not None


def test_the_oldest_are_forgotten_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KEPT", 5)
    known = Processes()
    for pid in range(1, 21):
        known.of(start(pid, pid, process_key=f"{{{pid}}}"))

    assert known.evicted == 15
    forgotten = of(known, event(EventKind.FILE_CREATE, 99, pid=1))
    assert not forgotten.seen_start
    assert of(known, event(EventKind.FILE_CREATE, 99, process_key="{20}")).seen_start


def test_an_event_without_a_process_has_none() -> None:
    assert Processes().of(event(EventKind.SHELL_COMMAND, 0)) is None
