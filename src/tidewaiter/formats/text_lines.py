"""Lines of a text file in blocks, whatever the file holds: endless lines, NUL runs, broken UTF-8, CRLF, a byte order mark.

Memory is bounded by one block and one longest line, however large the file and its lines are.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

LONGEST_LINE = 1 << 20
"""Bytes of one line that are kept. No log format that we read writes longer records on purpose."""

BLOCK = 1 << 20
"""Bytes read at a time."""

_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class LineBlock(NamedTuple):
    """Consecutive whole lines, without their ends."""

    number: int  # 1-based number of the first line
    lines: list[bytes]
    cut: dict[int, int]  # index in `lines` -> bytes left off at the end of that line; nearly always empty


def line_blocks(path: Path, *, longest: int = LONGEST_LINE, block: int = BLOCK) -> Iterator[LineBlock]:
    """Yield all lines of the file in order, in blocks of about `block` bytes.

    Lines end at LF or CRLF; a last line without an end counts. UTF-16 with a byte order mark is turned into UTF-8, a UTF-8
    mark is removed. NUL bytes at either end of a line (what a crash leaves in a log) are removed, those inside stay. Of a
    line longer than `longest` bytes the first `longest` are kept and `LineBlock.cut` says how many were left off.
    Raises OSError when the file cannot be read.
    """
    with path.open("rb") as stream:
        yield from _blocks(_chunks(stream, block), longest)


def numbered_lines(path: Path, *, longest: int = LONGEST_LINE) -> Iterator[tuple[int, bytes, int]]:
    """Yield (1-based number, line, bytes left off) for each line: `line_blocks` for those who do not need the speed."""
    for number, lines, cut in line_blocks(path, longest=longest):
        if cut:
            for index, line in enumerate(lines):
                yield number + index, line, cut.get(index, 0)
        else:
            for index, line in enumerate(lines):
                yield number + index, line, 0


def text(raw: bytes) -> str:
    """The bytes as UTF-8; bytes that are not UTF-8 become `\\xNN`, so that nothing is lost and the text can be encoded."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="backslashreplace")


def _chunks(stream: BinaryIO, block: int) -> Iterator[bytes]:
    """The file in pieces of UTF-8 (or whatever bytes it holds), without a byte order mark."""
    chunk = stream.read(block)
    for mark, encoding in _UTF16:
        if chunk.startswith(mark):
            decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
            chunk = chunk[len(mark) :]
            while chunk:
                yield decoder.decode(chunk).encode(errors="replace")
                chunk = stream.read(block)
            yield decoder.decode(b"", final=True).encode(errors="replace")
            return
    chunk = chunk.removeprefix(codecs.BOM_UTF8)
    while chunk:
        yield chunk
        chunk = stream.read(block)


def _blocks(chunks: Iterator[bytes], longest: int) -> Iterator[LineBlock]:
    number = 1
    rest = b""  # the unfinished last line, never longer than `longest`
    left_off = 0  # bytes of it that were dropped
    for chunk in chunks:
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            rest, left_off = _extend(rest, left_off, chunk, longest)
            continue
        first, _, others = head.partition(b"\n")
        rest, left_off = _extend(rest, left_off, first, longest)
        lines = [rest]
        if others or len(first) < len(head):
            lines += others.split(b"\n")
        block = _block(number, lines, left_off, longest)
        number += len(lines)
        rest, left_off = _extend(b"", 0, tail, longest)
        yield block
    if rest or left_off:
        yield _block(number, [rest], left_off, longest)


def _extend(rest: bytes, left_off: int, more: bytes, longest: int) -> tuple[bytes, int]:
    """The unfinished line grown by `more`, within the bound; a run of NUL at its start does not count."""
    if not rest and more[:1] == b"\0":
        more = more.lstrip(b"\0")
    room = max(longest - len(rest), 0)
    if len(more) <= room:
        return rest + more, left_off
    return rest + more[:room], left_off + len(more) - room


def _block(number: int, lines: list[bytes], first_left_off: int, longest: int) -> LineBlock:
    joined = b"\n".join(lines)
    if b"\r\n" in joined or joined.endswith(b"\r"):
        lines = [line.removesuffix(b"\r") for line in lines]
    if b"\0" in joined:
        lines = [line.strip(b"\0") for line in lines]
    cut = {0: first_left_off} if first_left_off else {}
    if len(joined) > longest:
        for index, line in enumerate(lines):
            if len(line) > longest:
                lines[index], cut[index] = line[:longest], len(line) - longest
    return LineBlock(number, lines, cut)
