"""Files out of the streams of protocols that the packet engine does not read: bare TCP, finger, gopher, git, rsync.

Sources: RFC 1288 (finger), RFC 1436 (gopher), "git-protocol-pack" and "pack-format" of git's documentation, the protocol notes
of rsync (multiplexed frames: four bytes of length and tag; file data: tokens of a length and so many bytes, ended by zero).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
import struct
import tomllib
from collections.abc import Iterator
from importlib import resources

import msgspec

_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/]{40,}\r?\n){2,}[A-Za-z0-9+/]*={0,2}|[A-Za-z0-9+/]{200,}={0,2}")
_MISSING = re.compile(rb"\[\d{1,12} bytes missing in capture file\]")
_RSYNC_DATA = 7
_RSYNC_TOKEN = 1 << 17
_NO_BASIS = bytes(16)
MOST_FILES = 200


class Carried(msgspec.Struct, kw_only=True):
    """One file that one side of a connection sent. `to_server`: the side that opened it was the sender."""

    to_server: bool
    name: str | None = None
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    type: str | None = None
    gaps: bool = False
    complete: bool | None = None
    more: dict[str, object] = {}
    content: bytes | None = None


class Signature(msgspec.Struct, frozen=True):
    """How content of one type begins."""

    type: str
    starts: bytes
    offset: int = 0
    contains: bytes = b""


@functools.cache
def signatures() -> tuple[Signature, ...]:
    """The types of knowledge/suricata/contents.toml, in the order in which they are tried."""
    path = resources.files("tidewaiter") / "knowledge" / "suricata" / "contents.toml"
    return tuple(
        Signature(item["type"], bytes.fromhex(item["starts"]), item.get("offset", 0), bytes.fromhex(item.get("contains", "")))
        for item in tomllib.loads(path.read_text(encoding="utf-8"))["content"]
    )


def type_of(content: bytes) -> str | None:
    """What content is by its first bytes, in words like libmagic's, or None where nothing is known."""
    head = content[:4096]
    for known in signatures():
        if head.startswith(known.starts, known.offset) and known.contains in head:
            if known.starts == b"#!":
                line = head.split(b"\n", 1)[0][2:80].decode("ascii", "replace").strip()
                return f"{known.type} (#!{line})" if line.isprintable() else known.type
            return known.type
    return "ASCII text" if head and all(9 <= byte < 127 for byte in head) else None


def files_in(kind: str, client: bytes, server: bytes) -> Iterator[Carried]:
    """The files that a connection of one kind ("raw", "finger", "gopher", "git", "rsync") carried."""
    yield from _READERS[kind](client, server)


def _carried(content: bytes, *, to_server: bool, name: str | None = None, complete: bool | None = None) -> Carried:
    return Carried(
        to_server=to_server,
        name=name,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        type=type_of(content),
        gaps=_MISSING.search(content) is not None,
        complete=complete,
        content=content,
    )


def _raw(client: bytes, server: bytes) -> Iterator[Carried]:
    """What either side sent, where it begins like a file; a length of four bytes before it is cut off."""
    for content, to_server in ((client, True), (server, False)):
        kind = type_of(content)
        if kind not in (None, "ASCII text"):
            yield _carried(content, to_server=to_server)
        elif _BASE64_LINES.match(content):
            yield _with_decoded(_carried(content, to_server=to_server), content)
        elif len(content) > 4 and type_of(content[4:]) not in (None, "ASCII text"):
            length = struct.unpack_from("<I", content)[0]
            body = content[4 : 4 + length] if length > 0 else content[4:]
            file = _carried(body, to_server=to_server, complete=len(body) == length)
            file.more["length_prefix"] = length
            yield file


def _finger(client: bytes, server: bytes) -> Iterator[Carried]:
    """The answer, with the line ends of Unix: finger's are those of a network terminal. The name is what was asked for."""
    if server.strip():
        asked = client.split(b"\n", 1)[0].strip()[:200].decode("utf-8", "replace")
        text = server.replace(b"\r\n", b"\n")
        file = _carried(text, to_server=False, name=asked or None)
        if text != server:
            file.more["sha256_on_wire"] = hashlib.sha256(server).hexdigest()
        yield _with_decoded(file, text)


def _gopher(client: bytes, server: bytes) -> Iterator[Carried]:
    if server:
        asked = client.split(b"\n", 1)[0].strip()[:400].decode("utf-8", "replace")
        yield _carried(server, to_server=False, name=asked or None)


def _git(client: bytes, server: bytes) -> Iterator[Carried]:
    """The whole answer of a daemon that was asked for a repository: references and pack."""
    asked = re.match(rb"[0-9a-f]{4}git-upload-pack (/[^\0]{1,400})\0", client)
    if asked and server:
        file = _carried(server, to_server=False, name=asked[1].decode("utf-8", "replace"))
        start = server.find(b"PACK\0\0\0")
        file.type = "Git pack" if start >= 0 else "Git references"
        yield file


def _with_decoded(file: Carried, text: bytes) -> Carried:
    """Say what base64 in a text holds."""
    found = _BASE64_LINES.search(text)
    if found is not None:
        try:
            content = base64.b64decode(re.sub(rb"\s", b"", found[0]), validate=True)
        except (ValueError, binascii.Error):
            return file
        file.more["decoded"] = {
            "size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "type": type_of(content),
        }  # fmt: skip
    return file


def _rsync(client: bytes, server: bytes) -> Iterator[Carried]:
    """The files that a daemon gave or took: content where it came whole and not compressed, else the path that was asked."""
    if b"@RSYNCD:" not in client[:64] and b"@RSYNCD:" not in server[:64]:
        return
    pull = b"--sender" in client[:8192]
    asked = re.search(rb"[\0\n]\.[\0\n]([^\0\n]{1,1000})[\0\n]", client[:16384])
    path = asked[1].decode("utf-8", "replace") if asked else None
    data = b"".join(_frames(server if pull else client))
    contents = list(_tokens(data))
    single = len(contents) == 1 and path is not None and not path.endswith("/")
    for number, content in enumerate(contents):
        file = _carried(content, to_server=not pull, name=path if single else None, complete=True)
        if not single:
            file.more.update(asked=path, number=number + 1)
        yield file
    if not contents and path is not None:
        yield Carried(to_server=not pull, name=path, more={"content": "not rebuilt"})


def _frames(stream: bytes) -> Iterator[bytes]:
    """The data of the multiplexed frames, from the first place where frames follow each other."""
    position = _first_frame(stream)
    while position is not None and position + 4 <= len(stream):
        header = struct.unpack_from("<I", stream, position)[0]
        tag, length = header >> 24, header & 0xFFFFFF
        if not _RSYNC_DATA <= tag < _RSYNC_DATA + 110:
            return
        if tag == _RSYNC_DATA:
            yield stream[position + 4 : position + 4 + length]
        position += 4 + length


def _first_frame(stream: bytes) -> int | None:
    """Where a chain of frames begins that reaches the end of the stream, or three of them hold."""
    for start in range(min(len(stream), 4096)):
        position, chained = start, 0
        while position + 4 <= len(stream) and stream[position + 3] == _RSYNC_DATA and chained < 3:
            position += 4 + int.from_bytes(stream[position : position + 3], "little")
            chained += 1
        if chained and (chained == 3 or position == len(stream)):
            return start
    return None


def _tokens(data: bytes) -> Iterator[bytes]:
    """Contents that were sent without a basis: 16 zero bytes, then tokens that end with a zero and a checksum."""
    position, found = 0, 0
    while found < MOST_FILES:
        position = data.find(_NO_BASIS, position)
        if position < 0:
            return
        parts, place = [], position + len(_NO_BASIS)
        while place + 4 <= len(data):
            length = struct.unpack_from("<I", data, place)[0]
            place += 4
            if length == 0 or length > _RSYNC_TOKEN or place + length > len(data):
                break
            parts.append(data[place : place + length])
            place += length
        else:
            length = 1
        if parts and length == 0 and place + 16 <= len(data):
            found += 1
            position = place + 16
            yield b"".join(parts)
        else:
            position += 1


_READERS = {"raw": _raw, "finger": _finger, "gopher": _gopher, "git": _git, "rsync": _rsync}
KINDS = frozenset(_READERS)
"""The kinds of connections that `files_in` reads."""
