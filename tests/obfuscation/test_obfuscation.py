"""What is spelled in other words is still read as what it is, and the sieve lets it through to the reader."""

from __future__ import annotations

import functools
import sys
from collections import Counter

import pytest

from obfuscation.generator import FAMILIES, Spelling, families_of, positive, spellings
from tidewaiter.reading.reader import read
from tidewaiter.reading.sieve import ENGINES, TextSieve
from tidewaiter.schema.action import Reading

WAYS_AT_LEAST = 12
RECALL = 0.95
SECONDS = 5.0


@functools.cache
def generated() -> dict[str, list[Spelling]]:
    found: dict[str, list[Spelling]] = {family: [] for family in FAMILIES}
    for spelling in spellings():
        found[spelling.family].append(spelling)
    return found


def urls(reading: Reading) -> list[str]:
    """The sources of the strongest kind of action."""
    strongest = reading.strongest
    return sorted({url for action in reading.actions if strongest and action.kind is strongest.kind for url in action.urls})


@functools.cache
def urls_of_example(command: str, platform: str) -> list[str]:
    return urls(read(command, platform, cpu_seconds=SECONDS))


@pytest.mark.parametrize("family", FAMILIES)
def test_recall_and_sieve(family: str) -> None:
    spelled = generated()[family]
    passed = TextSieve().candidates([spelling.line for spelling in spelled])
    labels = sources = 0
    lost: list[str] = []
    wrong: Counter[str] = Counter()
    for spelling, through in zip(spelled, passed, strict=True):
        reading = read(spelling.line, spelling.platform, cpu_seconds=SECONDS)
        same_label = reading.label == spelling.example.label
        same_urls = urls(reading) == urls_of_example(spelling.example.command, spelling.platform)
        labels += same_label
        sources += same_urls
        if not (same_label and same_urls):
            wrong[spelling.way] += 1
        if reading.label != "benign" and not through:
            lost.append(spelling.line)
    total = len(spelled)
    often = ", ".join(f"{way} {number}" for way, number in wrong.most_common(4))
    sys.stdout.write(
        f"{family:<11} {total:>5} lines: label {labels / total:.4f}, urls {sources / total:.4f}; missed: {often}\n"
    )
    assert labels / total >= RECALL
    assert sources / total >= RECALL
    assert lost == []


@pytest.mark.parametrize("family", FAMILIES)
def test_enough_ways_and_each_of_use(family: str) -> None:
    used = Counter(spelling.way for spelling in generated()[family])
    assert set(used) == set(FAMILIES[family])
    assert len(used) >= WAYS_AT_LEAST
    ways: dict[str, set[str]] = {}
    for spelling in generated()[family]:
        ways.setdefault(spelling.example.command, set()).add(spelling.way)
    few = sum(len(found) < WAYS_AT_LEAST for found in ways.values())
    assert few <= len(ways) // 3, "most examples of a family can be said in a dozen ways"


def test_the_examples_of_all_shells_are_spelled() -> None:
    """Beside those that start with something other than the bare name of a program."""
    spelled = {spelling.example.command for found in generated().values() for spelling in found}
    wanted = [example.command for example in positive() if families_of(example)]
    assert len([command for command in wanted if command not in spelled]) <= len(wanted) // 50


def test_the_sieve_engines_agree_on_what_is_generated() -> None:
    lines = [spelling.line for found in generated().values() for spelling in found[::40]]
    answers = []
    for name, engine in ENGINES.items():
        try:
            engine()
        except ImportError:
            continue
        answers.append(TextSieve(name).candidates(lines))
    assert all(answer == answers[0] for answer in answers)


def test_spellings_are_no_longer_what_they_were() -> None:
    for found in generated().values():
        assert all(spelling.line != spelling.example.command for spelling in found)
