"""Sysmon for Linux, shell histories and the ESXi shell log: recognising, and hostile input."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tidewaiter.log_source import HEAD_BYTES, Entry, Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, encode

SAMPLES = Path(__file__).parent.parent / "samples"
SOURCES = ("linux_auditd", "linux_sysmon", "linux_shell_history", "esxi_shell")
CASES = [case for name in SOURCES for case in sorted((SAMPLES / name).iterdir())]


def read(name: str, path: Path, content: bytes, log_file: str = "a.log") -> tuple[list[Event], Account]:
    path.write_bytes(content)
    account = Account(log_file=log_file)
    opened = Opened(path=path, log_file=log_file, size=len(content), head=content[:HEAD_BYTES])
    events = [event for batch in Entry(name, "stream").load().read(opened, account) for event in batch]
    assert account.balanced
    assert sum(account.kinds.values()) == len(events)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        encode(event)
    return events, account


def content_of(case: Path) -> bytes:
    (found,) = case.glob("input.*")
    return found.read_bytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_each_sample_is_recognised_by_its_own_source_only(case: Path) -> None:
    head = content_of(case)
    assert [name for name in SOURCES if Entry(name, "stream").load().recognise(head)] == [case.parent.name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_flipped_bits_and_cuts(case: Path, tmp_path: Path) -> None:
    content = content_of(case)
    for seed in range(25):
        chance = random.Random(seed)
        broken = bytearray(content)
        for _ in range(1 + len(content) // 500):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        read(case.parent.name, tmp_path / "a", bytes(broken))
        read(case.parent.name, tmp_path / "a", content[: chance.randrange(len(content))])


FILLERS = [
    b"<Event>",
    b"<Event><Data Name='x'>",
    b"</Event>",
    b":node=",
    b"a",
    b" a=",
    b'="',
    b"\x1b[0",
    b"\n#1767348000",
    b": 1767348000:0;x\n",
    b"\n2026-01-02T10:00:00Z shell[1]: ",
    b"\x83",
]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("filler", FILLERS)
def test_no_input_takes_more_than_linear_time(name: str, filler: bytes, tmp_path: Path) -> None:
    record = b" type=USER_CMD msg=audit(1767348000.000:1): "
    content = filler * (700_000 // len(filler)) + record + filler * 20_000 + b"\nend"
    start = time.process_time()
    Entry(name, "stream").load().recognise(content[:HEAD_BYTES])
    read(name, tmp_path / "a", content)
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("bash_history.ann", "ann"),
        (".bash_history", None),
        ("case.zip!home/ann/.zsh_history", "ann"),
        ("/evidence/root/.bash_history", "root"),
        ("C:\\copy\\Users\\ann\\.sh_history", "ann"),
        ("zsh_history.txt", None),
        (".history", None),
    ],
)
def test_a_history_without_times_is_known_by_its_name_only(name: str, user: str | None, tmp_path: Path) -> None:
    content = b"cd /tmp\ncurl -O http://files.example.org/a \\\n  -o b\n\nls\n"
    source = Entry("linux_shell_history", "stream").load()
    assert source.recognise(content) is None
    assert "name" in source.recognise_named(content, name)
    events, account = read("linux_shell_history", tmp_path / "a", content, name)
    assert [event.command_line for event in events] == ["cd /tmp", "curl -O http://files.example.org/a \\\n  -o b", "ls"]
    assert {(event.user, event.time) for event in events} == {(user, 0)}
    assert events[0].extra == {"untimed": True}
    assert (account.parsed, account.skipped) == (4, {"blank line": 1})


@pytest.mark.parametrize("name", ["notes.txt", "history.bin.gz.part", "bash.log", "prehistory"])
def test_other_names_are_no_history(name: str) -> None:
    assert Entry("linux_shell_history", "stream").load().recognise_named(b"cd /tmp\n", name) is None


def test_a_binary_file_is_no_history() -> None:
    assert Entry("linux_shell_history", "stream").load().recognise_named(b"cd\0/tmp\n", ".bash_history") is None


def test_a_script_with_a_number_in_a_comment_is_no_history() -> None:
    source = Entry("linux_shell_history", "stream").load()
    assert source.recognise(b"#!/bin/sh\n# run at\n#1767348000\n" + b"echo a\n" * 30) is None


def test_sysmon_counts_events_that_break_off(tmp_path: Path) -> None:
    content = content_of(SAMPLES / "linux_sysmon" / "in_syslog")
    _, account = read("linux_sysmon", tmp_path / "a", content)
    assert account.damaged == 1
    assert account.skipped == {"line outside a Sysmon event": 2, "Sysmon event 16": 1, "blank line": 1}
