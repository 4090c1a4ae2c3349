"""The constant evaluation inside shell words."""

from __future__ import annotations

import pytest

from tidewaiter.reading.bash_constants import ansi_c, arithmetic, braces, echo_escapes, replace_pattern, strip_pattern


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("0x10 + 010 + 2#101", 29),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("2**10 >> 1", 512),
        ("x + 1", 6),
        ("5 > 4 && !0", 1),
        ("1 / 0", None),
        ("y", None),
        ("1 +", None),
        ("2 ** 9999", None),
        ("(" * 200, None),
    ],
)
def test_arithmetic(text: str, value: int | None) -> None:
    assert arithmetic(text, {"x": "5"}.get) == value


def test_escapes() -> None:
    assert ansi_c(r"\x63\165\u0072l\n\'") == "curl\n'"
    assert ansi_c(r"\xc3\xa9") == "é"
    assert echo_escapes(r"\0143url\c ignored") == "curl"


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("a{b,c}d", ["abd", "acd"]),
        ("{1..3}", ["1", "2", "3"]),
        ("{03..01}", ["03", "02", "01"]),
        ("{a..e..2}", ["a", "c", "e"]),
        ("{a,{b,c}}{1,2}", ["a1", "a2", "b1", "b2", "c1", "c2"]),
        ("{a}", ["{a}"]),
        ("${a,b}", ["${a,b}"]),
        ("'{a,b}'", ["'{a,b}'"]),
        ("{a", ["{a"]),
    ],
)
def test_braces(word: str, words: list[str]) -> None:
    assert braces(word) == words


def test_braces_are_bounded() -> None:
    assert len(braces("{a,b}" * 40)) <= 256


def test_patterns() -> None:
    assert strip_pattern("/usr/bin/curl", "##", "*/") == "curl"
    assert strip_pattern("a.tar.gz", "%%", ".*") == "a"
    assert strip_pattern("abcabc", "%", "b?") == "abca"
    assert replace_pattern("a.b.c", "/", ".", "-") == "a-b-c"
    assert replace_pattern("xaybz", "/", "[ab]", "") == "xyz"
    assert replace_pattern("a" * 5_000, "/", "*a*b", "") is None
