"""The words of a start event, and which of them a runner runs."""

from __future__ import annotations

import re

from tidewaiter.catalog import roles
from tidewaiter.schema.event import Event

_WORD = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_WHOLE = re.compile(r"\w+")
_SEPARATOR = re.compile(r"&&|\|\||[;\n|&]")


def split(text: str) -> list[str]:
    """A command line in words, quotes removed. Good enough to look words up; the reader does the real parsing."""
    return [first or second or third for first, second, third in _WORD.findall(text[:16_384])]


def commands(line: str) -> list[list[str]]:
    """The simple commands of a typed line, each as its words without wrappers such as sudo. Text after a `#` is none."""
    wrappers = roles.load().wrapper_words
    found: list[list[str]] = []
    for part in _SEPARATOR.split(line[:16_384])[:200]:
        several = split(part)
        while several and (several[0] in wrappers or "=" in several[0].split("/")[0]):
            del several[0]
        if several and not several[0].startswith("#"):
            found.append(several)
    return found


def arguments(event: Event) -> list[str]:
    """The words of a start event: exact where the sensor gives them."""
    if event.argv:
        return list(event.argv)
    return split(event.command_line or "")


def run_by(program: str, words: list[str]) -> list[str]:
    """The words that a runner runs: its script argument, or every word for programs that load libraries and for cmd."""
    rest, known = words[1:], roles.load()
    if program in known.runners_of_all_words:
        found: list[str] = []
        for word in rest[:40]:
            found.append(word)
            found.extend(part for part in re.split(r"[,;&|=()]|(?<=[/-]i):", word) if part and part != word)
        if program == "cmd":
            return [] if known.shell_copy_words.intersection(_WHOLE.findall(" ".join(words[:6]).lower())) else found
        return [re.sub(r"^[.&]?[\\/]*(?=\w:)", "", word) for word in found]
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word.lower() in known.code_options:
            return []
        elif word.startswith(("-", "+")) or "=" in word.split("/")[0]:
            skip = word.lower() in known.value_options
        else:
            return [word]
    return []
