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

BLOCK = 1 << 18
"""Bytes read at a time."""

_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class TextBlock(NamedTuple):
    """Consecutive whole lines as one text, joined by LF, without the last end."""

    number: int  # 1-based number of the first line
    data: bytes
    cut: dict[int, int]  # index of a line -> bytes left off at its end; nearly always empty


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
    for number, data, cut in text_blocks(path, longest=longest, block=block):
        yield LineBlock(number, data.split(b"\n"), cut)


def text_blocks(path: Path, *, longest: int = LONGEST_LINE, block: int = BLOCK) -> Iterator[TextBlock]:
    """`line_blocks` before the lines are split, for readers that are faster on whole text."""
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


def _blocks(chunks: Iterator[bytes], longest: int) -> Iterator[TextBlock]:
    number = 1
    rest = b""  # the unfinished last line, never longer than `longest`
    left_off = 0  # bytes of it that were dropped
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            rest, left_off = _extend(rest, left_off, chunk, longest)
            continue
        start = chunk.find(b"\n")
        rest, left_off = _extend(rest, left_off, chunk[:start], longest)
        block = _block(number, rest + chunk[start:end], left_off, longest)
        yield block
        number += block.data.count(b"\n") + 1
        rest, left_off = _extend(b"", 0, chunk[end + 1 :], longest)
    if rest or left_off:
        yield _block(number, rest, left_off, longest)


def _extend(rest: bytes, left_off: int, more: bytes, longest: int) -> tuple[bytes, int]:
    """The unfinished line grown by `more`, within the bound; a run of NUL at its start does not count."""
    if not rest and more[:1] == b"\0":
        more = more.lstrip(b"\0")
    room = max(longest - len(rest), 0)
    if len(more) <= room:
        return rest + more, left_off
    return rest + more[:room], left_off + len(more) - room


def _block(number: int, data: bytes, left_off: int, longest: int) -> TextBlock:
    """The block without CR at the ends of lines and NUL at either end; most have neither, so the text is asked first."""
    cut = {0: left_off} if left_off else {}
    fits = len(data) <= longest or max(map(len, data.split(b"\n"))) <= longest
    if fits and b"\r" not in data and b"\0" not in data:
        return TextBlock(number, data, cut)
    lines = [line.removesuffix(b"\r").strip(b"\0") for line in data.split(b"\n")]
    for index, line in enumerate(lines):
        if len(line) > longest:
            lines[index], cut[index] = line[:longest], len(line) - longest
    return TextBlock(number, b"\n".join(lines), cut)
