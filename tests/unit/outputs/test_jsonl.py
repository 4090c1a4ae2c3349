"""JSON lines: the contract, with every terminal control as a JSON escape."""

from __future__ import annotations

import io
import json

import msgspec

from tidewaiter.outputs.jsonl import Output
from tidewaiter.schema.transfer import STAGES, Transfer


def written(transfers: list[Transfer]) -> str:
    stream = io.StringIO()
    Output().write(iter(transfers), stream)
    return stream.getvalue()


def test_a_line_holds_every_field_of_the_contract(plain: Transfer) -> None:
    row = json.loads(written([plain]))

    first = ["id", "time", "device", "user", "utility", "process", "direction", "protocol", "src", "dst", "file", "stages"]
    last = ["outcome", "techniques", "severity", "score", "confidence", "reasons", "evidence"]
    assert list(row) == first + last
    assert list(row["stages"]) == list(STAGES)
    assert row["stages"]["commanded"] == {"state": "seen", "time": "2026-03-01T12:00:00Z", "evidence": [0]}
    assert row["file"]["md5"] is None
    assert msgspec.json.decode(written([plain]), type=Transfer) == plain


def test_hostile_texts_are_escaped_and_read_back_unchanged(hostile: Transfer) -> None:
    text = written([hostile, hostile])

    assert text.count("\n") == 2
    assert {"\x1b", "\x9b", "\r", "\x00", "\u202e"} & set(text) == set()
    for line in text.splitlines():
        assert json.loads(line)["utility"] == (hostile.utility or "").replace("\ud800", "?")


def test_a_text_without_half_pairs_is_read_back_exactly(plain: Transfer) -> None:
    plain.utility = "a\x9b\u202e\U000e0041\u2028 日本"

    text = written([plain])

    assert text.count("\n") == 1
    assert "\\u202e" in text
    assert json.loads(text)["utility"] == plain.utility
