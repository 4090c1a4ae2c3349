"""What events count for."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.baseline import names
from tidewaiter.baseline.counters import ANY, Counters
from tidewaiter.baseline.decay import DAY, weight
from tidewaiter.baseline.observing import Observer
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

NOON = 20_000 * DAY + DAY // 2


def event(kind: EventKind, *, time: int = NOON, host: str | None = "WS01.example.com", **fields: Any) -> Event:
    return Event(kind=kind, time=time, log_source="x", log_file="a.evtx", record="1", host=host, **fields)


def keys(counters: Counters) -> dict[str, set[str]]:
    """The keys that were counted, by facet, without those that stand for all."""
    found = {facet: {key for key, _ in cells if key != ANY} for facet, cells in counters.cells.items()}
    return {facet: some for facet, some in found.items() if some}


def seen(*events: Event) -> Counters:
    observer = Observer()
    observer.observe(events)
    return observer.take()


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            EventKind.PROCESS_START,
            {"process_path": "C:\\Windows\\Certutil.EXE", "sha256": "AB" * 32, "md5": "cd" * 16},
            {"program": {"certutil"}, "hash": {"ab" * 32}},
        ),
        (
            EventKind.CONNECTION,
            {"process_path": "/usr/bin/curl", "dst_host": "cdn.files.example.com", "dst_ip": "192.0.2.7", "dst_port": 443},
            {
                "network_program": {"curl"},
                "domain": {"example.com"},
                "program_domain": {"curl example.com"},
                "address": {"192.0.2.7"},
                "service": {"443"},
            },
        ),
        (EventKind.CONNECTION, {"process_path": "sshd", "initiated": False, "dst_ip": "192.0.2.7"}, {}),
        (EventKind.CONNECTION, {"process_path": "x", "dst_ip": "127.0.0.1", "dst_port": 80}, {}),
        (
            EventKind.DNS_QUERY,
            {"process_path": "x.exe", "query": "a.example.co.uk."},
            {"network_program": {"x"}, "domain": {"example.co.uk"}, "program_domain": {"x example.co.uk"}},
        ),
        (
            EventKind.FILE_CREATE,
            {"file_path": "C:\\Users\\Ann\\Downloads\\Setup.EXE"},
            {"landing": {"exe c:/users/*/downloads"}},
        ),
        (EventKind.FILE_CREATE, {"file_path": "/home/ann/.ssh/known_hosts"}, {"landing": {"- /home/*/.ssh"}}),
        (EventKind.HTTP, {"dst_host": "192.0.2.7"}, {}),
        (
            EventKind.DOWNLOAD,
            {"url": "https://files.example.org/a", "sha1": "a" * 40},
            {"domain": {"example.org"}, "hash": {"a" * 40}},
        ),
        (EventKind.DOWNLOAD, {"url": "http://[broken"}, {}),
        (
            EventKind.FLOW,
            {"dst_ip": "192.0.2.7", "dst_port": 22, "transport": "tcp"},
            {"address": {"192.0.2.7"}, "service": {"22 tcp"}},
        ),
        (EventKind.REGISTRY_SET, {"target": "x"}, {}),
    ],
)
def test_what_an_event_counts_for(kind: EventKind, fields: dict[str, Any], expected: dict[str, set[str]]) -> None:
    assert keys(seen(event(kind, **fields))) == expected


def test_hosts_are_named_as_correlation_names_them() -> None:
    counters = seen(
        event(EventKind.PROCESS_START, process_name="a"),
        event(EventKind.PROCESS_START, process_name="a", host="ws01"),
        event(EventKind.PROCESS_START, process_name="a", host=None),
        event(EventKind.FLOW, host=None, src_ip="192.0.2.1", dst_ip="192.0.2.2"),
    )

    assert {host for _, host in counters.cells["host"]} == {"ws01", "", "192.0.2.1"}


def test_equal_events_are_counted_by_day_however_they_are_cut() -> None:
    events = [event(EventKind.PROCESS_START, process_name="a", time=NOON + hour * DAY // 24) for hour in range(72)]
    whole, cut = Observer(), Observer()
    whole.observe(events)
    for start in range(0, 72, 5):
        cut.observe(events[start : start + 5])
    one, other = whole.take().cells["program"]["a", "ws01"], cut.take().cells["program"]["a", "ws01"]

    assert (one.first, one.last) == (other.first, other.last) == (20_000 * DAY, 20_003 * DAY)
    assert one.level == pytest.approx(other.level)
    assert weight(one.level, one.last, 30.0) == pytest.approx(
        12 + 24 * 2 ** (-1 / 30) + 24 * 2 ** (-2 / 30) + 12 * 2 ** (-3 / 30)
    )


def test_times_that_cannot_be_right_are_left_out_and_counted() -> None:
    counters = seen(
        event(EventKind.PROCESS_START, process_name="a", time=0),
        event(EventKind.PROCESS_START, process_name="b", time=9 * 10**17),
        event(EventKind.PROCESS_START, process_name="c"),
    )

    assert keys(counters) == {"program": {"c"}}
    assert counters.late == 2


def test_only_transfers_count_as_use_of_a_utility() -> None:
    def found(kind: ActionKind) -> Finding:
        action = Action(kind=kind, utility="curl", urls=("https://a.example.com/x", "ann@host:x"))
        return Finding(analytic="command_execution", stage="commanded", action=action)

    observer = Observer()
    asked = event(EventKind.PROCESS_START, process_path="/usr/bin/curl")
    observer.found(asked, [found(ActionKind.VERIFY_HASH)])
    assert keys(observer.take()) == {}
    observer.found(asked, [found(ActionKind.INGRESS), found(ActionKind.INGRESS)])
    counters = observer.take()
    assert keys(counters)["utility"] == {"curl"}
    assert keys(counters)["program_domain"] == {"curl example.com"}
    assert weight(counters.cells["utility"]["curl", "ws01"].level, NOON, 30.0) == pytest.approx(2)


def test_counters_stay_right_while_they_are_moved() -> None:
    observer = Observer()
    observer.tallies._kept = 10  # so few that counters are moved again and again
    for number in range(200):
        peers = [event(EventKind.FLOW, dst_ip=f"192.0.2.{number}", dst_port=80), event(EventKind.FLOW, dst_ip="198.51.100.1")]
        observer.observe(peers * 3)
    counters = observer.take()

    assert weight(counters.cells["address"]["198.51.100.1", "ws01"].level, NOON, 30.0) == pytest.approx(600)
    assert weight(counters.cells["service"]["80", "ws01"].level, NOON, 30.0) == pytest.approx(600)
    assert counters.evicted["address"] >= 180


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("a.b.example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("www.example.co.uk", "example.co.uk"),
        ("customer.blob.core.windows.net", "customer.blob.core.windows.net"),
        ("host", None),
        ("192.0.2.1", None),
        ("2001:db8::1", None),
        ("1.2.0.192.in-addr.arpa", None),
        ("", None),
        (None, None),
        ("a." * 200 + "com", None),
    ],
)
def test_domains(name: str | None, domain: str | None) -> None:
    assert names.domain_of(name) == domain


@pytest.mark.parametrize(
    ("folder", "kind", "landing"),
    [
        ("C:\\Users\\Ann\\AppData\\Local\\Temp\\is-4F2A1B.tmp", "exe", "exe c:/users/*/appdata/local"),
        ("/var/lib/docker/0a1b2c3d4e5f", "so", "so /var/lib/docker/#"),
        ("C:\\ProgramData\\{0a1b2c3d-0000}", "7", "# c:/programdata/#"),
    ],
)
def test_landings_leave_out_what_differs_from_time_to_time(folder: str, kind: str, landing: str) -> None:
    assert names.landing_of(folder, kind) == landing


def test_keys_are_bounded_and_different_texts_stay_different() -> None:
    one, other = names.bounded("x" * 500 + "1"), names.bounded("x" * 500 + "2")

    assert len(one) <= names.LONGEST
    assert one != other
    assert names.bounded("a\0\ud800") == "a\ufffd\ufffd"
