"""Records that are read quickly give exactly what they give when every one is read as the odd ones are."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter import log_source
from tidewaiter.baseline.observing import KINDS
from tidewaiter.correlation import keys, wire_keys
from tidewaiter.formats import windows_quick
from tidewaiter.formats.windows import WindowsReader
from tidewaiter.log_source import HEAD_BYTES, Opened
from tidewaiter.log_sources import windows_sysmon
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

sys.path.append(str(Path(__file__).parent.parent.parent / "bench"))
import generate

from evtx_writer import Entry, evtx

SAMPLES = Path(__file__).parent.parent.parent / "samples"
USUAL: dict[str, Any] = {
    "EventTime": "2026-01-02 12:00:01",
    "Hostname": "ws01.example.com",
    "SourceName": "Microsoft-Windows-Sysmon",
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "UtcTime": "2026-01-02 10:00:01.500",
    "ProcessGuid": "{0a1b2c3d-0001-6958-0fa1-000000000fa1}",
    "ProcessId": 4001,
    "Image": "C:\\Windows\\System32\\curl.exe",
    "CommandLine": "curl -O http://files.example.org/a%%20b",
    "User": "EXAMPLE\\ann",
    "Hashes": "SHA1=0123456789012345678901234567890123456789,IMPHASH=00000000000000000000000000000000",
    "TargetFilename": "C:\\Users\\ann\\a.exe",
    "QueryName": "files.example.org",
    "QueryResults": "type:  5 a.example.net;::ffff:198.51.100.7;",
    "Message": "said",
}
ODD = (
    *("1.5", "1e400", "null", "true", "[1]", '{"a": 1}', "9" * 30, "01", "7", "22", "-1"),
    *('""', '"-"', '"\\u0000"', '"\\ud800"', '"0x1f"', '"%%"', '"\u00e9"', '"' + "x" * 5_000 + '"'),
    *('"2026-01-02T10:00:00Z"', '"microsoft-windows-SYSMON"', '"2026-01-02 10:00:01.5"', '"2026-01-02 10:00:01.5٣0"'),
)
"""JSON texts of values."""
KEYS = (
    *USUAL,
    "System",
    "EventData",
    "@timestamp",
    "fields",
    "Event",
    "UserID",
    "ExecutionProcessID",
    "event_id",
    "\\u0045ventID",
)


def told(path: Path, *, spare: bool) -> tuple[list[Event], Account]:
    reader = WindowsReader([entry.load() for entry in log_source.windows()])
    if spare:
        reader.spare(wire_keys.needs(keys.CONTEXT | KINDS))
    account = Account(log_file="x")
    content = path.read_bytes()
    opened = Opened(path=path, log_file="x", size=len(content), head=content[:HEAD_BYTES])
    events = [event for batch in reader.read(opened, account) for event in batch]
    assert account.balanced
    return events, account


def same(path: Path) -> None:
    """Read both ways, sparing and not, and demand that nothing differs."""
    for spare in (False, True):
        quick = told(path, spare=spare)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(windows_sysmon.Source, "quick", {})
            assert quick == told(path, spare=spare)


@pytest.mark.parametrize(
    "path", sorted(SAMPLES.glob("windows_*/*/input*")), ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}"
)
def test_samples(path: Path) -> None:
    same(path)


def test_a_generated_day_is_read_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate.windows_json(tmp_path / "day.json", 400_000, wanted_only=True)
    same(tmp_path / "day.json")
    read, counts = windows_quick.QuickLines.read, [0, 0]

    def counting(self: windows_quick.QuickLines, line: bytes, number: int, about: windows_quick.About) -> Event | bool | None:
        found = read(self, line, number, about)
        counts[found is None] += 1
        return found

    monkeypatch.setattr(windows_quick.QuickLines, "read", counting)
    told(tmp_path / "day.json", spare=True)
    assert counts[0] > 500 > 50 * counts[1]


def test_broken_bytes(tmp_path: Path) -> None:
    generate.windows_json(tmp_path / "day.json", 60_000)
    content = (tmp_path / "day.json").read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        (tmp_path / "broken.json").write_bytes(broken(content, chance))
        same(tmp_path / "broken.json")


def broken(content: bytes, chance: random.Random) -> bytes:
    """Some bytes are others, left out, or doubled elsewhere."""
    made = bytearray(content)
    for _ in range(chance.randrange(1, 40)):
        place, kind = chance.randrange(len(made)), chance.randrange(3)
        if kind == 0:
            made[place] = chance.choice((0, 1, 9, 10, 13, 34, 44, 92, 123, 125, 192, 255))
        elif kind == 1:
            del made[place : place + chance.randrange(1, 30)]
        else:
            start = chance.randrange(len(content))
            made[place:place] = content[start : start + chance.randrange(40)]
    return bytes(made)


def test_events_of_a_file_with_odd_values(tmp_path: Path) -> None:
    """EVTX has texts, or for XML that is no usual event anything; both ways take the same."""
    origin = (
        "Microsoft-Windows-Sysmon",
        "2026-01-02T10:00:01.600000+00:00",
        "ws01.example.com",
        "Microsoft-Windows-Sysmon/Operational",
    )
    chance, entries = random.Random(3), []
    for number in range(400):
        named = {name: str(value) for name, value in list(USUAL.items())[5:]}
        for name in chance.sample(sorted(named), chance.randrange(4)):
            named.pop(name) if chance.random() < 0.5 else named.update(
                {name: chance.choice(("", "-", "0x1f", "%%", "Zażółć", "7"))}
            )
        if chance.random() < 0.05:
            named["Data"] = "more"
        if chance.random() < 0.1:
            named = dict(list(named.items())[: chance.randrange(4)])
        event_id = chance.choice((1, 3, 5, 7, 11, 13, 22, 23))
        entries.append(Entry(origin[0], event_id, number + 1, named, origin[1], origin[2], origin[3]))
    for start in range(0, len(entries), 20):  # more would need more templates than a chunk holds
        (tmp_path / "odd.evtx").write_bytes(evtx(entries[start : start + 20]))
        same(tmp_path / "odd.evtx")


def test_a_generated_file_and_damage_in_it(tmp_path: Path) -> None:
    generate.evtx_folder(tmp_path, 1)
    (path,) = tmp_path.glob("*.evtx")
    content = path.read_bytes()[: 4096 + 3 * 65_536]
    path.write_bytes(content)
    same(path)
    chance = random.Random(7)
    for _ in range(40):
        path.write_bytes(broken(content, chance))
        same(path)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A usual line of which some values are odd, absent, doubled, or of another kind."""
    parts = [(key, json.dumps(value)) for key, value in USUAL.items()]
    event_id = draw(st.sampled_from((1, 3, 5, 11, 13, 22, 23, 4688)))
    parts = [(key, str(event_id) if key == "EventID" else value) for key, value in parts]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(parts)))
        parts.insert(place, (draw(st.sampled_from(KEYS)), draw(st.sampled_from(ODD))))
    for _ in range(draw(st.integers(0, 2))):
        del parts[draw(st.integers(0, len(parts) - 1))]
    space = draw(st.sampled_from(("", " ")))
    return "{" + ",".join(f'"{key}":{space}{value}' for key, value in parts) + "}"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines(), min_size=1, max_size=6))
def test_odd_values(tmp_path: Path, some: list[str]) -> None:
    (tmp_path / "odd.json").write_text(json.dumps(USUAL) + "\n" + "\n".join(some) + "\n", encoding="utf-8")
    same(tmp_path / "odd.json")
