"""Simple STIX 2.1 patterns: comparisons of one value each, by `=` or `IN`, any of which tells.

Language: STIX Version 2.1, section 9 (OASIS Standard). Comparisons that are joined by AND count where one of them is a hash,
because a hash names the content by itself; everything else that needs two things at once is no simple pattern.
"""

from __future__ import annotations

import re

LONGEST = 65_536
"""Characters of a pattern."""
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<path>[A-Za-z][\w-]*:(?:[\w.\[\]*-]|'[^'\\]*')+)|(?P<word>[A-Za-z]+)|(?P<mark>[\[\]()=,]))"
)
_JOINS = {"AND", "OR"}


def comparisons(pattern: str) -> list[tuple[str, str]] | None:
    """Path (lower case, without quotes) and value of each comparison; None where the pattern is not simple."""
    tokens = _tokens(pattern)
    if tokens is None:
        return None
    found: list[tuple[str, str]] = []
    for observation in _observations(tokens):
        pairs = _observation(observation)
        if pairs is None:
            return None
        found += pairs
    return found or None


def _tokens(pattern: str) -> list[tuple[str, str]] | None:
    if len(pattern) > LONGEST:
        return None
    tokens: list[tuple[str, str]] = []
    place, text = 0, pattern.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            return None
        tokens.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return tokens


def _observations(tokens: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The tokens of each `[...]`; where they are joined by anything but OR, one that no reading accepts."""
    found: list[list[tuple[str, str]]] = []
    inside: list[tuple[str, str]] | None = None
    for kind, text in tokens:
        if text == "[" and inside is None and kind == "mark":
            inside = []
        elif text == "]" and inside is not None and kind == "mark":
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.append((kind, text))
        elif text.upper() != "OR":
            return [[]]
    return found if inside is None else [[]]


def _observation(tokens: list[tuple[str, str]]) -> list[tuple[str, str]] | None:
    """The comparisons of one `[...]`."""
    groups: list[list[tuple[str, str]]] = [[]]  # joined by OR; the members of each by AND
    place = 0
    while place < len(tokens):
        step = _comparison(tokens, place)
        if step is None:
            return None
        pairs, place = step
        groups[-1].extend(pairs)
        if place == len(tokens):
            break
        join = tokens[place][1].upper()
        if join not in _JOINS or place + 1 == len(tokens):
            return None
        if join == "OR":
            groups.append([])
        place += 1
    return _told(groups)


def _told(groups: list[list[tuple[str, str]]]) -> list[tuple[str, str]] | None:
    found: list[tuple[str, str]] = []
    for group in groups:
        if len({path for path, _ in group}) > 1:
            group = [pair for pair in group if ":hashes." in pair[0]]
        if not group:
            return None
        found += group
    return found or None


def _comparison(tokens: list[tuple[str, str]], place: int) -> tuple[list[tuple[str, str]], int] | None:
    """`path = 'text'` or `path IN ('text', ...)`, and the place behind it."""
    if place + 2 >= len(tokens) or tokens[place][0] != "path":
        return None
    path = tokens[place][1].lower().replace("'", "")
    operator, after = tokens[place + 1][1].upper(), tokens[place + 2]
    if operator in ("=", "ISSUBSET") and after[0] == "text":
        return [(path, _value(after[1]))], place + 3
    if operator != "IN" or after != ("mark", "("):
        return None
    values = []
    place += 3
    while place + 1 < len(tokens) and tokens[place][0] == "text":
        values.append((path, _value(tokens[place][1])))
        place += 1
        if tokens[place] == ("mark", ")"):
            return values, place + 1
        if tokens[place] != ("mark", ","):
            return None
        place += 1
    return None


def _value(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])
