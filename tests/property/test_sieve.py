"""The sieve lets through whatever the reader understands, and its engines agree on every text."""

from __future__ import annotations

import re
import sys
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.catalog import signs, utilities
from tidewaiter.reading import sieve, sieve_patterns
from tidewaiter.reading.sieve import ENGINES, TextSieve

POSITIVE = sorted({e.command for u in utilities.load().utilities for e in u.example if e.label != "benign"})
HARMLESS = [
    r"cmd.exe /c dir",
    "python3 script.py",
    "sudo systemctl restart x",
    r"C:\WINDOWS\system32\svchost.exe -k netsvcs -p -s Schedule",
    "/usr/lib/systemd/systemd --user",
    'powershell.exe -NoProfile -File "C:\\jobs\\clean up.ps1"',
    "docker ps -a",
    "git status",
    "date +%s",
    "",
    " ",
]
ALPHABET = st.sampled_from(list("curlwgetIWRx \"'`^%$!{}()[]|&;<>@+-,.:/\\\t\n\0=0123é\u212a\u2013\u202e\ud800"))


def available(engine: str) -> bool:
    try:
        ENGINES[engine]()
    except ImportError:
        return False
    return True


ENGINES_HERE = [name for name in ENGINES if available(name)]


@pytest.mark.parametrize("engine", ENGINES_HERE)
def test_every_positive_example_passes(engine: str) -> None:
    answers = TextSieve(engine).candidates(POSITIVE)
    assert [text for text, passed in zip(POSITIVE, answers, strict=True) if not passed] == []


@pytest.mark.parametrize("engine", ENGINES_HERE)
def test_harmless_lines_stay_out(engine: str) -> None:
    assert TextSieve(engine).candidates(HARMLESS) == [False] * len(HARMLESS)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=40) | st.sampled_from(POSITIVE + HARMLESS), max_size=12))
def test_engines_agree(texts: list[str]) -> None:
    answers = [TextSieve(engine).candidates(texts) for engine in ENGINES_HERE]
    assert all(answer == answers[0] for answer in answers)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=30) | st.sampled_from(POSITIVE), max_size=12))
def test_a_text_is_judged_alone(texts: list[str]) -> None:
    together = TextSieve(ENGINES_HERE[0]).candidates(texts)
    assert together == [TextSieve(ENGINES_HERE[0]).candidates([text])[0] for text in texts]
    assert len(together) == len(texts)


def test_few_texts_pass_unseen_and_many_are_sieved() -> None:
    one = TextSieve()

    assert one.candidates(HARMLESS) == [True] * len(HARMLESS)
    one.candidates([f"svchost.exe -k {'n' * number}" for number in range(sieve.FEW)])
    assert one.candidates(["date +%F", "curl example.org/a"]) == [False, True]


def test_texts_that_are_too_long_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "JOINED", 100)
    texts = ["x" * 300, "y" * 60, "curl example.org/a", "z" * 90 + " `w`g`e`t a", "", "v" * 40]
    assert TextSieve(ENGINES_HERE[0]).candidates(texts) == [False, False, True, True, False, False]


def test_what_was_seen_before_is_answered_alike() -> None:
    one = TextSieve(ENGINES_HERE[0])
    texts = [*POSITIVE[:20], *HARMLESS]
    assert one.candidates(texts) == one.candidates(texts) == [True] * 20 + [False] * len(HARMLESS)


def test_lines_that_differ_in_numbers_are_one() -> None:
    one = TextSieve(ENGINES_HERE[0])
    assert one.candidates([f"worker --shard {number}" for number in range(1_000, 9_999)]) == [False] * 8_999
    assert len(one._decided) == 1
    assert one.candidates(["sha256sum /tmp/k", "echo Y3VybA|base64 -d", "gpg2 --verify a b"]) == [True] * 3


def test_signs_spell_no_digit_but_nought() -> None:
    """Every digit of a text is read as 0, so that a pattern with any other digit would never match."""
    for sign in signs.load():
        for pattern in sign.patterns:
            literal = re.sub(r"\\x00|\{[\d,]+\}|\[(?:\\.|[^\]\\])+\]", "", pattern)
            assert not re.search("[1-9A-Z]", literal.replace("\\D", "")), pattern
            assert all("0" in found for found in re.findall(r"\[[^\]]*[0-9]-[0-9][^\]]*\]", pattern)), pattern


def test_without_hyperscan_and_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("hyperscan", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    for engine in (*ENGINES.values(), sieve._first_of):
        engine.cache_clear()  # type: ignore[attr-defined]
    try:
        with pytest.raises(ImportError):
            TextSieve("hyperscan")
        monkeypatch.setattr(sieve, "FEW", 0)
        assert TextSieve().candidates(["curl example.com/x", "svchost -k"]) == [True, False]
    finally:
        monkeypatch.undo()
        for engine in (*ENGINES.values(), sieve._first_of):
            engine.cache_clear()  # type: ignore[attr-defined]


def test_a_new_utility_is_found_without_a_change_here() -> None:
    """The names come from the catalog: a program with a form that needs no address is looked for by name."""
    text = (resources.files("tidewaiter") / "knowledge" / "utilities" / "wget.toml").read_text(encoding="utf-8")
    renamed = text.replace("wget", "fetchling")
    utility = utilities.parse_utility(renamed, "fetchling.toml")
    assert any("fetchling" in names and not words for names, words in sieve_patterns.of_utilities([utility]))
