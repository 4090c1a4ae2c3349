"""W3C extended log files: `#Fields:` names the columns of the lines below it, and may come again and change them.

Format: W3C working draft WD-logfile-960323, and what its writers do: columns are parted by spaces or tabs, values with spaces
are in double quotes (a quote inside is doubled), `-` is no value.
"""

from __future__ import annotations

import re

MOST_FIELDS = 300

_FIELDS = re.compile(r"#Fields:[ \t]*(.+)", re.IGNORECASE)
_VALUE = re.compile(r'"((?:[^"]|"")*+)"|(\S+)')


def field_names(line: str) -> list[str] | None:
    """The names of a `#Fields:` line, or None."""
    found = _FIELDS.match(line) if line[:1] == "#" else None
    if found is None:
        return None
    names = found[1].strip()
    parts = names.split("\t") if "\t" in names else names.split(",") if "," in names and " " not in names else names.split()
    return [name.strip() for name in parts[:MOST_FIELDS] if name.strip()]


def values(line: str, width: int) -> list[str]:
    """The values of a line. Tabs part them where there are enough of them, else spaces outside quotes."""
    if line.count("\t") == width - 1 > 0:
        return [value.strip('"') for value in line.split("\t")]
    if '"' not in line:
        return line.split()
    if '""' not in line and line.count('"') % 2 == 0:
        found: list[str] = []
        for place, part in enumerate(line.split('"')):
            if place & 1:
                found.append(part)
            else:
                found += part.split()
        return found
    return [quoted.replace('""', '"') if quoted else bare for quoted, bare in _VALUE.findall(line)]
