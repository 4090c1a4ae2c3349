from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.formats import json_objects
from tidewaiter.formats.windows_json import OTHER_JSON, recognise
from tidewaiter.formats.windows_records import NO_USE
from windows_inputs import read

DATA = {
    "UtcTime": "2026-03-01 10:00:00.250",
    "ProcessGuid": "{0a1b2c3d-0000-0000-0000-000000000001}",
    "ProcessId": "4711",
    "Image": "C:\\Windows\\System32\\certutil.exe",
    "TargetFilename": "C:\\Users\\ann\\a.exe",
}
NXLOG: dict[str, Any] = {
    "EventTime": "2026-03-01 12:00:00",
    "Hostname": "ws01.example.com",
    "EventID": 11,
    "SourceName": "Microsoft-Windows-Sysmon",
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "ExecutionProcessID": 3300,
    "UserID": "S-1-5-18",
    **DATA,
}
SYSTEM = {
    "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
    "EventID": 11,
    "TimeCreated": {"#attributes": {"SystemTime": "2026-03-01T10:00:00.250000Z"}},
    "EventRecordID": 5,
    "Computer": "ws01.example.com",
    "Channel": "Microsoft-Windows-Sysmon/Operational",
}
SHAPES: dict[str, dict[str, Any]] = {
    "nxlog": NXLOG,
    "nxlog_without_source": {key: value for key, value in NXLOG.items() if key != "SourceName"},
    "winlogbeat_6": {
        "@timestamp": "2026-03-01T10:00:00.250Z",
        "event_id": 11,
        "source_name": "Microsoft-Windows-Sysmon",
        "log_name": "Microsoft-Windows-Sysmon/Operational",
        "computer_name": "ws01.example.com",
        "record_number": "5",
        "event_data": DATA,
    },
    "winlogbeat_7": {
        "@timestamp": "2026-03-01T10:00:00.250Z",
        "host": {"name": "collector.example.com"},
        "event": {"code": 11, "provider": "Microsoft-Windows-Sysmon"},
        "winlog": {
            "event_id": 11,
            "provider_name": "Microsoft-Windows-Sysmon",
            "computer_name": "ws01.example.com",
            "event_data": DATA,
        },
    },
    "ecs_in_a_search_hit": {
        "_index": "logs",
        "_source": {
            "@timestamp": "2026-03-01T10:00:00.250Z",
            "host": {"name": "ws01.example.com"},
            "event": {"code": "11"},
            "winlog": {"channel": "Microsoft-Windows-Sysmon/Operational", "event_data": DATA},
        },
    },
    "evtx_dump": {"Event": {"System": SYSTEM, "EventData": DATA}},
    "xml_attributes_with_at": {
        "Event": {
            "System": {
                **SYSTEM,
                "Provider": {"@Name": "Microsoft-Windows-Sysmon"},
                "TimeCreated": {"@SystemTime": "2026-03-01T10:00:00.2500000Z"},
            },
            "EventData": {"Data": [{"@Name": key, "#text": value} for key, value in DATA.items()]},
        }
    },
    "wazuh": {
        "data": {
            "win": {
                "system": {
                    "providerName": "Microsoft-Windows-Sysmon",
                    "eventID": "11",
                    "systemTime": "2026-03-01T10:00:00.2500000Z",
                    "computer": "ws01.example.com",
                },
                "eventdata": {key[:1].lower() + key[1:]: value for key, value in DATA.items()},
            }
        }
    },
    "splunk": {
        "result": {
            "_time": "2026-03-01T10:00:00.250+00:00",
            "EventCode": "11",
            "SourceName": "Microsoft-Windows-Sysmon",
            "ComputerName": "ws01.example.com",
            **DATA,
        }
    },
    "get_winevent": {
        "Id": 11,
        "ProviderName": "Microsoft-Windows-Sysmon",
        "MachineName": "ws01.example.com",
        "TimeCreated": "/Date(1772359200250)/",
        "Message": "File created:\r\n" + "\r\n".join(f"{key}: {value}" for key, value in DATA.items()),
    },
}
WHEN = 1_772_359_200_250_000


def lines(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_says_the_same(tmp_path: Path, shape: str) -> None:
    (event,), account = read(tmp_path, lines(SHAPES[shape]))
    assert (event.host, event.time, event.pid, event.record) == ("ws01.example.com", WHEN, 4711, "1")
    assert event.process_path == "C:\\Windows\\System32\\certutil.exe"
    assert event.file_path == "C:\\Users\\ann\\a.exe"
    assert event.process_key == "0a1b2c3d-0000-0000-0000-000000000001"
    assert account.recognised_as == "Windows events (JSON)"


def test_all_shapes_in_one_file(tmp_path: Path) -> None:
    events, _ = read(tmp_path, lines(*SHAPES.values()))
    assert [event.record for event in events] == [str(number + 1) for number in range(len(SHAPES))]


@pytest.mark.parametrize("layout", ["array", "array_a_line_each", "pretty_array", "pretty", "concatenated"])
def test_layouts(tmp_path: Path, layout: str) -> None:
    values = [{**NXLOG, "TargetFilename": f'C:\\a{{"{number}.exe'} for number in range(30)]
    text = {
        "array": lambda: json.dumps(values),
        "array_a_line_each": lambda: "[\n" + ",\n".join(map(json.dumps, values)) + "\n]\n",
        "pretty_array": lambda: json.dumps(values, indent=2),
        "pretty": lambda: "\n".join(json.dumps(value, indent=4) for value in values),
        "concatenated": lambda: "\n\n".join(json.dumps(value, indent=1) for value in values) + "\n",
    }[layout]()
    events, account = read(tmp_path, text.encode())
    assert [event.file_path for event in events] == [value["TargetFilename"] for value in values]
    assert account.read == 30
    first, second = (int(event.record) for event in events[:2])
    assert first == 1
    assert second == (
        2 if "array" in layout else 1 + len(json.dumps(values[0], indent=1).splitlines()) + (layout == "concatenated")
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("indent", [None, 2])
def test_encodings(tmp_path: Path, encoding: str, indent: int | None) -> None:
    values = [{**NXLOG, "TargetFilename": f"C:\\Bücher\\{number}.exe"} for number in range(5)]
    text = "\n".join(json.dumps(value, ensure_ascii=False, indent=indent) for value in values)
    content = text.encode(encoding)
    if encoding == "utf-16-be":
        content = b"\xfe\xff" + content
    events, account = read(tmp_path, content)
    assert [event.file_path for event in events] == [f"C:\\Bücher\\{number}.exe" for number in range(5)]
    assert account.damaged == 0


def test_event_ids_that_no_one_wants_are_counted_unread(tmp_path: Path) -> None:
    events, account = read(tmp_path, lines(NXLOG, {**NXLOG, "EventID": 10}, {**NXLOG, "EventID": 255}, NXLOG))
    assert [event.record for event in events] == ["1", "4"]
    assert account.skipped == {NO_USE: 2}


def test_other_json_among_the_events_is_skipped(tmp_path: Path) -> None:
    events, account = read(tmp_path, lines(NXLOG, {"hello": 1}, NXLOG))
    assert len(events) == 2
    assert account.skipped == {OTHER_JSON: 1}


def test_bad_lines_cost_themselves(tmp_path: Path) -> None:
    good = lines(NXLOG)
    bad = [b"{broken\n", b"\xff\xfe\xfa\n", b'{"EventID": 11, }\n', b"[1, 2]\n", b"{" * 2000 + b"}" * 2000 + b"\n"]
    content = bad[0] + good + b"\n" + b"\0" * 5000 + good + b"".join(bad[1:]) + good + good[: len(good) // 2]
    events, account = read(tmp_path, content)
    assert len(events) == 3
    assert account.damaged == len(bad) + 1
    assert account.damage[0].place == "line 1"
    assert account.damage[-1].place == "line 10"


def test_broken_utf8_is_read_with_replacements(tmp_path: Path) -> None:
    content = lines(NXLOG, {**NXLOG, "TargetFilename": "C:\\XX.exe"}).replace(b"XX", b"\xe4\xff")
    events, account = read(tmp_path, content)
    assert events[1].file_path == "C:\\��.exe"
    assert account.damaged == 0


def test_a_record_without_time_is_damaged(tmp_path: Path) -> None:
    value = {key: item for key, item in NXLOG.items() if key not in ("EventTime", "UtcTime")}
    events, account = read(tmp_path, lines(NXLOG, value))
    assert (len(events), account.damage[0].place) == (1, "line 2")


def test_a_line_too_long_is_passed_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_objects, "LONGEST", 4096)
    monkeypatch.setattr(json_objects, "_BLOCK", 1024)
    content = lines(NXLOG, {**NXLOG, "Long": "x" * 50_000}, NXLOG)
    events, account = read(tmp_path, content)
    assert [event.record for event in events] == ["1", "3"]
    assert account.damage[0].place == "line 2"
    events, account = read(tmp_path, b"[" + content.replace(b"}\n", b"},\n").rstrip(b",\n") + b"]")
    assert [event.record for event in events] == ["1", "3"]
    assert account.damage[0].place == "object 2"


@pytest.mark.parametrize("indent", [None, 2])
def test_a_broken_object_of_an_array_costs_itself(tmp_path: Path, indent: int | None) -> None:
    parts = [json.dumps({**NXLOG, "TargetFilename": f"C:\\{number}"}, indent=indent) for number in range(9)]
    parts[4] = parts[4].replace('"Channel"', '"Chan', 1)
    events, account = read(tmp_path, ("[" + ",\n".join(parts) + "]").encode())
    assert {event.file_path for event in events} >= {f"C:\\{number}" for number in (0, 1, 2, 3, 6, 7, 8)}
    assert account.damaged >= 1


def test_array_cut_off(tmp_path: Path) -> None:
    content = json.dumps([NXLOG] * 5).encode()
    events, account = read(tmp_path, content[:-100])
    assert (len(events), account.damaged) == (4, 1)


def test_objects_that_never_end_are_given_up_in_time(tmp_path: Path) -> None:
    begun = time.process_time()
    _, account = read(tmp_path, b"[" + lines(NXLOG)[:-1] + b',{"' * 300_000)
    assert account.parsed == 1
    assert account.damaged >= 1
    assert time.process_time() - begun < 5


def test_random_damage_balances(tmp_path: Path) -> None:
    chance = random.Random(3)
    for indent in (None, 2):
        for content in (lines(*SHAPES.values()), json.dumps(list(SHAPES.values()), indent=indent).encode()):
            for _ in range(30):
                damaged = bytearray(content)
                for _ in range(chance.choice((1, 5, 50))):
                    damaged[chance.randrange(1, len(damaged))] = chance.randrange(256)
                if recognise(bytes(damaged)):
                    read(
                        tmp_path,
                        bytes(
                            damaged[: chance.randrange(len(damaged) // 2, len(damaged))] if chance.random() < 0.3 else damaged
                        ),
                    )


def test_local_time_with_a_false_zone_is_corrected_by_records_that_show_it(tmp_path: Path) -> None:
    def seen(minute: int, **more: Any) -> dict[str, Any]:
        stated = f"2026-03-01T03:{minute:02}:00.250Z"
        base = {"EventID": 11, "Hostname": "ws01.example.com", "TimeCreated": stated, "SourceName": "Microsoft-Windows-Sysmon"}
        return {**base, **DATA, "UtcTime": f"2026-03-01 10:{minute:02}:00.250", **more}

    security = {
        "EventID": 4688,
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "Hostname": "ws01.example.com",
        "TimeCreated": "2026-03-01T03:00:00.250Z",
        "NewProcessName": "C:\\a.exe",
    }
    stale = seen(9, EventID=22, UtcTime="2026-02-28 01:02:03.000", QueryName="files.example.org")
    events, account = read(tmp_path, lines(security, seen(1), seen(2), stale))
    assert [event.time - WHEN for event in events] == [0, 60_000_000, 120_000_000, 540_000_000]
    assert account.notes == ["1 times without UtcTime were shifted by +7 h, as records with both show"]


def test_the_zone_of_nxlog_is_taken_from_its_receiver(tmp_path: Path) -> None:
    value = {
        "EventID": 4688,
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "Hostname": "ws01.example.com",
        "EventTime": "2026-03-01 05:00:00",
        "EventReceivedTime": "2026-03-01 05:00:02",
        "@timestamp": "2026-03-01T10:00:03.100Z",
        "NewProcessName": "C:\\a.exe",
    }
    (event,), _ = read(tmp_path, lines(value))
    assert event.time == WHEN - 250_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"event_type":"http","timestamp":"2026-03-01T10:00:00+0000"}\n',
        b'{"ts":1.0,"uid":"C1","id.orig_h":"192.0.2.1"}\n',
        b'{"process_exec":{"process":{}},"time":"2026-03-01T10:00:00Z"}\n',
        b'{"Id": 4, "Name": "x"}\n',
        b"type=SYSCALL msg=audit(1.0:1)",
        b"\0" * 100,
    ],
)
def test_what_is_no_windows_event_is_not_recognised(content: bytes) -> None:
    assert recognise(content) is None


def test_a_bad_first_record_does_not_hide_the_rest() -> None:
    assert recognise(b'{"EventID": 1, "Sour\n' + lines(NXLOG))
    assert recognise(lines({**NXLOG, "Message": "x" * 70_000})[:65_536])
