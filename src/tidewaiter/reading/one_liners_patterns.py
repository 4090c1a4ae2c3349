"""What Perl does to constant text with `=~ s/old/new/` and `=~ tr/abc/xyz/`, and to lists with `map {...}`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tidewaiter.reading.one_liners_functions import COMPREHENDED_AT_MOST, closing
from tidewaiter.reading.one_liners_values import TEXT_AT_MOST, Value

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_expressions import Expressions

_OPERATION = re.compile(r"(?P<kind>s|tr|y)\s*(?P<mark>[^\w\s])(?P<rest>.*)", re.S)
_PAIRS = {"{": "}", "(": ")", "[": "]", "<": ">"}
_RANGE = re.compile(r"(?s)(.)-(.)")
_META = re.compile(r"[.*+?()\[\]{}|^$\\]")


def bind(left: Value, operation: str) -> Value | None:
    """`left =~ operation` where it changes constant text; None where it does not, or is no change but a match."""
    found = _OPERATION.fullmatch(operation)
    if found is None or left.text is None:
        return None
    parts = _parts(found["mark"], found["rest"])
    if parts is None:
        return None
    old, new, flags = parts
    text = _translated(left.text, old, new, flags) if found["kind"] != "s" else _substituted(left.text, old, new, flags)
    return None if text is None else replace(left, text=text)


def _parts(mark: str, rest: str) -> tuple[str, str, str] | None:
    """Old, new and flags of `/old/new/flags` and `{old}{new}flags` (without delimiters inside)."""
    closer = _PAIRS.get(mark)
    if closer is None:
        pieces = re.split(rf"(?<!\\){re.escape(mark)}", rest)
    else:
        pieces = re.split(rf"{re.escape(closer)}\s*(?:{re.escape(mark)})?", rest)
    return (pieces[0], pieces[1], pieces[2]) if len(pieces) == 3 else None


def _translated(text: str, old: str, new: str, flags: str) -> str | None:
    before, after = _spread(old), _spread(new)
    if "c" in flags or len(before) > 512 or len(after) > 512:
        return None
    if "d" not in flags:
        after = (after or before) + (after or before)[-1:] * max(len(before) - len(after), 0)
    table: dict[int, str | None] = {}
    for place, letter in enumerate(before):
        table.setdefault(ord(letter), after[place] if place < len(after) else None)
    return text.translate(table)


def _spread(letters: str) -> str:
    """`a-e` as `abcde`."""
    return _RANGE.sub(
        lambda found: "".join(map(chr, range(ord(found[1]), min(ord(found[2]), ord(found[1]) + 256) + 1))), letters
    )


def _substituted(text: str, old: str, new: str, flags: str) -> str | None:
    """Only where old is plain text and new takes nothing from it."""
    plain = re.sub(r"\\([^\w])", r"\1", old)
    if not plain or _META.search(re.sub(r"\\[^\w]", "", old)) or re.search(r"[$\\@]", new) or set(flags) - set("gim"):
        return None
    count = 0 if "g" in flags else 1
    if text.count(plain) * len(new) > TEXT_AT_MOST:
        return None
    return re.sub(re.escape(plain), lambda _: new, text, count=count, flags=re.I if "i" in flags else 0)


def mapped(parser: Expressions) -> Value:
    """`map {body} list` with `$_` as each item; the parser stands at `map`."""
    begin = parser.at + 2
    stop = closing(parser, parser.at + 1)
    parser.at = min(stop + 1, parser.end)
    items: list[Value] = []
    if parser.is_op("("):
        parser.at += 1
        items = parser.sequence(")")
    else:
        while parser.starts_value() and len(items) < COMPREHENDED_AT_MOST:
            items.append(parser.expression())
            if not parser.is_op(","):
                break
            parser.at += 1
    if len(items) == 1 and items[0].items is not None:
        items = items[0].items
    variables = parser.engine.variables
    outer = variables.get("$_")
    found: list[Value] = []
    for item in items[:COMPREHENDED_AT_MOST]:
        variables["$_"] = replace(item, variable="$_")
        alone = stop - begin == 1 and parser.tokens[begin].kind == "name" and not parser.tokens[begin].value.startswith("$")
        found.append(
            parser.engine.call(Value(name=parser.tokens[begin].value.lower()), [item], {})
            if alone
            else parser.part(begin, stop)
        )
    if outer is None:
        variables.pop("$_", None)
    else:
        variables["$_"] = outer
    return Value(items=found)
