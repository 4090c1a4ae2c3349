"""Values of Linux audit records: quoted or hex text, addresses, argument lists, keystrokes.

Format: the kernel's audit_log_untrustedstring (text is in double quotes, or bare hex when it holds a space, a quote, a control
character or a byte above 0x7e) and audit_log_execve_info (arguments over several records, long ones in numbered pieces).
"""

from __future__ import annotations

import posixpath
import re
import socket
from binascii import Error as HexError
from binascii import unhexlify
from functools import lru_cache

from tidewaiter.formats.text_lines import text

_ARGUMENT = re.compile(r' a\d+=(?:"([^"]*)"|([^\s\x1d]*))')
_PIECE = re.compile(rb' a(\d+)(?:\[\d+\])?=(?:"([^"]*)"|([^\s\x1d]*))')
_FIELD = re.compile(rb"\b([\w-]{1,40})=(\"[^\"]*\"|[^\s'\x1d]+)")
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
_LINE_END = re.compile(r"[\r\n]")
_UNSAFE = re.compile(r"[^\w@%+=:,./-]", re.ASCII).search  # as shlex.quote has it
_PLAIN = re.compile(r"[a-zA-Z0-9@%+=:,./ _-]*")
_LONGEST_RECORD = 65_536  # bytes of one that has fields; the kernel's limit is below 9,000
_LINES_TYPED = 1_000  # in one record
_MAPPED = "::ffff:"


def unhex(raw: bytes) -> bytes:
    """The bytes that hex digits stand for; anything else unchanged."""
    try:
        return unhexlify(raw)
    except (HexError, ValueError):
        return raw


def value(raw: bytes) -> str | None:
    """The text of a field: quoted, hex, or absent (`(null)`, `?`, `(none)`)."""
    if raw[:1] == b'"':
        return text(raw[1:].removesuffix(b'"'))
    if raw in (b"(null)", b"?", b"(none)", b""):
        return None
    return text(unhex(raw))


@lru_cache(maxsize=8_192)
def _short_value(raw: bytes) -> str | None:
    return value(raw)


def short_value(raw: bytes) -> str | None:
    """`value`, remembered: the same few programs, users and folders fill a log."""
    return _short_value(raw) if len(raw) < 256 else value(raw)


def arguments(bodies: list[bytes], argc: int) -> list[str]:
    """The argument list from the bodies of one event's EXECVE records, in order; `argc` is what the record says it has.

    An argument of which pieces are missing is given without them; the caller compares the number with `argc=`.
    """
    if len(bodies) > 1 or bodies[0].find(b"_len=") >= 0 or bodies[0].find(b"[0]=") >= 0:  # faster than `in`
        pieces: dict[int, bytearray] = {}
        for body in bodies:
            for number, quoted, bare in _PIECE.findall(body):
                piece = quoted if not bare else bare[1:] if bare[:1] == b'"' else unhex(bare)
                pieces.setdefault(int(number[:9]), bytearray()).extend(piece)
        return [text(bytes(pieces[number])) for number in sorted(pieces)]
    line = text(bodies[0])
    parts = line.split('"')
    if len(parts) == 2 * argc + 1:  # all are quoted, and no quote can be inside
        return parts[1::2]
    return [quoted if not bare else _bare(bare) for quoted, bare in _ARGUMENT.findall(line)]


def _bare(spelled: str) -> str:
    """An argument without quotes: hex, or as it is where it means nothing."""
    try:
        return unhexlify(spelled).decode()
    except (HexError, ValueError):
        return value(spelled.encode()) or spelled


def command_line(argv: list[str]) -> str:
    """The arguments as a POSIX shell would need them spelled (shlex.join)."""
    plain = " ".join(argv)
    if _PLAIN.fullmatch(plain):  # spaces are all that may need quotes
        if plain.count(" ") == len(argv) - 1 and "" not in argv:
            return plain
        return " ".join([word if word and " " not in word else f"'{word}'" for word in argv])
    return " ".join([word if word and _UNSAFE(word) is None else "'" + word.replace("'", "'\"'\"'") + "'" for word in argv])


def fields(body: bytes) -> dict[str, str]:
    """All `key=value` fields of a record, quotes removed and hex left alone; the first of equal keys counts."""
    found: dict[str, str] = {}
    for key, raw in _FIELD.findall(body[:_LONGEST_RECORD]):
        name = text(key)
        if name not in found:
            found[name] = text(raw[1:-1] if raw[:1] == b'"' else raw.strip(b",()"))
    return found


def hex_text(raw: str) -> str:
    """A field of `fields` that may be hex, as text."""
    if len(raw) % 2 or not raw.isascii():
        return raw
    return text(unhex(raw.encode()))


def socket_address(digits: bytes) -> tuple[str, int] | str:
    """(address, port) of a hex `saddr`, or in words why it is none. IPv4 inside IPv6 is given as IPv4."""
    family = digits[:4].upper()
    try:
        if family in (b"0200", b"0002"):
            return socket.inet_ntop(socket.AF_INET, unhexlify(digits[8:16])), int(digits[4:8], 16)
        if family in (b"0A00", b"000A"):
            address = socket.inet_ntop(socket.AF_INET6, unhexlify(digits[16:48]))
            if address.startswith(_MAPPED) and "." in address:
                address = address[len(_MAPPED) :]
            return address, int(digits[4:8], 16)
    except (HexError, ValueError):
        return "socket address cut short"
    if family[:2] == b"01" or family == b"0001":
        return "local socket"
    if family in (b"1000", b"0010"):
        return "netlink socket"
    if family == b"0000":
        return "disconnect of a socket"
    return "socket of another family"


def octal(mode: str | bytes | int) -> str | None:
    """Permission bits as four octal digits ("0755") from an octal text or a number; None when it is neither."""
    try:
        bits = mode if isinstance(mode, int) else int(mode, 8)
    except ValueError:
        return None
    return f"{bits & 0o7777:04o}"


def absolute(path: str, cwd: str | None) -> str:
    """The path joined to the working directory and without `.`, `..` and doubled slashes, by its letters only."""
    if not path.startswith("/"):
        if not cwd:
            return path
        path = f"{cwd}/{path}"
    if "/." in path or "//" in path:
        path = posixpath.normpath(path)
        if path.startswith("//"):
            path = path[1:]
    return path


def keystrokes(raw: bytes) -> list[str]:
    """The lines that keystrokes of a terminal amount to: erasing and control characters are applied where they are plain."""
    lines: list[str] = []
    for typed in _LINE_END.split(_ESCAPE_SEQUENCE.sub("", text(raw)), _LINES_TYPED):
        kept: list[str] = []
        for character in typed:
            if character in "\x08\x7f":
                del kept[-1:]
            elif character in "\x03\x15":  # interrupt, erase the line
                kept.clear()
            elif character >= " " or character == "\t":
                kept.append(character)
        line = "".join(kept).strip()
        if line:
            lines.append(line)
    return lines
