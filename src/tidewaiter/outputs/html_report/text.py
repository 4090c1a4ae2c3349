"""The one way of a text into the page: made printable, cut, and escaped by the template engine, wherever it stands."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from tidewaiter.output import printable

if TYPE_CHECKING:
    from jinja2 import Environment

LONGEST = 3000
"""Characters of a text that the page shows; how many more there are is said."""

STACKED = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}"
)
"""Combining marks piled so high that they cover the lines above."""

STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")
WORD = re.compile(r"\w+")
LATIN_LIKE = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "FULLWIDTH", "MATHEMATICAL", "LISU", "COPTIC")
"""Scripts with letters that pass for Latin ones (Unicode Technical Standard 39 speaks of mixed-script confusables)."""


def clean(value: Any) -> Any:
    """What may be shown of a value: of a text its first part on one line, nothing hidden or reordering; numbers as they are.

    Markup that a template made is passed on. Escaping comes after this, in the template engine.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    shown = STACKED.sub(_spelled, printable(value[:LONGEST]))
    left = len(value) - LONGEST
    return f"{shown} … ({left:,} more characters)" if left > 0 else shown


def _spelled(match: re.Match[str]) -> str:
    return "".join(f"\\u{ord(mark):04x}" for mark in match[0])


def clock(moment: str | None) -> str:
    """`2026-03-01 12:00:00` of an RFC 3339 time; any other text stays as it is."""
    found = STAMP.match(moment or "")
    return f"{found[1]} {found[2]}" if found else moment or ""


def time_of_day(moment: str | None, reference: str | None = None) -> str:
    """`12:00:00`, with the date in front where it is not that of the reference."""
    found, other = STAMP.match(moment or ""), STAMP.match(reference or "")
    if found is None:
        return moment or ""
    return found[2] if other is not None and found[1] == other[1] else f"{found[1]} {found[2]}"


def lookalikes(text: str | None) -> str:
    """Code points of letters that pose as Latin ones inside a word with ASCII letters; empty where there are none."""
    if not text or text.isascii():
        return ""
    found: dict[str, None] = {}
    for word in WORD.findall(text[:LONGEST]):
        if not word.isascii() and any("a" <= letter <= "z" for letter in word.lower()):
            for letter in word:
                if not letter.isascii() and unicodedata.name(letter, "").startswith(LATIN_LIKE):
                    found[f"U+{ord(letter):04X} {unicodedata.name(letter).lower()}"] = None
    return ", ".join(list(found)[:4])


def environment() -> Environment:
    """The template engine. Every expression goes through `clean`, then through escaping; an unknown name is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        finalize=clean,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(clock=clock, time_of_day=time_of_day, lookalikes=lookalikes, number=lambda value: f"{value:,}")
    return made
