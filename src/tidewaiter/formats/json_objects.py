"""JSON files cut into their objects, as bytes, with bounded memory: lines, arrays, objects pretty-printed over many lines.

Format: RFC 8259 for the objects; JSON lines, and concatenated objects, as exporters write them. Text may be UTF-8 or UTF-16.
"""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import msgspec

LONGEST = 16 << 20
"""Bytes of the longest object that is read; longer ones are damaged, and reading goes on behind them."""

_BLOCK = 1 << 20
_FEW_LINES = 1 << 16  # bytes of lines at a time: so small that memory is used again rather than asked for
_AGAIN = 256 << 20  # bytes of a file that are looked at a second time, in sum, when objects do not end
_SPACE = b" \t\r\n\0"
_IN_ARRAY = _SPACE + b",[]"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_BRACE = re.compile(rb'(?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+([{}])', re.DOTALL)
_FRESH_START = re.compile(rb"\n[ \t]*\{|\}\s*,\s*\{")

Cut = tuple[int, bytes, str | None]
"""Number of the object (line or place), its bytes, and what is wrong with it: then the bytes are empty."""


class Layout(StrEnum):
    """How the objects lie in the file."""

    LINES = "JSON lines"
    ARRAY = "JSON array"
    OBJECTS = "JSON objects over many lines"


def as_utf8(head: bytes) -> bytes:
    """The first bytes of a file as UTF-8 without a byte order mark."""
    encoding = _encoding(head)
    if encoding:
        return head.decode(encoding, "replace").lstrip("\ufeff").encode()
    return head.removeprefix(_UTF8_BOM)


def _encoding(head: bytes) -> str | None:
    if head[:2] in _UTF16:
        return _UTF16[head[:2]]
    if head[:1] in (b"{", b"[") and head[1:2] == b"\0" and head[3:4] == b"\0":
        return "utf-16-le"
    return None


def layout_of(text: bytes) -> Layout | None:
    """The layout that these first bytes (UTF-8) show, or None where they are not JSON objects."""
    start = text.lstrip(_SPACE)
    if start.startswith(b"[") and start[1:].lstrip(_SPACE)[:1] in (b"{", b"", b"]"):
        return Layout.ARRAY
    lines = [line.rstrip(_SPACE + b",") for line in text.split(b"\n")[:50]]
    if any(line.startswith(b"{") and len(line) > 2 and _is_object(line) for line in lines):
        return Layout.LINES
    if not start.startswith(b"{"):
        return None
    first = next(_objects_in(start), None)
    if first is not None and b"\n" in first:
        return Layout.OBJECTS
    return Layout.LINES


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line.decode("utf-8", "replace")), dict)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return False


def objects_of_head(text: bytes, layout: Layout) -> Iterator[bytes]:
    """The complete objects in the first bytes of a file."""
    if layout is Layout.LINES:
        yield from (line.strip(_SPACE + b",") for line in text.split(b"\n") if line.lstrip(_SPACE)[:1] == b"{")
    else:
        yield from _objects_in(text)


def _objects_in(text: bytes) -> Iterator[bytes]:
    position = 0
    while (start := text.find(b"{", position)) >= 0:
        end, _, _ = _end_of_object(text, start, 0)
        if end is None:
            return
        yield text[start:end]
        position = end


def objects(path: Path, head: bytes, layout: Layout) -> Iterator[Cut]:
    """Every object of the file, in order. `head` is its first bytes. Raises OSError where it cannot be read."""
    encoding = _encoding(head)
    with path.open("rb") as file:
        if encoding is None:
            if head.startswith(_UTF8_BOM):
                file.seek(len(_UTF8_BOM))
            yield from _cuts(file, head, layout)
            return
        with tempfile.TemporaryFile() as plain:
            reader = codecs.getreader(encoding)(file, "replace")
            while text := reader.read(_BLOCK):
                plain.write(text.lstrip("\ufeff").encode("utf-8", "replace"))
            plain.seek(0)
            yield from _cuts(plain, as_utf8(head), layout)


def _cuts(file: BinaryIO, text: bytes, layout: Layout) -> Iterator[Cut]:
    if layout is Layout.LINES:
        return _lines(file)
    if layout is Layout.ARRAY and _is_array_of_lines(text):
        return ((place, raw, problem) for place, (_, raw, problem) in enumerate(_lines(file), 1))
    return _Cutter(file, layout).cuts()


def _is_array_of_lines(text: bytes) -> bool:
    """Whether every object of an array has a line of its own."""
    lines = [line.strip(_IN_ARRAY) for line in text.split(b"\n")[:-1]]
    lines = [line for line in lines if line]
    return len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for line in lines) and _is_object(lines[0])


def _lines(file: BinaryIO) -> Iterator[Cut]:
    for first, lines in _blocks(file):
        for number, line in enumerate(lines, first):
            text, problem = object_of_line(line)
            if text or problem:
                yield number, text, problem


def object_of_line(line: bytes) -> tuple[bytes, str | None]:
    """The object on a line and what is wrong with it (then the bytes are empty); nothing at all on a line without one."""
    if line is TOO_LONG:
        return b"", "a line too long to read"
    text = line.strip(_SPACE)
    if not text.startswith(b"{") or not text.endswith(b"}"):
        text = text.strip(_IN_ARRAY)  # arrays may have one object a line
        if not text:
            return b"", None
        if not text.startswith(b"{") or not text.endswith(b"}"):
            return b"", "the line breaks off" if text.startswith(b"{") else "not JSON"
    return text, None


def blocks_of_lines(path: Path, head: bytes, layout: Layout) -> Iterator[tuple[int, list[bytes]]] | None:
    """The lines of a file in blocks, each with the number of its first line, for `object_of_line`.

    None where its objects are not one a line in UTF-8: then `objects` cuts it. `head` is its first bytes. Raises OSError, later
    too, where the file cannot be read.
    """
    if layout is not Layout.LINES or _encoding(head) is not None:
        return None
    return _blocks_of(path, len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0)


def _blocks_of(path: Path, start: int) -> Iterator[tuple[int, list[bytes]]]:
    with path.open("rb") as file:
        file.seek(start)
        yield from _blocks(file)


TOO_LONG = bytes(bytearray(b"too long"))
"""Stands for a line of more than LONGEST bytes; known by identity."""


def _blocks(file: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without their ends; what is behind the last one is a line too."""
    number, rest = 1, b""
    while block := file.read(max(min(_FEW_LINES, LONGEST), len(rest))):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            if len(lines[0]) > LONGEST:  # the others are shorter than what was read
                lines[0] = TOO_LONG
            yield number, lines
            number += len(lines)
        if len(rest) >= LONGEST:
            yield number, [TOO_LONG]
            number += 1
            while (passed := file.readline(_BLOCK)) and not passed.endswith(b"\n"):
                pass
            rest = b""
    if rest:
        yield number, [rest]


def _end_of_object(text: bytes, position: int, depth: int) -> tuple[int | None, int, int]:
    """Where the object ends that has `depth` open braces at `position`; else None, where to go on, and the depth there."""
    while found := _BRACE.match(text, position):
        position = found.end()
        if text[position - 1] == 0x7B:
            depth += 1
            continue
        depth -= 1
        if depth <= 0:
            return position, position, 0
    return None, position, depth


class _Cutter:
    """Cuts arrays and concatenated objects by their braces."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self._file = file
        self._by_line = layout is Layout.OBJECTS
        self._text, self._at = b"", 0  # what was read, and where in it we are
        self._line, self._place = 1, 0
        self._again = _AGAIN
        self._step = _BLOCK

    def cuts(self) -> Iterator[Cut]:
        """All objects of the file."""
        while self._find_start():
            self._place += 1
            number = self._line if self._by_line else self._place
            beside = self._fresh_line()
            end = self._find_end()
            if end is not None:
                raw = self._text[self._at : end]
                # A stray quote or brace can make one span of several objects: only then is it worth decoding here.
                if not any(mark in raw for mark in beside) or _is_object(raw):
                    self._go_to(end)
                    yield number, raw, None
                    continue
            yield number, b"", self._problem(end)
            if not self._resume(end):
                return

    def _problem(self, end: int | None) -> str:
        if end is not None:
            return "not JSON"
        return "an object that does not end" if len(self._text) - self._at < LONGEST else "an object too long to read"

    def _fresh_line(self) -> tuple[bytes, ...]:
        """What in an object would rather be the start of another one: one on a line of its own, indented as this one is."""
        line_start = self._text.rfind(b"\n", max(self._at - 64, 0), self._at) + 1
        indent = self._text[line_start : self._at]
        own = () if indent.strip(_SPACE) else (b"\n" + indent + b"{",)
        return (*own, b"},{", b"}, {")

    def _find_start(self) -> bool:
        """Go to the next opening brace."""
        while True:
            start = self._text.find(b"{", self._at)
            if start >= 0:
                self._go_to(start)
                return True
            self._go_to(len(self._text))
            if not self._more():
                return False

    def _find_end(self) -> int | None:
        done, depth = 0, 0
        while True:
            end, position, depth = _end_of_object(self._text, self._at + done, depth)
            if end is not None or len(self._text) - self._at >= LONGEST:
                return end
            done = position - self._at
            if not self._more():
                return None

    def _more(self) -> bool:
        block = self._file.read(self._step)
        self._text = self._text[self._at :] + block
        self._at = 0
        self._step = min(max(_BLOCK, len(self._text)), LONGEST)
        return bool(block)

    def _go_to(self, position: int) -> None:
        if self._by_line:
            self._line += self._text.count(b"\n", self._at, position)
        self._at = position

    def _resume(self, end: int | None) -> bool:
        """Go on behind a broken object, at the next place where one seems to begin."""
        self._again -= (len(self._text) if end is None else end) - self._at
        found = _FRESH_START.search(self._text, self._at + 1)
        while found is None:
            self._go_to(max(len(self._text) - 64, self._at))
            if not self._more():
                return False
            found = _FRESH_START.search(self._text, self._at)
        self._go_to(found.end() - 1)
        return self._again > 0
