from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from windows_inputs import read


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
