"""FTP commands of a capture by tshark, for control connections that Suricata gives up on after a lost packet.

Sources: tshark(1), "-T fields" (`capture_tshark.read` runs it); RFC 959 for commands and reply codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tidewaiter.formats.capture_tshark import Endpoint, Row, rows

MOST_CONNECTIONS = 10_000
_TRANSFERS = frozenset({"RETR", "STOR", "STOU", "APPE"})
NAMES_A_FILE = re.compile(b"RETR|STOR|STOU|APPE", re.IGNORECASE)
"""In every packet of a command that `ftp_commands` gives."""


class FtpCommand(NamedTuple):
    """One command that names a file, when it was given (microseconds since 1970), and the codes that answered it."""

    time: int
    client: Endpoint
    server: Endpoint
    command: str
    argument: str
    codes: tuple[str, ...]


def ftp_commands(folder: Path) -> Iterator[FtpCommand]:
    """The commands that name a file, each when the next command of its connection or the end shows that it was answered."""
    waiting: dict[tuple[Endpoint, Endpoint], FtpCommand] = {}
    for row in rows(folder):
        with suppress(ValueError):
            source, target = (_first(row.src4 or row.src6), int(_first(row.tcp_from))), _target(row)
            if row.command:
                yield from _ended(waiting, (source, target))
                command = _first(row.command).upper()
                if command in _TRANSFERS:
                    if len(waiting) >= MOST_CONNECTIONS:
                        yield from _ended(waiting, next(iter(waiting)))
                    time = int(float(_first(row.time)) * 1_000_000)
                    waiting[source, target] = FtpCommand(time, source, target, command, row.argument, ())
            elif row.code and (target, source) in waiting:
                known = waiting[target, source]
                waiting[target, source] = known._replace(codes=(*known.codes, *row.code.split(","))[:8])
    for ends in list(waiting):
        yield from _ended(waiting, ends)


def _target(row: Row) -> Endpoint:
    return _first(row.dst4 or row.dst6), int(_first(row.tcp_to))


def _first(value: str) -> str:
    """Of several layers, the outermost."""
    return value.split(",", 1)[0]


def _ended(waiting: dict[tuple[Endpoint, Endpoint], FtpCommand], ends: tuple[Endpoint, Endpoint]) -> Iterator[FtpCommand]:
    known = waiting.pop(ends, None)
    if known is not None:
        yield known
