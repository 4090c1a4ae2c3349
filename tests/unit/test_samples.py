"""Every folder tests/samples/<log source>/<case>/: reading input.* gives exactly events.jsonl, and the account balances.

With UPDATE_GOLDEN=1 in the environment the golden files are rewritten instead of compared; read the difference before
committing it. The events' `log_file` is the name of the input file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tidewaiter.errors import MissingProgramError
from tidewaiter.log_source import HEAD_BYTES, REGISTER, Entry, Opened, windows
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

SAMPLES = Path(__file__).parent.parent / "samples"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
ENTRIES = {entry.name: entry for entry in REGISTER}
CASES = sorted(path for path in SAMPLES.glob("*/*") if path.is_dir() and any(path.glob("input.*")))


def name_of(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def open_case(case: Path) -> Opened:
    (found,) = case.glob("input.*")
    head = found.read_bytes()[:HEAD_BYTES]
    return Opened(path=found, log_file=found.name, size=found.stat().st_size, head=head)


def read_case(entry: Entry, opened: Opened, account: Account) -> Iterator[list[Event]]:
    if entry.family == "windows":
        from tidewaiter.formats.windows import WindowsReader

        return WindowsReader([each.load() for each in windows()]).read(opened, account)
    source = entry.load()
    assert source.recognise(opened.head), f"{entry.name} does not recognise its own sample"
    batches: Iterator[list[Event]] = source.read(opened, account)
    return batches


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_sample_reads_as_its_golden_events(case: Path) -> None:
    entry = ENTRIES[case.parent.name]
    opened = open_case(case)
    account = Account(log_file=opened.log_file, bytes=opened.size)
    try:
        events = [event for batch in read_case(entry, opened, account) for event in batch]
    except MissingProgramError as error:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            raise
        pytest.skip(str(error))  # says which program is missing: it is no part of the repository

    assert account.balanced
    assert account.recognised_as
    assert sum(account.kinds.values()) == len(events)
    assert len({event.id for event in events}) == len(events), "ids of events must be unique"
    assert {event.log_file for event in events} <= {opened.log_file}

    golden = case / "events.jsonl"
    lines = [msgspec.json.encode(event).decode() for event in events]
    if UPDATE:
        golden.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    expected = golden.read_text(encoding="utf-8").splitlines() if golden.exists() else []
    assert lines, "a sample shows at least one event"
    assert [msgspec.json.decode(line) for line in lines] == [msgspec.json.decode(line) for line in expected]


def test_every_case_belongs_to_a_registered_log_source() -> None:
    assert {path.parent.name for path in CASES} <= set(ENTRIES)
