"""Escaping for people: nothing of a log can move the cursor, reorder a line or hide."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.output import named, printable

REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Grüße, 日本", "plain text, Grüße, 日本"),
        ("C:\\new\\x1b", "C:\\new\\x1b"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\nb\tc\x00", "a\\x0d\\x0ab\\x09c\\x00"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("exe.\u202egpj", "exe.\\u202egpj"),
        ("a\u2066b\u2028c", "a\\u2066b\\u2028c"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_hidden_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=40))
def test_what_is_shown_is_one_line_that_every_stream_takes(text: str) -> None:
    shown = printable(text)

    assert {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert {unicodedata.bidirectional(c) for c in shown} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    } == set()
    assert printable(shown) == shown
    assert shown.encode("utf-8").decode() == shown


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(KeyError):
        named("no such output")
