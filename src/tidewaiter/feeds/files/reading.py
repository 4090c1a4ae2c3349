"""One piece of a generation: whole lines from where reading goes on, read only while the file is still the one that it was."""

from __future__ import annotations

import msgspec

from tidewaiter.feed import HEAD_BYTES, LONGEST_LINE, Cut, cut_lines
from tidewaiter.feeds.files.contents import Contents, Plain, is_text
from tidewaiter.feeds.files.generation import HEAD, TAIL, Generation

BLOCK = 1 << 18
"""Bytes read at a time."""

_NOTHING = Cut(b"", 0, 0, False, 0, 0, 0)


class Piece(msgspec.Struct):
    """What one look at a file brought."""

    data: bytes = b""
    lines: int = 0
    head: bytes = b""
    used: int = 0  # bytes of the file
    rest: bytes = b""  # an unfinished last line
    at_end: bool = False
    size: int = 0  # of the file, as far as it is known
    silent: bool = False  # lines were counted only
    refused: bool = False  # it is no text
    before: bytes = b""  # the last bytes before `rest`
    cut: Cut = _NOTHING

    def take_rest(self, generation: Generation) -> None:
        """Take the unfinished last line for whole: nothing will be added to it."""
        text = self.rest.strip(b"\0")
        if text:
            self.data += text
            self.lines += 1
        if self.rest:
            generation.move(len(self.rest), 1 if text else 0, self.before + self.rest)
            self.used += len(self.rest)
        self.rest = b""


def read_piece(contents: Contents, generation: Generation, most: int) -> Piece | None:
    """Read on, and move the generation on by what was read; None where the file is not the one that was read before.

    The bytes come first and the check of the beginning afterwards: a file that is truncated and written anew in between does
    not pass. Raises OSError.
    """
    size = contents.size()
    if size is not None and size < generation.offset:
        return None
    tail = generation.tail_size
    limit = max(generation.silent_until - generation.offset, 0) if generation.silent_until else LONGEST_LINE + 2
    want = min(max(min(most, BLOCK), 1), limit)
    raw = contents.read(generation.offset - tail, tail + want)
    cut = cut_lines(raw[tail:], skipping=generation.skipping)
    while not cut.used and len(raw) == tail + want and want < min(limit, LONGEST_LINE + 2):
        want = min(limit, 16 * want, LONGEST_LINE + 2)  # a longer line
        raw = contents.read(generation.offset - tail, tail + want)
        cut = cut_lines(raw[tail:], skipping=generation.skipping)
    head = contents.read(0, HEAD_BYTES)
    if not generation.knows_head(head) or not generation.knows_tail(raw[:tail]):
        return None
    if not generation.offset and not is_text(head[:HEAD]):
        return Piece(refused=True, head=head, size=size or 0, at_end=True)
    piece = Piece(data=cut.data, lines=cut.lines, head=head, used=cut.used, cut=cut)
    piece.at_end = len(raw) < tail + want
    _move(contents, generation, raw, piece)
    if generation.silent_until:
        _stay_silent(generation, piece, reached=len(raw) - tail - piece.used)
    piece.size = size if size is not None else generation.offset + len(piece.rest)
    if isinstance(contents, Plain) and (generation.head_size or not generation.modified):
        # of an empty file the first time counts: it may have been written, copied and truncated since
        generation.modified = contents.status().st_mtime_ns
    return piece


def _move(contents: Contents, generation: Generation, raw: bytes, piece: Piece) -> None:
    tail = generation.tail_size
    used = piece.used
    before = raw[: tail + used][-TAIL:]
    piece.rest = raw[tail + used :]
    if used and not piece.lines and piece.cut.nul == used and isinstance(contents, Plain):
        # nothing but NUL: a hole in a file is passed over at once, however large it is
        after = contents.after_hole(generation.offset + used)
        if after > generation.offset + used:
            piece.cut = piece.cut._replace(nul=after - generation.offset)
            piece.used = used = after - generation.offset
            before, piece.rest, piece.at_end = contents.read(max(after - TAIL, 0), min(after, TAIL)), b"", False
    generation.learn_head(piece.head[:HEAD])
    generation.move(used, piece.lines, before)
    generation.skipping = piece.cut.skipping
    piece.before = before


def _stay_silent(generation: Generation, piece: Piece, *, reached: int) -> None:
    """Count lines that are not wanted; `reached` bytes of an unfinished line follow them."""
    piece.silent = True
    piece.data, piece.lines = b"", 0
    piece.at_end = False
    if generation.offset + reached >= generation.silent_until or not piece.used:
        generation.silent_until = 0
        piece.silent = False
