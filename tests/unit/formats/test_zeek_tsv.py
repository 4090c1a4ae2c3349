"""Zeek's tab-separated layout, and the log source on it: odd headers, broken lines, speed without loss."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tidewaiter.formats.zeek_tsv import looks_like, record_blocks, unescape
from tidewaiter.log_source import HEAD_BYTES, Opened
from tidewaiter.log_sources.zeek import Source
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

FIELDS = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration", "orig_bytes",
    "resp_bytes", "conn_state",
)  # fmt: skip
HEADER = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
    "#fields\t" + "\t".join(FIELDS) + "\n"
)


def record(number: int, **changed: str) -> str:
    values = {
        "ts": f"17149792{number % 90 + 10}.{number:06}", "uid": f"C{number}", "id.orig_h": "192.0.2.10", "id.orig_p": "49152",
        "id.resp_h": "198.51.100.7", "id.resp_p": "80", "proto": "tcp", "service": "http", "duration": "0.5",
        "orig_bytes": "10", "resp_bytes": "20", "conn_state": "SF",
    }  # fmt: skip
    return "\t".join({**values, **changed}.values()) + "\n"


def read(content: str | bytes, path: Path) -> tuple[list[Event], Account]:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    account = Account(log_file="x")
    opened = Opened(path=path, log_file="x", size=len(data), head=data[:HEAD_BYTES])
    events = [event for batch in Source().read(opened, account) for event in batch]
    assert account.balanced
    return events, account


@pytest.mark.parametrize(
    ("head", "path"),
    [
        (HEADER, "conn"),
        ("#fields\tts\tuid\n", ""),
        ("#separator \\x09\n#path\thttp\n", None),
        ("# a comment\n", None),
        ("", None),
        ("#Software: something else\n#Fields: date time\n", None),
    ],
)
def test_a_zeek_header_is_known_by_its_fields(head: str, path: str | None) -> None:
    assert looks_like(head.encode()) == path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("a\\x09b", "a\tb"),
        ("\\xc3\\xa9t\\xc3\\xa9", "été"),
        ("\\xff\\xfe", "\\xff\\xfe"),
        ("\\x2d", "-"),
        ("\\xg0 \\x1", "\\xg0 \\x1"),
    ],
)
def test_escapes_are_read_as_text_where_they_are_text(value: str, expected: str) -> None:
    assert unescape(value) == expected


def test_another_separator_is_honoured(tmp_path: Path) -> None:
    content = "#separator \\x2c\n#set_separator,|\n#unset_field,?\n#path,conn\n#fields," + ",".join(FIELDS) + "\n"
    events, _ = read(content + record(1, service="?").replace("\t", ","), tmp_path / "x")

    assert [(event.flow_id, event.protocol, event.record) for event in events] == [("C1", None, "6")]


def test_records_are_numbered_by_line_over_repeated_headers(tmp_path: Path) -> None:
    content = HEADER + record(1) + record(2) + "#close\t2024\n" + HEADER + record(3) + "\n" + record(4)

    events, account = read(content, tmp_path / "x")

    assert [event.record for event in events] == ["7", "8", "16", "18"]
    assert account.skipped == {"header line": 13, "blank line": 1}


def test_a_header_that_comes_again_may_change_the_fields(tmp_path: Path) -> None:
    other = "#path\tssl\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tserver_name\n"
    row = "1714979289.5\tC9\t192.0.2.10\t1\t198.51.100.7\t443\tcdn.example.net\n"

    events, _ = read(HEADER + record(1) + other + row, tmp_path / "x")

    assert [(event.kind.value, event.dst_host) for event in events] == [("flow", None), ("tls", "cdn.example.net")]


@pytest.mark.parametrize(
    "bad",
    [
        record(5, ts="-"),
        record(5, ts="never"),
        record(5, ts="1e400"),
        record(5, ts="nan"),
        record(5, orig_bytes="99999999999999999999999"),
        record(5, resp_bytes="ten"),
        record(5, duration="1e300"),
        record(5, **{"id.orig_p": "80/tcp"}),
        "\t".join(["x"] * 11) + "\n",
        "\t".join(["x"] * 13) + "\n",
        "\0\0\n",
    ],
    ids=["no time", "time", "infinite", "nan", "huge", "word", "long", "port", "few", "many", "nul"],
)
def test_a_bad_record_costs_itself_only(bad: str, tmp_path: Path) -> None:
    good = [record(number) for number in range(1, 200)]
    content = HEADER + "".join(good[:100]) + bad + "".join(good[100:])

    events, account = read(content, tmp_path / "x")

    assert [event.flow_id for event in events] == [f"C{number}" for number in range(1, 200)]
    assert account.damaged + account.skipped.get("blank line", 0) == 1
    assert all(damage.place == "line 107" for damage in account.damage)


def test_many_bad_records_take_little_time(tmp_path: Path) -> None:
    content = HEADER + "".join(record(number, resp_bytes="ten" if number % 2 else "1") for number in range(4_000))

    events, account = read(content, tmp_path / "x")

    assert (len(events), account.damaged) == (2_000, 2_000)


def test_columns_give_what_single_records_give(tmp_path: Path) -> None:
    chance = random.Random(3)
    rows = [
        record(
            number,
            service=chance.choice(["http", "-", "ssl", "dns"]),
            duration=chance.choice(["-", "0.000001", "12.345678", "1e-05"]),
            orig_bytes=chance.choice(["-", "0", "17"]),
            conn_state=chance.choice(["SF", "S0", "REJ", "OTH", "-"]),
            ts=chance.choice(["1714979289.123456", "22.5", "1714979289", "1714979289.1"]),
        )
        for number in range(300)
    ]
    together, _ = read(HEADER + "".join(rows), tmp_path / "all")
    alone = [read(HEADER + row, tmp_path / "one")[0][0] for row in rows]

    for one, other in zip(together, alone, strict=True):
        other.record = one.record
    assert together == alone


def test_records_before_any_header_are_damaged(tmp_path: Path) -> None:
    account = Account(log_file="x")
    path = tmp_path / "x"
    path.write_text(record(1) + HEADER + record(2))

    blocks = list(record_blocks(path, account))

    assert [block.numbers for block in blocks] == [[8]]
    assert (account.damaged, account.damage[0].place) == (1, "line 1")


def test_noise_never_raises(tmp_path: Path) -> None:
    chance = random.Random(5)
    base = (HEADER + "".join(record(number) for number in range(20))).encode()
    for _ in range(300):
        data = bytearray(base)
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(len(data))] = chance.choice(b"\t\n#-\\x,\0\xff9z")
        read(bytes(data), tmp_path / "x")


JSON = b'{"ts":1714979289.5,"uid":"C1","id.orig_h":"192.0.2.10","id.orig_p":1,"id.resp_h":"198.51.100.7","id.resp_p":80,%s}\n'


@pytest.mark.parametrize(
    "bad",
    [
        JSON % b'"proto":["tcp"],"conn_state":"SF"',
        JSON % b'"proto":"tcp","conn_state":{}',
        JSON % b'"proto":"tcp","conn_state":"SF","orig_bytes":1e30',
        JSON % b'"proto":"tcp","conn_state":"SF","orig_bytes":[1]',
        JSON % b'"proto":"tcp","conn_state":"SF","duration":true',
        JSON.replace(b"1714979289.5", b"null") % b'"proto":"tcp","conn_state":"SF"',
        JSON.replace(b"1714979289.5", b"[1]") % b'"proto":"tcp","conn_state":"SF"',
        b"[1]\n",
        b"{\n",
        b'{"a":' * 2_000 + b"\n",
    ],
)
def test_a_bad_json_record_costs_itself_only(bad: bytes, tmp_path: Path) -> None:
    good = JSON % b'"proto":"tcp","conn_state":"SF"'

    events, account = read(good + bad + good, tmp_path / "x")

    assert [event.record for event in events] == ["1", "3"]
    assert (account.damaged, account.damage[0].place) == (1, "line 2")


def test_a_record_of_an_unused_json_log_is_skipped_by_name(tmp_path: Path) -> None:
    _, account = read((JSON % b'"proto":"tcp","conn_state":"SF"') + b'{"_path":"notice","ts":1.0}\n', tmp_path / "x")

    assert account.skipped == {"zeek log not used: notice": 1}


@pytest.mark.parametrize(
    "head", [b'{"ts":1,"message":"x"}\n', b'{"event_type":"flow"}\n', b"{}\n", b'{"uid":"1"}\n', b"#!/bin/sh\n"]
)
def test_other_json_is_not_zeek(head: bytes) -> None:
    assert Source().recognise(head) is None
