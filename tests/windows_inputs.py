"""Reads bytes through the windows reader with all its log sources, for tests."""

from __future__ import annotations

from pathlib import Path

from tidewaiter.formats.windows import WindowsReader
from tidewaiter.log_source import HEAD_BYTES, Opened, windows
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event


def read(folder: Path, content: bytes, name: str = "input.bin") -> tuple[list[Event], Account]:
    path = folder / name
    path.write_bytes(content)
    account = Account(log_file=name, bytes=len(content))
    opened = Opened(path=path, log_file=name, size=len(content), head=content[:HEAD_BYTES])
    batches = list(WindowsReader([entry.load() for entry in windows()]).read(opened, account))
    assert all(len(batch) <= 2000 for batch in batches)
    assert account.balanced
    events = [event for batch in batches for event in batch]
    assert sum(account.kinds.values()) == len(events)
    return events, account
