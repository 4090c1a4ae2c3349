"""FTP commands of a capture by tshark, for control connections that Suricata gives up on after a lost packet.

Sources: tshark(1), "-T fields"; RFC 959 for commands and reply codes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tidewaiter.formats.capture_child import Ended, run
from tidewaiter.formats.capture_tshark import OUTPUT_SIZE, SECONDS, Endpoint

MOST_CONNECTIONS = 10_000
_FIELDS = (
    "frame.time_epoch", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport", "ftp.request.command",
    "ftp.request.arg", "ftp.response.code",
)  # fmt: skip
_TRANSFERS = frozenset({"RETR", "STOR", "STOU", "APPE"})


class FtpCommand(NamedTuple):
    """One command that names a file, when it was given (microseconds since 1970), and the codes that answered it."""

    time: int
    client: Endpoint
    server: Endpoint
    command: str
    argument: str
    codes: tuple[str, ...]


def list_ftp(tshark: str, capture: Path, folder: Path) -> Generator[None, None, Ended]:
    """Write commands and reply codes to `folder`/out, for `ftp_commands`. Yields about once a second."""
    command = [tshark, "-n", "-r", str(capture.resolve()), "-Y", "ftp.request.command || ftp.response.code", "-T", "fields"]
    for field in _FIELDS:
        command += ["-e", field]
    return (yield from run(command, folder, seconds=SECONDS, file_size=OUTPUT_SIZE))


def ftp_commands(folder: Path) -> Iterator[FtpCommand]:
    """The commands that name a file, each when the next command of its connection or the end shows that it was answered."""
    waiting: dict[tuple[Endpoint, Endpoint], FtpCommand] = {}
    with (folder / "out").open("rb") as file:
        for line in file:
            values = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
            if len(values) != len(_FIELDS):
                continue
            when, src4, src6, dst4, dst6, src_port, dst_port, command, argument, code = values
            with suppress(ValueError):
                source, target = (_first(src4 or src6), int(_first(src_port))), (_first(dst4 or dst6), int(_first(dst_port)))
                if command:
                    yield from _ended(waiting, (source, target))
                    if _first(command).upper() in _TRANSFERS:
                        if len(waiting) >= MOST_CONNECTIONS:
                            yield from _ended(waiting, next(iter(waiting)))
                        time = int(float(_first(when)) * 1_000_000)
                        known = FtpCommand(time, source, target, _first(command).upper(), argument, ())
                        waiting[source, target] = known
                elif code and (target, source) in waiting:
                    known = waiting[target, source]
                    waiting[target, source] = known._replace(codes=(*known.codes, *code.split(","))[:8])
    for ends in list(waiting):
        yield from _ended(waiting, ends)


def _first(value: str) -> str:
    """Of several layers, the outermost."""
    return value.split(",", 1)[0]


def _ended(waiting: dict[tuple[Endpoint, Endpoint], FtpCommand], ends: tuple[Endpoint, Endpoint]) -> Iterator[FtpCommand]:
    known = waiting.pop(ends, None)
    if known is not None:
        yield known
