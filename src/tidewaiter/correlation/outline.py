"""What a fold looks at of a block of rows before it asks for the rows themselves.

Most blocks of most hosts hold nothing that has to do with a transfer: files, connections and libraries of programs that nobody
asked anything of. Their rows need not be unpacked at all; what has to be looked at one by one stands in the outline.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from typing import Protocol

import msgspec

from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.schema.event import EventKind

_CONNECTION, _START = EventKind.CONNECTION, EventKind.PROCESS_START
_BULK = frozenset(
    map(
        id,
        (EventKind.FILE_CREATE, EventKind.FILE_BLOCKED, EventKind.FILE_STREAM, EventKind.IMAGE_LOAD, EventKind.CONNECTION),
    )
)
"""Kinds by identity: members of an enumeration are hashed slowly."""
_ALONE = frozenset(map(id, (EventKind.PROCESS_START, EventKind.FILE_RENAME, EventKind.SHELL_COMMAND, EventKind.CONNECTION)))
COMPILED = ".compiled"
"""What a web server writes beside a page that was brought in: such files are looked at whoever wrote them."""


class Outline(msgspec.Struct, array_like=True, gc=False):
    """A block of at most 256 rows of one host in order."""

    times: bytes  # of all rows, microseconds, as `array("q")`
    alone: bytes  # places of the rows that are looked at one by one
    singles: list[Glimpse]  # these rows
    keys: list[str]  # of the processes that act in the other rows
    keys_at: bytes  # place of the first such row of each
    pids: list[int]  # of those without a key
    pids_at: bytes
    paths: bytes  # sums of the paths of the files of the other rows, as `array("I")`
    loud: bytes  # places of the rows that are always looked at: something was found in them, or their kind or file is such a
    # one, or their program has no name

    @property
    def path_sums(self) -> array[int]:
        """The sums of the paths."""
        sums = array("I")
        sums.frombytes(self.paths)
        return sums


def path_sum(path: str) -> int:
    """What stands for a path in an outline: many times smaller, and like that of another path once in thousands of millions."""
    return zlib.crc32(path.encode("utf-8", "surrogatepass"))


class Stretch(Protocol):
    """Some rows of one block, which are unpacked when they are asked for."""

    @property
    def outline(self) -> Outline | None:
        """Of its block; None where it has none."""
        ...

    @property
    def end(self) -> int:
        """Place in its block up to which it goes."""
        ...

    @property
    def block_times(self) -> Sequence[int]:
        """Of all rows of its block, in order."""
        ...

    @property
    def times(self) -> Sequence[int]:
        """Of its rows, in order."""
        ...

    @property
    def loud(self) -> bool:
        """Whether one of its rows is always looked at."""
        ...

    def singles(self) -> Sequence[Glimpse]:
        """Its rows that are looked at one by one."""
        ...

    def glimpses(self) -> Sequence[Glimpse]:
        """All its rows in order."""
        ...

    def forget(self) -> None:
        """Let go of what is in memory: asked again it reads its rows again."""
        ...


def outlined(glimpses: Sequence[Glimpse]) -> tuple[Outline, list[Glimpse]]:
    """The outline of a block, and the rows that do not stand in it."""
    alone, loud, singles, bulk = bytearray(), bytearray(), list[Glimpse](), list[Glimpse]()
    keys: dict[str, int] = {}
    pids: dict[int, int] = {}
    paths: dict[str, None] = {}
    for place, one in enumerate(glimpses):
        kind = one.kind
        if id(kind) in _BULK and not one.findings and not (one.sign and kind is _CONNECTION):
            bulk.append(one)
            if one.key is not None:
                keys.setdefault(one.key, place)
            elif one.pid is not None:
                pids.setdefault(one.pid, place)
            if one.path is not None:
                paths[one.path] = None
        else:
            alone.append(place)
            singles.append(one)
            if one.findings or id(kind) not in _ALONE or (one.path is None and kind is _START):
                loud.append(place)
    if any(path.endswith(COMPILED) for path in paths):
        written = (place for place, one in enumerate(glimpses) if one.path is not None and one.path.endswith(COMPILED))
        loud = bytearray(sorted({*loud, *written}))
    times = array("q", [one.time for one in glimpses]).tobytes()
    return Outline(
        times=times,
        alone=bytes(alone),
        singles=singles,
        keys=list(keys),
        keys_at=bytes(keys.values()),
        pids=list(pids),
        pids_at=bytes(pids.values()),
        paths=array("I", map(path_sum, paths)).tobytes(),
        loud=bytes(loud),
    ), bulk
