from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from log_writer import SYSMON, Windows
from tidewaiter.formats.windows import WindowsReader
from tidewaiter.log_source import HEAD_BYTES, Opened, WindowsRecord, windows
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import EventKind
from windows_inputs import read

if TYPE_CHECKING:
    from tidewaiter.schema.batch import Needs


def script(number: int, total: int, text: str = "a", script_id: str = "1") -> dict[str, Any]:
    return {
        "EventID": 4104,
        "SourceName": "Microsoft-Windows-PowerShell",
        "EventTime": "2026-03-01T10:00:00Z",
        "MessageNumber": str(number),
        "MessageTotal": str(total),
        "ScriptBlockText": text,
        "ScriptBlockId": script_id,
    }


def lines(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def test_a_record_that_its_source_refuses_costs_itself(tmp_path: Path) -> None:
    events, account = read(tmp_path, lines(script(1, 1), script(5, 2), script(1, 1)))
    assert [event.record for event in events] == ["1", "3"]
    assert [damage.place for damage in account.damage] == ["line 2"]


def test_held_parts_count_as_parsed_and_come_at_the_end(tmp_path: Path) -> None:
    events, account = read(tmp_path, lines(script(2, 3), script(1, 1, "x", "2"), script(1, 1, "", "3")))
    assert [event.record for event in events] == ["2", "1"]
    assert events[1].extra == {"script_block_id": "1", "missing_parts": [1, 3]}
    assert account.parsed == 2
    assert sum(account.skipped.values()) == 1


def test_scripts_that_never_end_are_given_up_in_bounds(tmp_path: Path) -> None:
    events, account = read(tmp_path, lines(*(script(1, 2, "x", str(number)) for number in range(3000))))
    assert [event.record for event in events] == [str(number + 1) for number in range(3000)]
    assert account.parsed == 3000


class OnlyStarts:
    """Somebody who needs nothing but process starts one by one."""

    kinds = frozenset({EventKind.PROCESS_START})


def test_what_nobody_needs_is_counted_to_the_same_account(tmp_path: Path) -> None:
    log = Windows("ws01.example.com")
    for number in range(4_500):
        log.add(number, SYSMON, (1, 5, 11, 13, 2, 23)[number % 6], ProcessId=number, Image="C:\\a.exe")
    other = Windows("ws02.example.com")
    other.add(9_000, SYSMON, 5, UtcTime="1970-01-01 00:00:00.001", ProcessId=3)
    other.add(9_001, SYSMON, 5, ProcessId=3)
    content = "".join(f"{line}\n" for line in (*log.lines, *other.lines, "{}", log.lines[1][:90])).encode()
    path = tmp_path / "events.json"
    path.write_bytes(content)
    opened = Opened(path=path, log_file="events.json", size=len(content), head=content[:HEAD_BYTES])
    told, spared = Account(log_file="events.json"), Account(log_file="events.json")
    all_events = [event for batch in WindowsReader([entry.load() for entry in windows()]).read(opened, told) for event in batch]
    reader = WindowsReader([entry.load() for entry in windows()])
    reader.spare(cast("Needs", OnlyStarts()))
    some = [event for batch in reader.read(opened, spared) for event in batch]

    assert spared == told
    assert told.balanced
    assert [event for event in some if event.kind is EventKind.PROCESS_START] == [
        event for event in all_events if event.kind is EventKind.PROCESS_START
    ]
    shown = [(event.host, event.kind) for event in some if event.kind not in (EventKind.PROCESS_START, EventKind.FILE_CREATE)]
    assert len(shown) == len(set(shown)) == 5, "one of each kind and computer"


def test_a_source_says_rightly_what_its_records_become() -> None:
    for entry in windows():
        source = entry.load()
        for provider, ids in source.providers.items():
            for event_id in ids & set(getattr(source, "kinds", {})):
                record = WindowsRecord(
                    provider=provider, event_id=event_id, channel=None, computer=None, time=5, log_file="a", record="1", data={}
                )
                made = list(source.events(record))
                assert [(event.kind, event.time) for event in made] == [(source.kinds[event_id], source.moment(record))]
                assert made[0].log_source == entry.name
