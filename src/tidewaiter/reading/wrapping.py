"""The command lines that a wrapping program builds: sudo, env, xargs, parallel, find -exec, docker exec ..."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidewaiter.catalog.utilities import Wrap
from tidewaiter.reading.fold_programs import PRINTS
from tidewaiter.reading.forms import View
from tidewaiter.reading.invocation import Invocation, Word

_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_WORDS_AT_MOST = 64
_COMMANDS_AT_MOST = 8


def known_output(invocations: Sequence[Invocation]) -> str:
    """What those of several programs print that print constants: `(crontab -l; echo "* * * * * job")`."""
    texts: list[str] = []
    for invocation in invocations[:_WORDS_AT_MOST]:
        program = PRINTS.get(invocation.program)
        output = program(invocation.args, None) if program is not None else None
        if output is not None:
            texts.append(output.decode("utf-8", "replace"))
    return "".join(texts)


def inner_commands(wrap: Wrap, view: View) -> list[list[Word]]:
    """The words of each command that the wrapper starts, without leading `NAME=value`; empty where there is none.

    With `wrap.stdin` the words of the known standard input, or those behind `:::`, are appended as xargs(1) and parallel(1) do,
    or take the place of the option `replace` (`{}` where it is not given). What cannot be known stands there as `{}`.
    """
    words = view.words(wrap.args)
    while words and _ASSIGNMENT.match(words[0].text):
        words = words[1:]
    if not words:
        return []
    if not wrap.stdin:
        return [words]
    mark = next((number for number, word in enumerate(words) if word.text == ":::"), None)
    if mark is not None:
        values, words = words[mark + 1 :], words[:mark]
    else:
        values = [Word(text) for text in re.split(r"[\s\0]+", view.invocation.stdin_text or "") if text]
    values = values[:_WORDS_AT_MOST]
    named = view.texts(["opt.replace"])
    place = named[0] if named and not named[0].startswith("-") else "{}"
    if words and not values and (view.invocation.stdin or view.invocation.stdin_file or view.texts(["opt.arg_file"])):
        values = [Word(place, known=False)]  # read, but not known: the form of a downloader can ask for it
    if not values or not words:
        return [words] if words else []
    if not any(place in word.text for word in words):
        return [[*words, *values]]
    return [[_replaced(word, place, value) for word in words] for value in values[:_COMMANDS_AT_MOST]]


def _replaced(word: Word, place: str, value: Word) -> Word:
    return Word(word.text.replace(place, value.text), word.content, word.known) if place in word.text else word
