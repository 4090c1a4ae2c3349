"""One generation of a log file: which file it is, and how far it was read.

A name says little about a log file, and an inode is used again. What a generation is, is said by device, inode, and a
fingerprint of its first bytes (up to HEAD, extended as the file grows); whether it is still the file that was read, by a
fingerprint of the last bytes before the place where reading goes on.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

HEAD = 1_024
"""First bytes of a file that its fingerprint covers."""

TAIL = 256
"""Bytes before the place where reading goes on that are checked before it does."""

PAST = 32
"""Finished generations that are remembered per log file."""


def fingerprint(data: bytes) -> str:
    """Digest of some bytes; 128 bits are plenty to tell files apart."""
    return hashlib.sha256(data).hexdigest()[:32]


class Generation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Part of a committed position: JSON can hold it. Offsets count uncompressed bytes."""

    number: int  # of this log file, from 1
    device: int
    inode: int
    head_size: int = 0
    head: str = ""  # fingerprint of the first `head_size` bytes
    offset: int = 0  # where reading goes on: the beginning of a line
    tail: str = ""  # fingerprint of the last bytes (TAIL, or all there are) before `offset`
    line: int = 0  # lines handed out
    skipping: bool = False  # `offset` is inside a line whose rest is left out
    silent_until: int = 0  # what stands before this offset is counted, not handed out
    modified: int = 0  # nanoseconds since 1970: last change of the file when it was read

    @property
    def name(self) -> str:
        """What `Chunk.generation` says."""
        return f"{self.device:x}-{self.inode:x}-{self.number}"

    @property
    def tail_size(self) -> int:
        """How many bytes `tail` covers."""
        return min(self.offset, TAIL)

    def is_at(self, device: int, inode: int) -> bool:
        """Whether it lay there when it was last read under its own name."""
        return (self.device, self.inode) == (device, inode)

    def knows_head(self, head: bytes) -> bool:
        """Whether a file that begins so may be this one."""
        return len(head) >= self.head_size and fingerprint(head[: self.head_size]) == (self.head or fingerprint(b""))

    def knows_tail(self, tail: bytes) -> bool:
        """Whether these `tail_size` bytes before `offset` are those that were read."""
        return len(tail) == self.tail_size and (not tail or fingerprint(tail) == self.tail)

    def learn_head(self, head: bytes) -> None:
        """Extend the fingerprint to what is there now."""
        if self.head_size < HEAD and len(head) > self.head_size:
            self.head_size = min(len(head), HEAD)
            self.head = fingerprint(head[: self.head_size])

    def move(self, used: int, lines: int, before: bytes) -> None:
        """Go on by `used` bytes and `lines` lines; `before` ends with the bytes before the new offset (TAIL, or all)."""
        self.offset += used
        self.line += lines
        self.tail = fingerprint(before[-self.tail_size :]) if self.tail_size else ""


class Position(msgspec.Struct, kw_only=True):
    """What is committed of one log file."""

    version: int = 1
    now: Generation | None  # None: the last one is finished and the next not begun
    past: list[Generation]  # finished ones, oldest first


def read_position(raw: dict[str, Any]) -> Position | None:
    """A committed position; None where it is not one of ours."""
    try:
        position = msgspec.convert(raw, Position)
    except msgspec.ValidationError:
        return None
    return position if position.version == 1 else None
