"""tshark, where it is installed, for what Suricata does not carry: TFTP's blocks and the bytes of chosen TCP connections.

Starting it costs more than most captures do, so one run of it reads all that is wanted.

Sources: tshark(1), "-z follow" and "-T fields"; RFC 1350, 2347 and 7440 for TFTP's blocks.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tidewaiter.formats.capture_child import Ended, run
from tidewaiter.formats.capture_contents import Carried, type_of

SECONDS = 60.0
LARGEST_CAPTURE = 500_000_000
"""tshark keeps every packet of a capture in memory: larger ones are left to Suricata alone, in bytes."""
LARGEST_SIDE = 64 << 20
OUTPUT_SIZE = 2 << 30
MOST_TFTP, MOST_WHOLE = 10_000, 4
_FIELDS = (
    "frame.time_epoch", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport", "ftp.request.command",
    "ftp.request.arg", "ftp.response.code", "udp.srcport", "udp.dstport", "tftp.opcode", "tftp.block", "tftp.source_file",
    "tftp.destination_file", "udp.payload",
)  # fmt: skip
_FTP_PACKETS, _TFTP_PACKETS = "ftp.request.command || ftp.response.code", "(tftp && !icmp)"
_READ, _WRITE, _DATA = "1", "2", "3"
_SMALL_BLOCK = 512

Endpoint = tuple[str, int]


class Pair(NamedTuple):
    """The two ends of a connection; which of them opened it does not matter."""

    first: Endpoint
    second: Endpoint


class Row(NamedTuple):
    """One packet of FTP or TFTP in tshark's words; a value of several layers has commas."""

    time: str
    src4: str
    src6: str
    dst4: str
    dst6: str
    tcp_from: str
    tcp_to: str
    command: str
    argument: str
    code: str
    udp_from: str
    udp_to: str
    opcode: str
    block: str
    asked_for: str
    given: str
    payload: str


class Followed(NamedTuple):
    """What both sides of one connection sent. `client` is the side of the first packet."""

    client: Endpoint
    server: Endpoint
    from_client: bytes
    from_server: bytes
    cut: bool


class TftpFile(NamedTuple):
    """One file that TFTP carried, when its last block came, and the ends of the connection; `client` asked."""

    carried: Carried
    time: int
    client: Endpoint
    server: Endpoint


def find() -> str | None:
    """Where tshark is, or None."""
    return shutil.which("tshark")


def read(
    tshark: str,
    capture: Path,
    folder: Path,
    pairs: Sequence[Pair],
    *,
    tftp: bool,
    ftp: bool,
    tftp_ports: Sequence[int] = (),
) -> Generator[None, None, Ended]:
    """Write to `folder`/out what is asked for, first packets and then the bytes of connections. Yields about once a second.

    A request for a name of other than printable ASCII does not tell tshark of the answer: `tftp_ports` does, of clients.
    The packets of TFTP are for `tftp_files`, those of FTP for `capture_ftp.ftp_commands`, the bytes for `followed`.
    """
    command = [tshark, "-n", "-r", str(capture.resolve())]
    for port in tftp_ports:
        command += ["-d", f"udp.port=={port},tftp"]
    shown = [_TFTP_PACKETS] * tftp + [_FTP_PACKETS] * ftp
    if shown:
        command += ["-Y", " || ".join(shown), "-T", "fields"]
        for field in _FIELDS:
            command += ["-e", field]
    else:
        command.append("-q")
    for pair in pairs:
        command += ["-z", f"follow,tcp,raw,{_spelled(pair.first)},{_spelled(pair.second)}"]
    return (yield from run(command, folder, seconds=SECONDS, file_size=OUTPUT_SIZE))


def rows(folder: Path) -> Iterator[Row]:
    """The packets that `read` wrote down, a line each; other lines are passed over."""
    with (folder / "out").open("rb") as file:
        for line in file:
            values = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
            if len(values) == len(_FIELDS):
                yield Row(*values)


def _spelled(endpoint: Endpoint) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


_NODE = re.compile(rb"Node ([01]): \[?([0-9a-fA-F:.]+)\]?:(\d{1,5})$")


def followed(folder: Path) -> Iterator[Followed]:
    """The connections that `read` wrote down, behind all packets. Lines of the second node begin with a tab."""
    nodes: dict[bytes, Endpoint] = {}
    sides = (bytearray(), bytearray())
    cut = False
    with (folder / "out").open("rb") as file:
        for line in file:
            line = line.rstrip(b"\r\n")
            node = _NODE.match(line)
            if node is not None:
                nodes[node[1]] = node[2].decode(), int(node[3])
            elif line.startswith(b"===="):
                if len(nodes) == 2 and (sides[0] or sides[1]):
                    yield Followed(nodes[b"0"], nodes[b"1"], bytes(sides[0]), bytes(sides[1]), cut)
                    nodes, sides, cut = {}, (bytearray(), bytearray()), False
            elif len(nodes) == 2 and line:
                side = sides[line[:1] == b"\t"]
                if len(side) > LARGEST_SIDE:
                    cut = True
                    continue
                with suppress(ValueError):
                    side += bytes.fromhex(line.decode("ascii", "replace"))


class _Session:
    """One request and the blocks that answered it."""

    def __init__(self, opcode: str, name: str | None, client: Endpoint, server: Endpoint, *, whole: bool) -> None:
        self.to_server = opcode == _WRITE
        self.name, self.client, self.server = name, client, server
        self.sha256, self.md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self.head = b""
        self.content = bytearray() if whole else None
        self.size = self.block = self.blocks = self.time = 0
        self.longest, self.last = 0, -1
        self.gaps = False

    def take(self, number: int, content: bytes, time: int) -> None:
        """One block; a repeated one is passed over."""
        ahead = (number - self.block) & 0xFFFF
        if ahead == 0 or ahead > 1 << 15:
            return
        self.gaps = self.gaps or ahead > 1
        self.block, self.blocks, self.time = number, self.blocks + 1, time
        self.size += len(content)
        self.longest, self.last = max(self.longest, len(content)), len(content)
        self.sha256.update(content)
        self.md5.update(content)
        if self.content is not None:
            self.content += content
            if len(self.content) > LARGEST_SIDE:
                self.content = None
        if len(self.head) < 4096:
            self.head += content

    def file(self) -> TftpFile:
        """The file as it was carried. It is whole where the last block is shorter than the others."""
        complete = not self.gaps and (self.last < self.longest or (self.blocks == 1 and self.last < _SMALL_BLOCK))
        carried = Carried(
            to_server=self.to_server, name=self.name, size=self.size, sha256=self.sha256.hexdigest(), md5=self.md5.hexdigest(),
            type=type_of(self.head), gaps=self.gaps, complete=complete, more={"blocks": self.blocks},
            content=None if self.content is None else bytes(self.content),
        )  # fmt: skip
        return TftpFile(carried, self.time, self.client, self.server)


def tftp_files(folder: Path, *, whole: bool = False) -> Iterator[TftpFile]:
    """The files that TFTP carried, in the order in which they ended; at most MOST_TFTP are under way at a time.

    With `whole` they have their content, of those under way only the first MOST_WHOLE.
    """
    sessions: dict[Endpoint, _Session] = {}
    for row in rows(folder):
        if not row.opcode:
            continue
        one = Row(*(value.split(",", 1)[0] for value in row))
        with suppress(ValueError):
            source, target = (one.src4 or one.src6, int(one.udp_from)), (one.dst4 or one.dst6, int(one.udp_to))
            if one.opcode in (_READ, _WRITE):
                if len(sessions) >= MOST_TFTP:
                    yield from _ended(sessions, next(iter(sessions)))
                yield from _ended(sessions, source)
                name = (row.asked_for if one.opcode == _READ else row.given) or row.asked_for
                sessions[source] = _Session(
                    one.opcode, name or None, source, target, whole=whole and len(sessions) < MOST_WHOLE
                )
            elif one.opcode == _DATA and one.block:
                session = sessions.get(target) or sessions.get(source)
                if session is not None:
                    session.server = source if session.client == target else target
                    time = int(float(one.time) * 1_000_000)
                    session.take(int(one.block, 0) & 0xFFFF, bytes.fromhex(one.payload)[4:], time)
    for client in list(sessions):
        yield from _ended(sessions, client)


def _ended(sessions: dict[Endpoint, _Session], client: Endpoint) -> Iterator[TftpFile]:
    session = sessions.pop(client, None)
    if session is not None and session.blocks:
        yield session.file()
