"""The summary accounts for every record and hides nothing."""

from __future__ import annotations

from tidewaiter.cli.summary import NAMED, size, summary
from tidewaiter.formats.archives import Unreadable
from tidewaiter.schema.account import Account


def account(name: str, kind: str | None, **numbers: int) -> Account:
    made = Account(log_file=name, recognised_as=kind, bytes=numbers.get("bytes", 1000))
    made.parse(numbers.get("parsed", 0))
    if "skipped" in numbers:
        made.skip("no use", numbers["skipped"])
    for line in range(numbers.get("damaged", 0)):
        made.damage_at(f"line {line}", "not JSON")
    return made


def test_inputs_of_a_kind_are_added_up() -> None:
    accounts = [
        account("a", "EVTX", parsed=2, skipped=3),
        account("b", "EVTX", parsed=1, damaged=1),
        account("c", "Zeek", parsed=1),
    ]

    lines = list(summary(accounts, [], {"high": 2, "low": 1000}, 1.25))

    assert lines == [
        "Read 3 inputs, 3.0 kB, in 1.2 s",
        "  EVTX: 2 inputs, 2.0 kB; read 7 records = 3 parsed + 3 skipped + 1 damaged",
        "      skipped 3: no use",
        "  Zeek: 1 input, 1.0 kB; read 1 record = 1 parsed + 0 skipped + 0 damaged",
        "Damaged: 1 record",
        "  b: line 0: not JSON",
        "Found 1,002 transfers: 2 high, 1,000 low",
    ]


def test_what_is_not_named_is_counted() -> None:
    accounts = [account("a", "EVTX", damaged=NAMED + 5)]
    unreadable = [Unreadable(log_file=f"f{n}", place="file", problem="unknown", kind="empty") for n in range(NAMED + 2)]

    lines = list(summary(accounts, unreadable, {}, 0))

    assert "  and 5 more" in lines
    assert "  and 2 more" in lines
    assert f"Not read: {NAMED + 2} inputs" in lines
    assert lines[-1] == "Found 0 transfers"


def test_real_problems_are_named_before_files_that_are_no_logs() -> None:
    quiet = [Unreadable(log_file=f"f{n}", place="file", problem="unknown", kind="empty") for n in range(NAMED)]
    bomb = Unreadable(log_file="z.zip", place="file", problem="ratio", kind="limit")

    lines = list(summary([], [*quiet, bomb], {}, 0))

    assert lines[lines.index(f"Not read: {NAMED + 1} inputs") + 1] == "  z.zip: file: ratio"


def test_hostile_names_are_escaped() -> None:
    accounts = [account("a\x1b[2J", "EV\x1bTX", damaged=1)]
    unreadable = [Unreadable(log_file="x\n\u202ey", place="file", problem="\x9b", kind="limit")]

    text = "".join(summary(accounts, unreadable, {}, 0))

    assert {"\x1b", "\n", "\u202e", "\x9b"} & set(text) == set()


def test_sizes_are_short() -> None:
    assert [size(n) for n in (0, 999, 1000, 2_500_000, 3e12)] == ["0 bytes", "999 bytes", "1.0 kB", "2.5 MB", "3000.0 GB"]
