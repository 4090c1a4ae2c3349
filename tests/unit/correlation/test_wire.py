"""The fold over network events: cutting the rows anywhere changes nothing, state is bounded, sides and ranges are right."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tidewaiter.baseline.flows import FlowBaseline, Sides, host_name
from tidewaiter.catalog import ports, wire
from tidewaiter.correlation import wire_keys
from tidewaiter.correlation.wire import IDLE, WireFold, WireView
from tidewaiter.correlation.wire_ftp import COMMAND_WINDOW
from tidewaiter.correlation.wire_ranges import span_of
from tidewaiter.correlation.wire_roles import Roles
from tidewaiter.errors import UsageError
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event, EventKind

SECOND = 1_000_000
START = 1_767_348_000 * SECOND
CLIENT, SERVER = "192.168.7.20", "203.0.113.9"


def event(kind: EventKind, second: float, **fields: Any) -> Event:
    known: dict[str, Any] = {
        "src_ip": CLIENT, "src_port": 40_000, "dst_ip": SERVER, "dst_port": 80, "transport": "tcp",
        "log_source": "suricata_eve", "log_file": "eve.json", "record": str(round(second * 1000)), "flow_id": "1",
        "protocol": "http",
    }  # fmt: skip
    known.update(fields)
    return Event(kind=kind, time=START + round(second * SECOND), **known)


def download(second: float, number: int, **fields: Any) -> list[Event]:
    url, port = f"http://files.example.net/{number}", 40_000 + number
    same = {"flow_id": str(number), "src_port": port}
    return [
        event(EventKind.FLOW, second, bytes_out=500, bytes_in=90_000, duration=2 * SECOND, record=f"{number}1", **same),
        event(EventKind.HTTP, second + 1, url=url, method="GET", status=200, bytes_in=900, record=f"{number}2", **same),
        event(
            EventKind.FILE_ON_WIRE, second + 1, url=url, method="GET", status=200, file_path=f"/{number}", file_size=900,
            sha256=f"{number:064x}", extra={"is_orig": False}, record=f"{number}3", **{**same, **fields},
        ),
    ]  # fmt: skip


def traffic(count: int) -> list[Event]:
    rows = [one for number in range(count) for one in download(number * 70.0, number)]
    rows += [
        event(EventKind.FTP, 100, protocol="ftp", dst_port=21, method="RETR", file_path="a.img", flow_id="c", record="f1",
              extra={"completion_codes": ["150", "226"]}),
        event(EventKind.FILE_ON_WIRE, 99, protocol="ftp-data", dst_port=40_015, src_port=50_001, flow_id="d", record="f2",
              file_path="a.img", file_size=5, method="RETR", extra={"is_orig": False}),
        event(EventKind.FTP, 300, protocol="ftp", dst_port=21, method="RETR", file_path="b.img", flow_id="c", record="f3",
              extra={"completion_codes": ["150", "226"]}),
    ]  # fmt: skip
    for first in (0, 1000, 3000):
        extra = {"start": first, "end": first + 999, "content_range": {"start": first, "end": first + 999, "size": 4000}}
        rows.append(
            event(EventKind.FILE_ON_WIRE, 400 + first / 10, url="http://files.example.net/r", status=206, method="GET",
                  file_size=1000, extra={"is_orig": False, **extra}, flow_id=f"r{first}", src_port=51_000 + first,
                  record=f"r{first}")
        )  # fmt: skip
    return sorted(rows, key=lambda one: (one.time, one.record))


def told(rows: list[Event], cuts: list[int]) -> list[bytes]:
    fold = WireFold("wire:x", WireView())
    done: list[Carried] = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = [(row, ()) for row in rows[start:end]]
        done += fold.step(part, rows[end - 1].time if end else 0)
    return sorted(msgspec.json.encode(msgspec.to_builtins(one)) for one in [*done, *fold.finish()])


def test_where_the_rows_are_cut_changes_nothing() -> None:
    rows = traffic(60)
    whole = told(rows, [])
    chance = random.Random(11)

    assert len(whole) == 60 + 2 + 1
    for _ in range(12):
        cuts = sorted(chance.sample(range(1, len(rows)), chance.randint(1, 20)))
        assert told(rows, cuts) == whole


def test_state_does_not_grow_with_the_rows() -> None:
    fold = WireFold("wire:x", WireView())
    most = 0
    for row in traffic(400):
        fold.step([(row, ())], row.time)
        most = max(most, len(fold._flows))

    assert most <= 2 * (IDLE // (70 * SECOND)) + 10
    assert len(fold._by_ends) <= most


def test_ftp_content_finds_its_command_and_the_other_command_stands_alone() -> None:
    fold = WireFold("wire:x", WireView())
    found = {
        one.name: one for one in [*fold.step([(row, ()) for row in traffic(0)], START), *fold.finish()] if one.protocol == "ftp"
    }

    assert set(found) == {"a.img", "b.img"}
    assert (found["a.img"].shown, found["a.img"].server_port, found["a.img"].url) == ("content", 21, f"ftp://{SERVER}/a.img")
    assert (found["b.img"].shown, found["b.img"].outcome, found["b.img"].size) == ("control", "completed", None)
    assert COMMAND_WINDOW > IDLE  # a command waits longer than the flow that carries its content


def test_a_hole_between_ranges_is_named() -> None:
    fold = WireFold("wire:x", WireView())
    (ranged,) = [one for one in [*fold.step([(row, ()) for row in traffic(0)], START), *fold.finish()] if one.status == 206]

    assert ranged.pieces == ((0, 1999), (3000, 3999))
    assert ranged.outcome == "partial"
    assert ranged.short == "hash unknown, 1000 of 4000 bytes missing: 2000-2999"
    assert ranged.sha256 is None


@pytest.mark.parametrize(
    "stated",
    [{"start": 10, "end": 5, "size": 20}, {"start": 0, "end": 1 << 62, "size": None}, {"start": 5, "end": 30, "size": 20}],
)
def test_absurd_ranges_are_none(stated: dict[str, Any]) -> None:
    assert span_of(event(EventKind.HTTP, 0, extra={"content_range": stated}), None) is None


def test_a_range_may_be_text() -> None:
    span = span_of(event(EventKind.HTTP, 0, extra={"content_range": "bytes 0-9/100"}), None)

    assert span is not None
    assert (span.first, span.last, span.total) == (0, 9, 100)


@pytest.mark.parametrize(
    ("client", "server", "push", "want"),
    [
        ("192.168.7.20", "203.0.113.9", False, "ingress"),
        ("192.168.7.20", "203.0.113.9", True, None),
        ("203.0.113.9", "192.168.7.20", True, "ingress"),
        ("192.168.7.20", "10.0.0.3", False, "lateral"),
        ("fe80::1", "fd00::2", True, "lateral"),
        ("127.0.0.1", "127.0.0.1", False, "ingress"),
        ("192.168.7.20", "192.168.7.20", True, "ingress"),
        ("198.51.100.1", "203.0.113.9", True, "ingress"),
        (None, None, False, "ingress"),
    ],
)
def test_who_is_inside_says_what_a_transfer_is(client: str | None, server: str | None, push: bool, want: str | None) -> None:
    assert Roles().direction(Carried(time=START, client_ip=client, server_ip=server, push=push)) == want


def test_networks_that_are_given_replace_those_by_default() -> None:
    roles = Roles(("203.0.113.0/24",))

    assert roles.side("203.0.113.9") == "inside"
    assert roles.side("192.168.7.20") == "outside"
    with pytest.raises(UsageError, match="no network"):
        Roles(("everywhere",))


def test_both_directions_of_a_pair_are_one_group() -> None:
    there = event(EventKind.FLOW, 0)
    back = event(EventKind.FLOW, 0, src_ip=SERVER, dst_ip=CLIENT)
    spelled = event(EventKind.FLOW, 0, src_ip="2001:0db8:0000:0000:0000:0000:0000:0001", dst_ip="2001:db8::2")

    assert wire_keys.group_key(there, "logs") == wire_keys.group_key(back, "logs")
    assert wire_keys.group_key(there, "logs") != wire_keys.group_key(there, "other")
    assert wire_keys.group_key(spelled, "x") == "wire:x:2001:db8::1|2001:db8::2"


@pytest.mark.parametrize(
    ("row", "want"),
    [
        (event(EventKind.FLOW, 0, protocol="dns", dst_port=53, bytes_out=900, bytes_in=90_000), False),
        (event(EventKind.FLOW, 0, protocol="tls", bytes_out=900, bytes_in=1_500), False),
        (event(EventKind.FLOW, 0, protocol=None, dst_port=4444, bytes_out=900, bytes_in=50_000), True),
        (event(EventKind.FLOW, 0, protocol=None, dst_port=79, bytes_out=200, bytes_in=300), True),
        (event(EventKind.FLOW, 0, bytes_out=0, bytes_in=0), False),
        (event(EventKind.HTTP, 0, bytes_in=0), False),
        (event(EventKind.HTTP, 0, bytes_in=5), True),
        (event(EventKind.FILE_ON_WIRE, 0, protocol="ssl"), False),
        (event(EventKind.DNS_QUERY, 0, query="www.example.org"), False),
        (event(EventKind.FTP, 0, method="USER"), False),
    ],
)
def test_what_can_carry_nothing_is_left_out(row: Event, want: bool) -> None:
    assert (list(wire_keys.wanted([row])) == [row]) is want


def test_host_events_are_none_of_the_wire() -> None:
    asked = event(EventKind.DNS_QUERY, 0, host="web1", query="www.example.org")
    rows = [asked, event(EventKind.HTTP, 0)]

    assert wire_keys.divided(rows) == ([rows[1]], [asked])
    assert wire_keys.divided([asked]) == ([], [asked])


def test_the_usual_is_told_by_median_and_deviation_and_only_with_enough_flows() -> None:
    baseline, other = FlowBaseline(), FlowBaseline()
    baseline.note([event(EventKind.FLOW, n, bytes_out=1_000, bytes_in=2_000 << (n % 3)) for n in range(6)])
    other.note([event(EventKind.FLOW, n, bytes_out=1_000, bytes_in=4_000) for n in range(6)])
    assert Sides(baseline).usual(CLIENT, "http") is None
    baseline.merge(other)
    usual = Sides(baseline).usual(CLIENT, "http")

    assert usual is not None
    assert (usual.flows, usual.median, usual.deviation) == (12, 2.0, 0.0)
    assert Sides(baseline).total(CLIENT) == 12
    assert baseline.talkers(SERVER) == 1


def test_knowledge_tells_clients_contents_and_ports_apart() -> None:
    agents = {"curl/8.5.0": "curl", "Microsoft BITS/7.8": "bits", "CertUtil URL Agent": "certutil", "Wget/1.21": "wget"}
    edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0"
    shell = "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041"

    assert {agent: found.utility for agent in agents if (found := wire.client_of(agent))} == agents
    assert [found.utility for agent in (edge, shell) if (found := wire.client_of(agent))] == ["browser", "powershell"]
    assert wire.client_of("Mozilla/4.0") is None
    programs = [wire.content_of(text) for text in ("PE32+ executable (DLL)", "ELF 64-bit LSB", "application/x-dosexec")]
    assert [content.kind for content in programs if content] == ["executable"] * 3
    assert wire.content_of("a /usr/bin/perl script, ASCII text executable") is not None
    assert wire.content_of("HTML document, ASCII text") is None
    known = ports.load()
    assert (known.expected("http", 53), known.expected("http2", 443), known.expected("quic", 443)) == (False, True, None)
    assert known.listed("http", 5985) == "WinRM"


@pytest.mark.parametrize(
    ("spelled", "want"),
    [
        ("Files.Example.net:8080", "files.example.net"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("", None),
    ],
)
def test_names_in_host_headers(spelled: str, want: str | None) -> None:
    assert host_name(spelled) == want
