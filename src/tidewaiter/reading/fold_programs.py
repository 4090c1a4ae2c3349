"""What constant-producing programs print, from their arguments and standard input. Pure functions; nothing is run.

One function per program: `(arguments, standard input or None) -> output, or None where it cannot be known`. Behaviour after
the manual pages of GNU coreutils, BSD, busybox, OpenSSL, xxd and gzip. Every output is bounded by OUTPUT_AT_MOST.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Callable, Sequence

from tidewaiter.reading.bash_constants import ansi_c, echo_escapes
from tidewaiter.reading.fold_text import OUTPUT_AT_MOST, cut, encode, head_or_tail, rev, sed, tac, tr

Program = Callable[[Sequence[str], bytes | None], bytes | None]


def _echo(args: Sequence[str], _: bytes | None) -> bytes | None:
    rest, newline, escapes = list(args), True, False
    while rest and re.fullmatch(r"-[neE]+", rest[0]):
        for flag in rest.pop(0)[1:]:
            newline = newline and flag != "n"
            escapes = flag == "e" if flag in "eE" else escapes
    text = " ".join(rest)
    if escapes:
        newline = newline and not re.search(r"(?<!\\)(?:\\\\)*\\c", text)
        text = echo_escapes(text)
    return encode(text + ("\n" if newline else ""))


_DIRECTIVE = re.compile(r"%(%|[-+ #0]*(\*|\d{1,4})?(?:\.(\d{1,4}|\*)?)?([a-zA-Z]|\([^)]*\)T))")


def printf(args: Sequence[str]) -> str | None:
    """The output of `printf FORMAT ARGUMENTS`; the format is used again while arguments are left."""
    rest = list(args)
    if rest and rest[0] == "--":
        rest.pop(0)
    if not rest:
        return None
    form = rest.pop(0)
    if "\\c" in form:
        form = form[: form.index("\\c")]
    out: list[str] = []
    size = 0
    for _ in range(1_000):
        before = len(rest)
        text = _format_once(form, rest)
        if text is None:
            return None
        size += len(text)
        if size > OUTPUT_AT_MOST:
            return None
        out.append(text)
        if not rest or len(rest) == before:
            break
    return "".join(out)


def _format_once(form: str, rest: list[str]) -> str | None:
    out, position = [], 0
    for match in _DIRECTIVE.finditer(form):
        out.append(ansi_c(re.sub(r"\\0([0-7]{3})", r"\\\1", form[position : match.start()])))
        position = match.end()
        value = "%" if match.group(1) == "%" else _directive(match, rest)
        if value is None:
            return None
        out.append(value)
    out.append(ansi_c(form[position:]))
    return "".join(out)


def _directive(match: re.Match[str], rest: list[str]) -> str | None:
    width, precision, kind = match.group(2), match.group(3), match.group(4)
    if width == "*" or precision == "*":
        return None
    value = rest.pop(0) if rest else ""
    if kind in "di" or kind in "uxXo":
        try:
            number = ord(value[1]) if value[:1] in ("'", '"') and len(value) > 1 else int(value or "0", 0)
        except ValueError:
            return None
        value = format(abs(number), {"x": "x", "X": "X", "o": "o"}.get(kind, "d"))
        value = ("-" if number < 0 else "") + (value.zfill(int(width)) if width and match.group(1).startswith("0") else value)
    elif kind == "c":
        value = value[:1]
    elif kind == "b":
        value = echo_escapes(value)
    elif kind not in "sq":
        return None
    if precision is not None and kind in "sb":
        value = value[: int(precision)]
    if width:
        size = int(width)
        value = value.ljust(size) if "-" in match.group(1) else value.rjust(size)
    return value


def _printf(args: Sequence[str], _: bytes | None) -> bytes | None:
    text = printf(args)
    return None if text is None else encode(text)


def unbase64(data: bytes, *, url_safe: bool = True) -> bytes | None:
    """Decode base64 as lenient decoders do: white space and missing padding are accepted. None where it is not base64."""
    data = re.sub(rb"\s+", b"", data)
    if url_safe:
        data = data.replace(b"-", b"+").replace(b"_", b"/")
    if not re.fullmatch(rb"[A-Za-z0-9+/]*={0,3}", data):
        return None
    data = data.rstrip(b"=")
    if len(data) % 4 == 1:
        data = data[:-1]
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4))
    except (binascii.Error, ValueError):
        return None


def _flags(args: Sequence[str]) -> tuple[str, list[str]]:
    """All short flags joined (long ones by their first letter in upper case), and the operands."""
    short, operands = "", []
    for arg in args:
        if arg.startswith("--") and len(arg) > 2:
            short += {"decode": "d", "ignore-garbage": "i", "decompress": "d", "uncompress": "d", "stdout": "c"}.get(
                arg[2:], "?"
            )
        elif arg.startswith("-") and len(arg) > 1:
            short += arg[1:]
        else:
            operands.append(arg)
    return short, operands


def _base64(args: Sequence[str], data: bytes | None) -> bytes | None:
    flags, _ = _flags(args)
    if data is None:
        return None
    if "d" in flags or "D" in flags:
        if "i" in flags and "D" not in flags:
            data = re.sub(rb"[^A-Za-z0-9+/=]", b"", data)
        return unbase64(data)
    return base64.b64encode(data) + b"\n"


def _base32(args: Sequence[str], data: bytes | None) -> bytes | None:
    if data is None or "d" not in _flags(args)[0]:
        return None
    data = re.sub(rb"\s+", b"", data).rstrip(b"=")
    try:
        return base64.b32decode(data + b"=" * (-len(data) % 8))
    except (binascii.Error, ValueError):
        return None


def _openssl(args: Sequence[str], data: bytes | None) -> bytes | None:
    if data is None or not args or args[0] not in ("enc", "base64"):
        return None
    if args[0] == "enc" and not {"-base64", "-a"} & set(args):
        return None
    if any(arg.startswith(("-aes", "-des", "-k", "-pass", "-out")) for arg in args):
        return None
    return unbase64(data) if "-d" in args else base64.b64encode(data) + b"\n"


def _xxd(args: Sequence[str], data: bytes | None) -> bytes | None:
    flags = "".join(arg[1:] for arg in args if arg.startswith("-"))
    if data is None or "p" not in flags:
        return None
    return unhex(data) if "r" in flags else binascii.hexlify(data) + b"\n"


def unhex(data: bytes) -> bytes | None:
    """Decode hexadecimal digits; white space, `0x` and `\\x` between them are accepted."""
    digits = re.sub(rb"\s+|0[xX]|\\x", b"", data)
    if not re.fullmatch(rb"(?:[0-9A-Fa-f]{2})*", digits):
        return None
    return binascii.unhexlify(digits)


def decompress(data: bytes) -> bytes | None:
    """Unpack gzip, zlib, raw deflate, bzip2 or xz data, told by its first bytes; at most OUTPUT_AT_MOST bytes."""
    try:
        if data[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(data, OUTPUT_AT_MOST)
        if data[:6] == b"\xfd7zXZ\x00" or data[:3] == b"\x5d\x00\x00":
            return lzma.LZMADecompressor(memlimit=64 << 20).decompress(data, OUTPUT_AT_MOST)
        bits = 47 if data[:2] == b"\x1f\x8b" or data[:1] == b"\x78" else -15
        return zlib.decompressobj(bits).decompress(data, OUTPUT_AT_MOST)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return None


def _unpack(_: Sequence[str], data: bytes | None) -> bytes | None:
    return None if data is None else decompress(data)


def _pack_tool(args: Sequence[str], data: bytes | None) -> bytes | None:
    return _unpack(args, data) if "d" in _flags(args)[0] else None


def _cat(args: Sequence[str], data: bytes | None) -> bytes | None:
    return None if any(arg.startswith("-") and arg not in ("-", "-u") for arg in args) else data


def _dd(args: Sequence[str], data: bytes | None) -> bytes | None:
    return None if any(arg.startswith(("skip=", "count=", "seek=", "conv=", "of=", "if=")) for arg in args) else data


def _which(args: Sequence[str], _: bytes | None) -> bytes | None:
    names = [arg for arg in args if not arg.startswith("-")]
    return encode(names[0] + "\n") if len(names) == 1 else None


def _command(args: Sequence[str], data: bytes | None) -> bytes | None:
    return _which(args[1:], data) if args and args[0] in ("-v", "-V", "-p", "-P") else None


def _basename(args: Sequence[str], _: bytes | None) -> bytes | None:
    if not args or args[0].startswith("-"):
        return None
    name = args[0].rstrip("/").rpartition("/")[2]
    return encode((name.removesuffix(args[1]) if len(args) > 1 else name) + "\n")


def _dirname(args: Sequence[str], _: bytes | None) -> bytes | None:
    if len(args) != 1 or args[0].startswith("-"):
        return None
    return encode((args[0].rstrip("/").rpartition("/")[0] or ("/" if args[0].startswith("/") else ".")) + "\n")


def _rot13(_: Sequence[str], data: bytes | None) -> bytes | None:
    return None if data is None else encode(codecs.encode(data.decode("utf-8", "replace"), "rot13"))


PRINTS: dict[str, Program] = {
    "echo": _echo, "printf": _printf, "which": _which, "command": _command, "type": _command, "true": lambda _a, _d: b"",
    "basename": _basename, "dirname": _dirname, "print": _echo,
}  # fmt: skip
"""Programs whose output depends on their arguments only."""

FILTERS: dict[str, Program] = {
    "base64": _base64, "gbase64": _base64, "base32": _base32, "openssl": _openssl, "xxd": _xxd, "rev": rev, "tac": tac,
    "tr": tr, "cut": cut, "sed": sed, "cat": _cat, "dd": _dd, "rot13": _rot13, "pv": _cat,
    "head": lambda args, data: head_or_tail(args, data, tail=False),
    "tail": lambda args, data: head_or_tail(args, data, tail=True),
    "gunzip": _unpack, "zcat": _unpack, "gzcat": _unpack, "bunzip2": _unpack, "bzcat": _unpack, "unxz": _unpack,
    "xzcat": _unpack, "zlib-flate": _unpack, "gzip": _pack_tool, "pigz": _pack_tool, "bzip2": _pack_tool,
    "xz": _pack_tool, "lzma": _pack_tool, "unlzma": _unpack,
}  # fmt: skip
"""Programs that change their standard input, or the file named last."""

DECODES = frozenset({"base64", "gbase64", "base32", "openssl", "xxd", "rev", "tr", "sed", "rot13", "cut", "tac"} | {
    "gunzip", "zcat", "gzcat", "bunzip2", "bzcat", "unxz", "xzcat", "gzip", "bzip2", "xz", "printf",
})  # fmt: skip
"""Programs whose output is worth showing to a person as an unfolding step."""
