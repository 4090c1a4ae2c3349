"""tshark, where it is installed, for what Suricata does not carry: TFTP's blocks and the bytes of chosen TCP connections.

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
MOST_TFTP = 10_000
_TFTP_FIELDS = (
    "frame.time_epoch", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "udp.srcport", "udp.dstport", "tftp.opcode", "tftp.block",
    "tftp.source_file", "tftp.destination_file", "udp.payload",
)  # fmt: skip
_READ, _WRITE, _DATA = "1", "2", "3"
_SMALL_BLOCK = 512

Endpoint = tuple[str, int]


class Pair(NamedTuple):
    """The two ends of a connection; which of them opened it does not matter."""

    first: Endpoint
    second: Endpoint


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


def follow(tshark: str, capture: Path, folder: Path, pairs: Sequence[Pair]) -> Generator[None, None, Ended]:
    """Write the bytes of the connections to `folder`/out, for `followed`. Yields about once a second."""
    command = [tshark, "-n", "-q", "-r", str(capture.resolve())]
    for pair in pairs:
        command += ["-z", f"follow,tcp,raw,{_spelled(pair.first)},{_spelled(pair.second)}"]
    return (yield from run(command, folder, seconds=SECONDS, file_size=OUTPUT_SIZE))


def _spelled(endpoint: Endpoint) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


_NODE = re.compile(rb"Node ([01]): \[?([0-9a-fA-F:.]+)\]?:(\d{1,5})$")


def followed(folder: Path) -> Iterator[Followed]:
    """The connections that `follow` wrote down. Lines of the second node begin with a tab."""
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


def list_tftp(tshark: str, capture: Path, folder: Path) -> Generator[None, None, Ended]:
    """Write the packets of TFTP to `folder`/out, for `tftp_files`. Yields about once a second."""
    command = [tshark, "-n", "-r", str(capture.resolve()), "-Y", "tftp && !icmp", "-T", "fields"]
    for field in _TFTP_FIELDS:
        command += ["-e", field]
    return (yield from run(command, folder, seconds=SECONDS, file_size=OUTPUT_SIZE))


class _Session:
    """One request and the blocks that answered it."""

    def __init__(self, opcode: str, name: str | None, client: Endpoint, server: Endpoint) -> None:
        self.to_server = opcode == _WRITE
        self.name, self.client, self.server = name, client, server
        self.sha256, self.md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self.head = b""
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
        if len(self.head) < 4096:
            self.head += content

    def file(self) -> TftpFile:
        """The file as it was carried. It is whole where the last block is shorter than the others."""
        complete = not self.gaps and (self.last < self.longest or (self.blocks == 1 and self.last < _SMALL_BLOCK))
        carried = Carried(
            to_server=self.to_server, name=self.name, size=self.size, sha256=self.sha256.hexdigest(), md5=self.md5.hexdigest(),
            type=type_of(self.head), gaps=self.gaps, complete=complete, more={"blocks": self.blocks},
        )  # fmt: skip
        return TftpFile(carried, self.time, self.client, self.server)


def tftp_files(folder: Path) -> Iterator[TftpFile]:
    """The files that TFTP carried, in the order in which they ended; at most MOST_TFTP are under way at a time."""
    sessions: dict[Endpoint, _Session] = {}
    with (folder / "out").open("rb") as file:
        for line in file:
            values = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
            if len(values) != len(_TFTP_FIELDS):
                continue
            when, src4, src6, dst4, dst6, src_port, dst_port, opcode, block, _, _, payload = (
                value.split(",", 1)[0] for value in values
            )
            with suppress(ValueError):
                source, target = (src4 or src6, int(src_port)), (dst4 or dst6, int(dst_port))
                time = int(float(when) * 1_000_000)
                if opcode in (_READ, _WRITE):
                    if len(sessions) >= MOST_TFTP:
                        yield from _ended(sessions, next(iter(sessions)))
                    yield from _ended(sessions, source)
                    name = (values[9] if opcode == _READ else values[10]) or values[9]
                    sessions[source] = _Session(opcode, name or None, source, target)
                elif opcode == _DATA and block:
                    session = sessions.get(target) or sessions.get(source)
                    if session is not None:
                        session.server = source if session.client == target else target
                        session.take(int(block, 0) & 0xFFFF, bytes.fromhex(payload)[4:], time)
    for client in list(sessions):
        yield from _ended(sessions, client)


def _ended(sessions: dict[Endpoint, _Session], client: Endpoint) -> Iterator[TftpFile]:
    session = sessions.pop(client, None)
    if session is not None and session.blocks:
        yield session.file()
