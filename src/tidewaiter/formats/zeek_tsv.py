"""Zeek's tab-separated logs (the ASCII writer): header lines that name the fields, then one record a line.

The header may come again in the middle of a file (rotated or joined logs) and may change the fields; each record is read by
the header that stands before it. Escapes are `\\xNN`. Source: the Zeek book, "Log Formats", and what the writer does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import methodcaller
from pathlib import Path
from typing import NamedTuple

from tidewaiter.formats.text_lines import LineBlock, line_blocks, text
from tidewaiter.schema.account import Account

MOST_FIELDS = 1_000
BLOCK = 1 << 17
"""Bytes cut into fields at a time: the fields of a larger block would not stay in the processor's cache."""

_ESCAPE = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+")


class Layout(NamedTuple):
    """What the header lines say of the records below them."""

    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"
    path: str = ""
    fields: tuple[str, ...] = ()


class RecordBlock(NamedTuple):
    """Consecutive records under one header, by columns. Lines that cannot be records are counted and left out."""

    layout: Layout
    numbers: list[int]  # 1-based line numbers
    values: list[str]  # all fields of all records, one record after the other, as spelled

    def column(self, name: str) -> list[str] | None:
        """The values of one field, one a record; None where the records have no such field."""
        fields = self.layout.fields
        return self.values[fields.index(name) :: len(fields)] if name in fields else None


def looks_like(head: bytes) -> str | None:
    """The log's `#path` ("conn") where the head is a Zeek header, "" where it has fields but no path, else None."""
    if not head.startswith((b"#separator", b"#fields", b"#set_separator", b"#path")):
        return None
    layout = Layout()
    for line in head.split(b"\n"):
        if not line.startswith(b"#"):
            break
        layout = _with_header(layout, text(line.rstrip(b"\r")))
    return layout.path if layout.fields else None


def record_blocks(path: Path, account: Account) -> Iterator[RecordBlock]:
    """Yield the records of the file in blocks; header lines, blank lines and lines that cannot be records are counted."""
    layout = Layout()
    for block in line_blocks(path, block=BLOCK):
        for part in parts_of(block):
            if part.header:
                layout = headed(layout, part, account)
            else:
                records = records_of(layout, part, account)
                if records is not None:
                    yield records


class Part(NamedTuple):
    """Lines that stand together in a block: header lines, or others."""

    header: bool
    number: int  # 1-based number of the first line
    lines: list[bytes]
    cut: dict[int, int]  # as in a LineBlock


def parts_of(block: LineBlock) -> Iterator[Part]:
    """The block cut where header lines begin and end."""
    lines, start = block.lines, 0
    if b"\n#" not in b"\n".join(lines) and lines[0][:1] != b"#":
        yield Part(False, block.number, lines, block.cut)
        return
    while start < len(lines):
        header = lines[start][:1] == b"#"
        end = start + 1
        while end < len(lines) and (lines[end][:1] == b"#") == header:
            end += 1
        cut = {index - start: size for index, size in block.cut.items() if start <= index < end}
        yield Part(header, block.number + start, lines[start:end], cut)
        start = end


def headed(layout: Layout, part: Part, account: Account) -> Layout:
    """The layout changed by header lines, which are counted."""
    for line in part.lines:
        layout = _with_header(layout, text(line))
    account.skip("header line", len(part.lines))
    return layout


def records_of(layout: Layout, part: Part, account: Account) -> RecordBlock | None:
    """The records of lines that are no header lines; None where there are none."""
    if layout.fields and not part.cut and b"" not in part.lines:
        return record_block(layout, list(range(part.number, part.number + len(part.lines))), part.lines, account)
    numbers: list[int] = []
    records: list[bytes] = []
    for index, line in enumerate(part.lines):
        if not line:
            account.skip("blank line")
        elif index in part.cut:
            account.damage_at(f"line {part.number + index}", "line too long")
        elif not layout.fields:
            account.damage_at(f"line {part.number + index}", "record before any #fields line")
        else:
            numbers.append(part.number + index)
            records.append(line)
    return record_block(layout, numbers, records, account) if records else None


def record_block(layout: Layout, numbers: list[int], records: list[bytes], account: Account) -> RecordBlock:
    """The records cut into columns. Whole blocks are cut at once, so the separators of each line are counted first."""
    width, separator = len(layout.fields), layout.separator
    try:
        lines = b"\n".join(records).decode().split("\n")
    except UnicodeDecodeError:
        lines = [text(line) for line in records]
    if set(map(methodcaller("count", separator), lines)) != {width - 1}:
        kept: list[int] = []
        for index, line in enumerate(lines):
            count = line.count(separator) + 1
            if count == width:
                kept.append(index)
            else:
                account.damage_at(f"line {numbers[index]}", f"{count} fields where the header names {width}")
        numbers, lines = [numbers[index] for index in kept], [lines[index] for index in kept]
    values = separator.join(lines).split(separator) if lines else []
    return RecordBlock(layout, numbers, values)


def _with_header(layout: Layout, line: str) -> Layout:
    """The layout changed by one header line. `#separator` is followed by a space, the others by the separator itself."""
    if line.startswith("#separator"):
        separator = unescape(line[len("#separator") :].strip(" "))
        return Layout(separator=separator or "\t")
    name, _, value = line.partition(layout.separator)
    if name == "#fields":
        return layout._replace(fields=tuple(value.split(layout.separator)[:MOST_FIELDS]))
    if name == "#path":
        return layout._replace(path=value.strip())
    if name == "#set_separator":
        return layout._replace(set_separator=value or ",")
    if name == "#empty_field":
        return layout._replace(empty=value)
    if name == "#unset_field":
        return layout._replace(unset=value)
    return layout


def unescape(value: str) -> str:
    """The value with `\\xNN` read as UTF-8; bytes that are not UTF-8 stay escaped."""
    if "\\x" not in value:
        return value
    return _ESCAPE.sub(lambda match: _bytes_of(match[0]), value)


def _bytes_of(escapes: str) -> str:
    return bytes.fromhex(escapes.replace("\\x", "")).decode("utf-8", "backslashreplace")
