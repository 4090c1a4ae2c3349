"""`explain --jsonl`: one answer per line, in order, whatever the line holds."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tidewaiter.cli import explain_lines
from tidewaiter.cli.explain_lines import answer
from tidewaiter.schema.action import Action, ActionKind, Reading


def fake_read(command: str, platform: str) -> Reading:
    if command == "break":
        raise ZeroDivisionError("broken")
    return Reading(actions=(Action(kind=ActionKind.INGRESS, utility=platform, urls=(command,)),))


def answers(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(explain_lines, "read", fake_read)
    target = io.StringIO()
    explain_lines.explain_lines(io.BytesIO(data), target)
    return [json.loads(line) for line in target.getvalue().splitlines()]


def test_answers_come_in_order_with_the_fields_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"id":"a","platform":"linux","command":"x"}\n\n{"id":2,"platform":"windows","command":"y","more":[]}'

    first, second = answers(data, monkeypatch)

    assert list(first)[:7] == ["id", "label", "utility", "urls", "dest", "runs", "actions"]
    assert (first["id"], first["label"], first["urls"]) == ("a", "ingress", ["x"])
    assert (second["id"], second["utility"]) == (2, "windows")


@pytest.mark.parametrize(
    ("line", "number", "problem"),
    [
        (b"{", None, "Expecting"),
        (b"[1]", None, "object"),
        (b"\x00\xff", None, "Expecting"),
        (b"[" * 100_000, None, "recursion"),
        (b'{"id":1,"command":"x"}', 1, "platform"),
        (b'{"id":1,"command":5,"platform":"linux"}', 1, "command"),
        (b'{"id":1,"command":"x","platform":"amiga"}', 1, "platform must be one of"),
        (b'{"id":1,"command":"break","platform":"linux"}', 1, "ZeroDivisionError: broken"),
    ],
    ids=["cut", "no object", "binary", "deep", "no platform", "wrong type", "unknown platform", "reader breaks"],
)
def test_a_bad_line_costs_one_line(line: bytes, number: int | None, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = b'{"id":"good","platform":"linux","command":"x"}'

    bad, after = answers(line + b"\n" + good + b"\n", monkeypatch)

    assert list(bad) == ["id", "error"]
    assert bad["id"] == number
    assert problem.lower() in bad["error"].lower()
    assert after["id"] == "good"


@pytest.mark.parametrize("text", [b"a\xffb", rb"a\ud800b"], ids=["broken UTF-8", "half a pair"])
def test_text_that_is_no_text_is_read_as_far_as_it_is(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = answers(b'{"id":1,"platform":"linux","command":"' + text + b'"}', monkeypatch)

    assert row["urls"] == ["a\ufffdb"]


def test_a_line_without_end_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain_lines, "LONGEST_LINE", 64)
    good = b'{"id":1,"platform":"linux","command":"x"}'

    long, after = answers(b"x" * 1000 + b"\n" + good + b"\n", monkeypatch)

    assert "longer than 64 bytes" in long["error"]
    assert after["id"] == 1


def test_the_strongest_kind_names_the_command_and_gives_all_its_locations() -> None:
    reading = Reading(
        actions=(
            Action(kind=ActionKind.VERIFY_HASH, utility="sha256sum", file="a"),
            Action(kind=ActionKind.INGRESS, utility="curl", urls=("https://example.com/a",)),
            Action(kind=ActionKind.INGRESS, utility="wget", urls=("https://example.com/b",), dest="b", runs=True),
        )
    )

    row = answer(1, reading)

    assert (row.label, row.utility, row.dest, row.runs) == ("ingress", "curl", "b", True)
    assert row.urls == ["https://example.com/a", "https://example.com/b"]


def test_a_command_that_does_nothing_is_benign() -> None:
    row = answer(1, Reading())

    assert (row.label, row.utility, row.urls, row.dest, row.runs) == ("benign", None, [], None, False)
