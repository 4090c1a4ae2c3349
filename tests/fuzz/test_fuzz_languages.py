"""No text of any language makes the reader fail, hang or grow without bound, and what it left out it says.

The bound of the project is 50 ms of CPU for a line of 32 KB; the tests allow ten times that, because other programs share
the machine, and print what they measured.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adversarial_lines import CODE, LINES, Maker
from tidewaiter.catalog import languages, utilities
from tidewaiter.reading import follow
from tidewaiter.reading import languages as reading_languages
from tidewaiter.reading.reader import LONGEST, read
from tidewaiter.schema.action import Reading

PLATFORMS = ("windows", "linux", "network")
LANGUAGES = sorted({one.name for one in languages.load().values()})
SHELLS = ("bash", "cmd", "powershell", "network")
SESSIONS = ("ftp", "tftp", "sftp", "lftp", "smbclient", "winscp", "crontab")
EXAMPLES = [(example.command, example.platform) for utility in utilities.load().utilities for example in utility.example]
LINE = 32_768
ALLOWED = 0.5
MEGABYTE = 1_000_000
PIECES = [
    "curl", "wget -O- ", "iex ", "iwr ", "certutil -urlcache -f ", "cmd /c ", "powershell -enc ", "sh -c ", "python -c ",
    "perl -e ", "http://files.example.com/a", "\\\\192.0.2.1\\x\\a", "user@host.example.org:/a", " ", "\t", "\n", "\r\n",
    "'", "\"", "`", "\\", "^", "%", "!", "$", "$(", "${", "$((", "(", ")", "{", "}", "[", "]", "[[", "]]", "|", "||", "&",
    "&&", ";", ";;", "<", "<<", "<<E\n", "<<<", ">", ">>", "<(", "E\n", "x=", "$x", "%x%", "!x!", "%x:~0,1%", "${x:0:1}",
    "${x//a/b}", "$'\\x63'", "set ", "set /a ", "call ", "for ", "for /f %a in (", "do ", "done", "if ", "then ", "fi",
    "else ", "case x in ", "esac", "eval ", "echo ", "printf ", "base64 -d", "rev", "xxd -r -p", "-f", "-join", "-replace",
    "-split", "[char]", "::", "@(", "@{", "@'\n", "\n'@", "%{", "foreach($i in 1..9){", "while($true){", "+", "+=", "-",
    ",", ".", "=", "*", "?", "/", "//", "--", "0", "99999999", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "QUFBQUFBQUFBQUFBQUFBQQ==", "\u0000", "\u202e", "\u200b", "\ud800", "\udfff", "\u00e9", "\uff43", "import os;",
    "exec(", "eval(", "system(", "chr(99)", "function f(){", "def f():\n ", "lambda:", "#{", "q{", "qx{", "=>", "->", "/*",
    "*/", "<#", "#>", "#", "rem ", "get ", "put ", "open ",
]  # fmt: skip


def check(reading: Reading) -> None:
    """What holds for every answer."""
    assert all(0 <= action.confidence <= 100 for action in reading.actions)
    if reading.limits:
        assert all(action.confidence <= 50 for action in reading.actions)
        assert len(set(reading.limits)) == len(reading.limits)
    assert len(reading.steps) <= 50
    assert sum(len(step.text) for step in reading.steps) < 1_000_000
    assert not [limit for limit in reading.limits if "could not be read" in limit], reading.limits


def say(name: str, seconds: float, more: str) -> None:
    """The real figure, shown by `pytest -s`."""
    sys.stdout.write(f"{name:<28} {seconds * 1000:6.0f} ms  {more}\n")


def best_of_three(work: Callable[[], Reading]) -> tuple[float, Reading]:
    """CPU seconds of the fastest of three rounds; one is enough where it is fast."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        reading = work()
        best = min(best, time.process_time() - start)
        if best < 0.05:
            break
    return best, reading


@pytest.fixture(scope="module", autouse=True)
def _ready() -> None:
    """What is loaded once is not counted."""
    read("iex (iwr http://files.example.com/a)", "windows")
    read("curl http://files.example.com/a | sh", "linux")
    read("x", language="python")


@pytest.mark.parametrize("name", LINES)
def test_adversarial_line(name: str, record_property: Callable[[str, object], None]) -> None:
    platform, make = LINES[name]
    line = make(LINE)
    assert len(line) > LINE // 2 or name in ("ps encoded again", "sh quoted again")
    spent, reading = best_of_three(lambda: read(line, platform))
    record_property("cpu_seconds", spent)
    check(reading)
    say(name, spent, "; ".join(reading.limits))
    assert spent < ALLOWED


@pytest.mark.parametrize("language", [*LANGUAGES, "powershell", "cmd", "bash"])
def test_adversarial_code(language: str) -> None:
    worst = (0.0, "")
    for name, make in CODE.items():
        spent, reading = best_of_three(lambda make=make: read(make(LINE), language=language, cpu_seconds=0.01))  # type: ignore[misc]
        check(reading)
        worst = max(worst, (spent, name))
    say(language, *worst)
    assert worst[0] < ALLOWED, worst


@pytest.mark.parametrize("name", LINES)
def test_a_megabyte(name: str) -> None:
    platform, make = LINES[name]
    line = make(MEGABYTE)
    took, reading = best_of_three(lambda: read(line, platform))
    assert took < 3 * ALLOWED
    check(reading)
    if len(line) > LONGEST:
        assert f"only the first {LONGEST} characters were read" in reading.limits


@pytest.mark.parametrize("size", [10_000, 30_000])
@pytest.mark.parametrize(
    "opening", ["'", '"', "(", "{", "[", "$(", "${", "`", "<(", "@(", "@{", '"$(', "((", "if(1){", "sh -c '", 'cmd /c "']
)
def test_ten_thousand_nested(opening: str, size: int) -> None:
    for platform in PLATFORMS:
        start = time.process_time()
        check(read(opening * size, platform))
        assert time.process_time() - start < 3 * ALLOWED


@pytest.mark.parametrize(
    ("line", "platform"),
    [
        ("x=aaaaaaaaaaaaaaaa;" + "x=$x$x;" * 40 + "curl http://files.example.com/$x", "linux"),
        ("cmd /v:on /c set x=aaaaaaaaaaaaaaaa&" + "set x=!x!!x!&" * 40 + "curl http://files.example.com/!x!", "windows"),
        ("$x='aaaaaaaaaaaaaaaa';" + "$x+=$x;" * 40 + "iwr http://files.example.com/$x", "windows"),
        ("curl http://files.example.com/" + "{a,b}" * 40, "linux"),
        ("curl http://files.example.com/a;" + "x=" + "{1..9}" * 12 + ";eval $x", "linux"),
    ],
)
def test_what_is_left_out_is_said(line: str, platform: str) -> None:
    reading = read(line, platform)
    check(reading)
    if reading.limits:
        assert all(action.confidence <= 50 for action in reading.actions)
    else:  # it may also stay as spelled: then nothing was left out and nothing grew
        assert all(len(url) < 100_000 for action in reading.actions for url in action.urls)


def test_a_bound_lowers_confidence_and_is_named() -> None:
    reading = read("curl -o /tmp/a http://files.example.com/a;" + "(" * 20_000, "linux", cpu_seconds=5)
    deep = read("curl -o /tmp/a http://files.example.com/a;" + "a;" * 200_000, "linux")
    assert deep.limits
    assert all(action.confidence <= 50 for action in (*deep.actions, *(reading.actions if reading.limits else ())))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(PLATFORMS))
def test_pieces(pieces: list[str], platform: str) -> None:
    check(read("".join(pieces), platform, cpu_seconds=0.02))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from([*LANGUAGES, *SHELLS, *SESSIONS, "no such language"]))
def test_pieces_as_code(pieces: list[str], language: str) -> None:
    check(read("".join(pieces), language=language, cpu_seconds=0.02))


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=300), st.sampled_from(PLATFORMS), st.booleans())
def test_any_characters(text: str, platform: str, exact: bool) -> None:
    check(read(text, platform, exact=exact, cpu_seconds=0.02))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=40) | st.sampled_from(PIECES), max_size=20), st.sampled_from(PLATFORMS))
def test_any_arguments(argv: list[str], platform: str) -> None:
    check(read(" ".join(argv), platform, argv=argv, cpu_seconds=0.02))


@pytest.mark.parametrize("seed", range(6))
def test_mutated_examples(seed: int) -> None:
    """Examples with parts cut out, doubled, swapped with those of others, or struck by odd characters."""
    chance = random.Random(seed)
    for command, platform in chance.sample(EXAMPLES, 120):
        text = command
        for _ in range(chance.randrange(1, 6)):
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.randrange(12))
            other = chance.choice(EXAMPLES)[0]
            piece = chance.choice(["", chance.choice(PIECES), text[start:end] * 3, other[:20], other[len(other) // 2 :]])
            text = text[:start] + piece + text[end:]
        check(read(text, platform, cpu_seconds=0.02))


@pytest.mark.parametrize("seed", range(3))
def test_examples_behind_one_another(seed: int) -> None:
    """One hundred commands in one text: bounded, whatever they do to each other."""
    chance = random.Random(seed)
    for platform, joint in product(("windows", "linux"), ("\n", "; ", " & ", " | ", " && ", "$(", "`")):
        line = joint.join(command for command, _ in chance.sample(EXAMPLES, 100))
        spent, reading = best_of_three(lambda line=line, platform=platform: read(line, platform))  # type: ignore[misc]
        check(reading)
        assert spent < ALLOWED


def test_marks_that_hide_are_no_obstacle() -> None:
    """Right-to-left marks and halves of surrogate pairs stay in the text; what is around them is still read."""
    reading = read("curl -o /tmp/\u202etxt.sh http://files.example.com/\ud800a", "linux")
    assert reading.label == "ingress"
    assert json.dumps([url for action in reading.actions for url in action.urls])


class _BrokenError(Exception):
    """None that a module would raise on purpose."""


@pytest.mark.parametrize(
    "problem", [_BrokenError("x"), ValueError("x"), AssertionError("x"), RecursionError("x"), OverflowError("x")]
)
def test_a_fault_of_a_module_is_swallowed_and_named(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_named: object) -> object:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(reading_languages, "parse", broken)
        reading = read("curl -o a http://files.example.com/a", "linux")
        assert reading.actions == ()
        assert reading.limits
    with monkeypatch.context() as patch:
        patch.setattr(follow.Follower, "_redirect", broken)
        reading = read("curl -o a http://files.example.com/a; wget http://files.example.com/b", "linux")
        assert reading.limits
        assert all(action.confidence <= 50 for action in reading.actions)


def test_makers_make_the_wanted_length() -> None:
    for make in (*(maker for _, maker in LINES.values()), *CODE.values()):
        made: Maker = make
        assert 0 < len(made(1_000)) <= 1_100
