"""Tests of captures need Suricata 7, some need tshark: missing, they are skipped, never in continuous integration."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tidewaiter.errors import MissingProgramError
from tidewaiter.formats import capture_suricata
from tidewaiter.log_source import HEAD_BYTES, Opened
from tidewaiter.log_sources.packet_capture import Source
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

Read = Callable[[Path], tuple[list[Event], Account]]


def missing(what: str) -> None:
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{what}: run tests/captures/install.sh")
    pytest.skip(f"{what}: tests/captures/install.sh installs it")


@pytest.fixture(scope="session")
def suricata() -> capture_suricata.Program:
    try:
        return capture_suricata.find()
    except MissingProgramError as error:
        missing(str(error))
        raise


@pytest.fixture(scope="session")
def tshark() -> str:
    found = shutil.which("tshark")
    if found is None:
        missing("tshark is not installed")
    return str(found)


@pytest.fixture
def read(suricata: capture_suricata.Program) -> Read:
    """Reads a capture as the log source does: its events and its account."""

    def reading(path: Path) -> tuple[list[Event], Account]:
        data = path.read_bytes()
        opened = Opened(path=path, log_file=path.name, size=len(data), head=data[:HEAD_BYTES])
        account = Account(log_file=path.name)
        source = Source()
        assert source.recognise(opened.head)
        events = [event for batch in source.read(opened, account) for event in batch]
        assert account.balanced
        assert len({event.id for event in events}) == len(events)
        return events, account

    return reading
