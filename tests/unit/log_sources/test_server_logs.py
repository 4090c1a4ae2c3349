"""Logs of proxies, servers, firewalls and flows: who recognises what, what hostile bytes cost, and what the account says."""

from __future__ import annotations

import os
import random
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import flow_writer
from tidewaiter.log_source import HEAD_BYTES, REGISTER, Opened, streams
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind

OURS = (
    "netflow",
    "ftp_server",
    "proxy_squid",
    "web_server",
    "proxy_w3c",
    "esxi_host",
    "linux_sshd",
    "firewall",
    "macos_jamf",
    "macos_santa",
    "linux_tetragon",
)
SAMPLES = Path(__file__).parents[2] / "samples"
CASES = sorted(path for name in OURS for path in (SAMPLES / name).glob("*/input.*"))

Reader = Callable[[str, bytes], tuple[list[Event], Account]]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Reads bytes with a log source, whoever would recognise them."""

    def reader(name: str, data: bytes) -> tuple[list[Event], Account]:
        path = tmp_path / "log"
        path.write_bytes(data)
        opened = Opened(path=path, log_file="log", size=len(data), head=data[:HEAD_BYTES])
        account = Account(log_file="log", bytes=len(data))
        source = next(entry for entry in REGISTER if entry.name == name).load()
        events = [event for batch in source.read(opened, account) for event in batch]
        assert account.balanced
        assert sum(account.kinds.values()) == len(events)
        return events, account

    return reader


def recognised_by(head: bytes) -> str | None:
    return next((entry.name for entry in streams() if entry.load().recognise(head) is not None), None)


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_no_other_log_source_takes_the_sample(case: Path) -> None:
    assert recognised_by(case.read_bytes()[:HEAD_BYTES]) == case.parent.parent.name


@pytest.mark.parametrize("name", sorted({path.parent.parent.name for path in SAMPLES.glob("*/*/input.*")} - set(OURS)))
def test_ours_take_no_sample_of_others(name: str) -> None:
    takers = {recognised_by(path.read_bytes()[:HEAD_BYTES]) for path in (SAMPLES / name).glob("*/input.*")}

    assert not takers & set(OURS)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1}\n{"b": "x"}\n',
        b"No.,Time,Source,Destination,Protocol,Length,Info\n1,0.0,192.0.2.1,192.0.2.2,TCP,60,x\n",
        b"name;size;date;owner\na;1;2024-01-01;root\n",
        b"Jun  3 18:43:20 host CRON[1]: pam_unix(cron:session): session opened for user root\n",
        b"#Fields: date-time,client-ip,client-hostname\n2024-01-01,192.0.2.1,x\n",
        b"#!/bin/sh\ncurl -o a http://files.example.com/a\n",
        b"\x00\x05\x00\x02" + bytes(80),
        b"\x00\x09" + bytes(80),
        b"\x00\x0a\x00\x10" + bytes(80),
        b"",
    ],
)
def test_ours_leave_other_text_alone(text: bytes) -> None:
    assert recognised_by(text) not in OURS


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_broken_bytes_cost_records_and_nothing_else(case: Path, read: Reader) -> None:
    data = case.read_bytes()
    chance = random.Random(7)
    for _ in range(40):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(broken))
            if chance.random() < 0.3:
                del broken[at : at + chance.randint(1, 60)]
                broken = broken or bytearray(b"\n")
            else:
                broken[at] = chance.choice(b'\0\n"\\ |=[]{}:-\xff0')
        _, account = read(case.parent.parent.name, bytes(broken))
        assert account.read > 0 or not bytes(broken).strip(b"\0\n\r ")


@pytest.mark.parametrize("name", [name for name in OURS if name not in ("netflow", "macos_jamf", "linux_tetragon")])
@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'"' * 200_000,
        b"a " * 100_000,
        b"a=" * 100_000,
        b'192.0.2.1 - - [24/Nov/2026:02:54:36 +0000] "' + b'\\" ' * 60_000,
        b"192.0.2.1 - " + b"a b" * 60_000,
        b"Jun  3 18:43:20 h sudo: a : TTY=x ; " + b"PWD=a ; USER=" * 20_000,
        b'2024-01-01T00:00:00Z internal-sftp[1]: open "' + b'" flags ' * 30_000,
        b"2024-01-01T00:00:00Z i hostd[1] [Originator@1 sub=x] Event 1 : File upload to path "
        + b"' was initiated from '" * 9_000,
        b'Mon Jun  3 18:43:59 2024 [pid 3] [a] OK UPLOAD: Client "1", ' + b'", ' * 60_000,
        b"Mon Jun  3 18:43:59 2024 2 h 1 " + b"/x b _ i " * 20_000,
    ],
    ids=range(11),
)
def test_long_lines_are_read_in_linear_time(name: str, line: bytes, read: Reader) -> None:
    head = b"#Fields: date time c-ip cs-method cs-uri-stem src-ip dst-ip src-port\n"
    started = time.process_time()

    read(name, head + line + b"\n" + line[:100_000])

    assert time.process_time() - started < 1.5


def test_netflow_goes_on_behind_a_broken_packet(read: Reader) -> None:
    good = flow_writer.v5(flow_writer.FLOWS[:2])

    events, account = read("netflow", good + b"\xff\x00\x07" * 50 + good + flow_writer.v5(flow_writer.FLOWS[:1], count=31))

    assert len(events) == 4
    assert account.damaged >= 1


def test_netflow_never_believes_a_length(read: Reader) -> None:
    huge = flow_writer.template(300, [(8, 4)] * 900) + struct.pack(">HH", 301, 60_000)
    empty = flow_writer.template(302, [(8, 0)])
    hostile = (
        flow_writer.v9(flow_writer.sets(0, huge) + flow_writer.sets(0, empty) + flow_writer.sets(302, b"\1" * 40))
        + flow_writer.v9(struct.pack(">HH", 300, 3) + b"\0" * 40)
        + flow_writer.ipfix(flow_writer.sets(2, flow_writer.template(303, [(8, 0xFFFF)])) + flow_writer.sets(303, b"\xff\xff"))
    )

    events, account = read("netflow", hostile)

    assert events == []
    assert account.damaged


def test_netflow_waits_for_templates_within_bounds(read: Reader) -> None:
    unseen = flow_writer.v9(flow_writer.sets(900, b"\1" * 60_000))

    events, account = read("netflow", unseen * 200)

    assert events == []
    assert account.skipped == {"data set whose template was not seen": 200}


def test_netflow_reads_a_packet_across_blocks(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewaiter.formats.flow_packets.BLOCK", 70_001)
    template = flow_writer.v9(flow_writer.sets(0, flow_writer.template(300, flow_writer.V9_FIELDS)))
    rows = flow_writer.sets(300, b"".join(flow_writer.v9_row(flow_writer.FLOWS[0]) for _ in range(40)))

    events, account = read(
        "netflow", template + flow_writer.v9(rows, count=40) * 300 + flow_writer.v5(flow_writer.FLOWS[:1]) * 900
    )

    assert len(events) == 40 * 300 + 900
    assert account.damaged == 0
    assert len({event.record for event in events}) == len(events)


NFDUMP = b"\x0c\xa5\x02\x00" + bytes(60)


def test_nfdump_missing_is_said_and_costs_one_file(read: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    events, account = read("netflow", NFDUMP)

    assert events == []
    assert any("nfdump is not installed" in note for note in account.notes)
    assert account.damaged == 1


def fake_nfdump(folder: Path, script: str) -> None:
    program = folder / "nfdump"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nfdump is a shell script")
def test_nfdump_lines_become_flows(read: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    fake_nfdump(
        folder,
        "echo '1726041600.140|  0.500| 192.0.2.1| 2001:db8::7| 50000| 80|6  |  900|  0'\n"
        "echo '1726041601.000|  0.000| 192.0.2.1| 192.0.2.9| 0| 8.0|1  |  84|  84'\n"
        "echo 'no flow'\necho oops >&2\nexit 3",
    )
    monkeypatch.setenv("PATH", str(folder))

    events, account = read("netflow", NFDUMP)

    assert [(event.time, event.dst_port, event.transport, event.bytes_out, event.bytes_in) for event in events] == [
        (1_726_041_600_140_000, 80, "tcp", 900, None),
        (1_726_041_601_000_000, None, "icmp", 84, 84),
    ]
    assert [damage.problem for damage in account.damage] == ["nfdump printed no flow", "nfdump ended with code 3: oops"]


def test_a_firewall_log_is_read_by_the_names_that_the_user_gives(
    read: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = b"Wann;Von;Nach;Zielport;Hin\n2024-09-11 08:00:00;192.0.2.1;198.51.100.7;443;900\n"
    fields = tmp_path / "fields.toml"
    fields.write_text('time = ["Wann"]\nsrc = ["Von"]\ndst = ["Nach"]\ndport = ["Zielport"]\nbytes_sent = ["Hin"]\n', "utf-8")
    assert recognised_by(log) is None

    monkeypatch.setenv("TIDEWAITER_FIREWALL_FIELDS", str(fields))
    events, _ = read("firewall", log)

    assert recognised_by(log) == "firewall"
    assert [(event.src_ip, event.dst_port, event.bytes_out) for event in events] == [("192.0.2.1", 443, 900)]


@pytest.mark.parametrize("content", ["src = 1", "nothing = ['x']", "[", None])
def test_a_wrong_file_of_names_is_said(
    content: str | None, read: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fields = tmp_path / "fields.toml"
    if content is not None:
        fields.write_text(content, "utf-8")
    monkeypatch.setenv("TIDEWAITER_FIREWALL_FIELDS", str(fields))

    events, account = read("firewall", b"time,src,dst,dport\n1726041600,192.0.2.1,198.51.100.7,443\n")

    assert len(events) == 1
    assert any("TIDEWAITER_FIREWALL_FIELDS" in note for note in account.notes)


def test_a_guess_of_day_and_month_is_said(read: Reader) -> None:
    events, account = read("firewall", b"time,src,dst,dport\n09/11/2024 08:00:00,192.0.2.1,198.51.100.7,443\n")

    assert events[0].time == 1_726_041_600_000_000
    assert any("month first" in note for note in account.notes)


def test_sftp_state_is_bounded(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewaiter.log_sources.linux_sshd.SESSIONS_KEPT", 10)
    lines = b"".join(
        b'2024-06-03T18:43:22Z files internal-sftp[%d]: open "/in/%d" flags WRITE,CREATE mode 0644\n' % (number, number)
        for number in range(50)
    )

    events, account = read("linux_sshd", lines)

    assert len(events) == 10
    assert account.parsed == 50
    assert {event.kind for event in events} == {EventKind.FILE_CREATE}
