"""Lines of named values: tables with a header line (any common separator), `key=value` lines.

Format: RFC 4180 for quotes in tables, without line breaks inside a value; for keys what firewalls write (`key=value`, values
with spaces in double quotes).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

SEPARATORS = (",", ";", "\t", "|", " ")
MOST_VALUES = 500
MOST_DEPTH = 5

_PAIR = re.compile(r'([A-Za-z_@][\w.@-]{0,60})=(?:"((?:[^"\\]++|\\.)*+)"|([^\s,;"]*))')


def header_of(line: str) -> Iterator[tuple[str, list[str]]]:
    """Each way to read a line as the header of a table: (separator, names of columns)."""
    for separator in SEPARATORS:
        if line.count(separator) >= 3:
            names = cells(line, separator)
            if all(name and not name.isspace() for name in names[:-1]):
                yield separator, [name.strip() for name in names[:MOST_VALUES]]


def cells(line: str, separator: str) -> list[str]:
    """The values of a line of a table. Raises ValueError where the quotes of a line do not match."""
    if '"' not in line:
        return line.split() if separator == " " else line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def pairs(line: str) -> list[tuple[str, str]]:
    """The `key=value` pairs of a line, in order; keys as spelled."""
    return [(key, quoted or bare) for key, quoted, bare in _PAIR.findall(line)]


def flat(value: dict[str, object]) -> list[tuple[str, str]]:
    """The scalar values of a JSON object with the path of each, parted by dots."""
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, int, dict[str, object]]] = [("", 0, value)]
    while waiting and len(found) < MOST_VALUES:
        prefix, depth, current = waiting.pop()
        for key, inner in current.items():
            if isinstance(inner, dict):
                if depth < MOST_DEPTH:
                    waiting.append((f"{prefix}{key}.", depth + 1, inner))
            elif isinstance(inner, str):
                found.append((prefix + key, inner))
            elif isinstance(inner, (int, float)) and not isinstance(inner, bool):
                found.append((prefix + key, str(inner)))
            if len(found) >= MOST_VALUES:
                break
    return found
