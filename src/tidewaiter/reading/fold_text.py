"""The text filters rev, tac, tr, cut, head, tail and sed, for constant input. Pure functions; see `fold_programs`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidewaiter.reading.bash_constants import ansi_c

OUTPUT_AT_MOST = 500_000
"""Bytes that one program may print."""

SED_WORK_AT_MOST = 300_000
"""Characters that all commands of one sed together go through."""

STARRED_TEXT_AT_MOST = 1_000
"""Characters on which a sed pattern with a star is tried."""


def encode(text: str) -> bytes:
    """Text as the bytes a program would print; lone surrogates and the like become `?`."""
    return text.encode("utf-8", "replace")


def rev(_: Sequence[str], data: bytes | None) -> bytes | None:
    """`rev`: every line backwards."""
    if data is None:
        return None
    return encode("\n".join(line[::-1] for line in data.decode("utf-8", "replace").split("\n")))


def tac(args: Sequence[str], data: bytes | None) -> bytes | None:
    """`tac`: the lines in reverse order."""
    if data is None or any(arg.startswith("-") for arg in args):
        return None
    return b"".join(line + b"\n" for line in reversed(data.removesuffix(b"\n").split(b"\n")))


_CLASSES = {
    "lower": "abcdefghijklmnopqrstuvwxyz", "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "digit": "0123456789",
    "space": " \t\n\r\f\v", "blank": " \t",
}  # fmt: skip
_CLASSES["alpha"] = _CLASSES["upper"] + _CLASSES["lower"]
_CLASSES["alnum"] = _CLASSES["digit"] + _CLASSES["alpha"]
_CLASSES["punct"] = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())
_CLASSES["print"] = "".join(map(chr, range(32, 127)))


def _set(spelled: str) -> str:
    """The characters of a `tr` set."""
    spelled = re.sub(r"\[:(\w+):\]", lambda m: _CLASSES.get(m.group(1), ""), spelled)
    text = ansi_c(spelled)
    return re.sub(
        r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m.group(1)), min(ord(m.group(2)), 255) + 1))), text, flags=re.DOTALL
    )


def tr(args: Sequence[str], data: bytes | None) -> bytes | None:
    """`tr`: translate, delete or squeeze characters."""
    flags, operands = "", list(args)
    while operands and re.fullmatch(r"-[cCdst]+|--delete|--complement", operands[0]):
        flags += operands.pop(0).lstrip("-")[:4].replace("dele", "d").replace("comp", "c")
    if data is None or not operands:
        return None
    text = data.decode("utf-8", "replace")
    first = _set(operands[0])
    complement = "c" in flags or "C" in flags
    if "d" in flags:
        return encode("".join(char for char in text if (char in first) == complement))
    if "s" in flags and len(operands) == 1:
        return encode(re.sub(f"([{re.escape(first)}])\\1+", r"\1", text)) if first and not complement else None
    if len(operands) < 2:
        return None
    second = _set(operands[1])
    if not second:
        return None
    if complement:
        text = "".join(char if char in first else second[-1] for char in text)
    else:
        table = {ord(char): second[min(number, len(second) - 1)] for number, char in reversed(list(enumerate(first)))}
        text = text.translate(table)
    if "s" in flags:
        text = re.sub(f"([{re.escape(second)}])\\1+", r"\1", text)
    return encode(text)


def _positions(spelled: str) -> list[tuple[int, int]] | None:
    ranges = []
    for part in spelled.split(","):
        match = re.fullmatch(r"(\d{0,6})(-?)(\d{0,6})", part)
        if match is None or part in ("", "-"):
            return None
        first = int(match.group(1) or 1)
        last = int(match.group(3) or 1_000_000) if match.group(2) else first
        ranges.append((first, last))
    return ranges


def cut(args: Sequence[str], data: bytes | None) -> bytes | None:
    """`cut -d -f` and `cut -c`."""
    options: dict[str, str] = {}
    rest = list(args)
    while rest:
        match = re.fullmatch(r"-([dfcb])(.*)|-s", rest.pop(0), re.DOTALL)
        if match is None:
            return None
        if match.group(1):
            options[match.group(1)] = match.group(2) or (rest.pop(0) if rest else "")
    wanted = _positions(options.get("f") or options.get("c") or options.get("b") or "")
    if data is None or wanted is None:
        return None
    delimiter = options.get("d", "\t")

    def cut(line: str) -> str:
        if "f" in options and delimiter not in line:
            return line
        parts = line.split(delimiter) if "f" in options and delimiter else list(line)
        kept = [part for number, part in enumerate(parts, 1) if any(first <= number <= last for first, last in wanted)]
        return (delimiter if "f" in options else "").join(kept)

    return encode("\n".join(cut(line) for line in data.decode("utf-8", "replace").split("\n")))


def head_or_tail(args: Sequence[str], data: bytes | None, *, tail: bool) -> bytes | None:
    """`head` and `tail` with `-c` or `-n`."""
    match = re.fullmatch(r"(?:-([cn])\s*|--(bytes|lines)=|-)?([+-]?\d{1,7})", " ".join(args).strip()) if args else None
    if data is None or (args and match is None):
        return None
    unit, spelled = ("n", "10") if match is None else ((match.group(1) or (match.group(2) or "n")[0]), match.group(3))
    count = abs(int(spelled))
    pieces: list[bytes] = data.splitlines(keepends=True) if unit in "nl" else [data[at : at + 1] for at in range(len(data))]
    if tail:
        kept = pieces[max(count - 1, 0) :] if spelled.startswith("+") else pieces[max(len(pieces) - count, 0) :]
    else:
        kept = pieces[: len(pieces) - count if spelled.startswith("-") else count]
    return b"".join(kept)


_SED_CHARACTER = re.compile(r"\[\^?\]?[^\]]*\]|\\(.)|(.)", re.DOTALL)


def _sed_regex(pattern: str, *, extended: bool, ignore_case: bool) -> re.Pattern[str] | None:
    """A simple sed pattern: literals, dots, sets, anchors and at most one star. None for anything that may be slow."""
    out, stars = [], 0
    for match in _SED_CHARACTER.finditer(pattern):
        whole, escaped, char = match.group(), match.group(1), match.group(2)
        if escaped is not None:
            if escaped in "()|+?{}<>bwWsS123456789":
                return None
            out.append("\n" if escaped == "n" else re.escape(escaped))
        elif char is None:
            out.append(whole.replace("\\", "\\\\").replace("[[", "[\\["))
        elif char == "*" and out:
            stars += 1
            out.append("*")
        elif char in "^$.":
            out.append(char)
        elif extended and char in "()|+?{}":
            return None
        else:
            out.append(re.escape(char))
    if stars > 1:
        return None
    try:
        return re.compile("".join(out), re.IGNORECASE if ignore_case else 0)
    except re.error:
        return None


_SED_COMMAND = re.compile(r"\s*([sy])(.)((?:\\.|(?!\2).)*)\2((?:\\.|(?!\2).)*)\2([gIip0-9]*)\s*(?:;|\n|\Z)", re.DOTALL)


def sed(args: Sequence[str], data: bytes | None) -> bytes | None:
    """`sed` scripts made of simple `s` and `y` commands only."""
    scripts, rest, extended = [], list(args), False
    while rest:
        arg = rest.pop(0)
        if arg in ("-e", "--expression"):
            scripts.append(rest.pop(0) if rest else "")
        elif arg in ("-E", "-r"):
            extended = True
        elif arg in ("-re", "-Ee"):
            extended, scripts = True, [*scripts, rest.pop(0) if rest else ""]
        elif arg.startswith("-") or scripts:
            return None
        else:
            scripts.append(arg)
    if data is None or not scripts or len(data) > 65_536:
        return None
    text = data.decode("utf-8", "replace")
    work = 0
    for script in scripts:
        position = 0
        while position < len(script):
            work += len(text) + 64
            if work > SED_WORK_AT_MOST:
                return None
            match = _SED_COMMAND.match(script, position)
            changed = None if match is None else _sed_apply(match, text, extended)
            if match is None or changed is None or len(changed) > OUTPUT_AT_MOST:
                return None
            work += len(changed)
            text, position = changed, match.end()
    return encode(text)


def _sed_apply(match: re.Match[str], text: str, extended: bool) -> str | None:
    kind, delimiter, first, second, flags = match.groups()
    if kind == "y":
        first, second = ansi_c(first), ansi_c(second)
        return text.translate(str.maketrans(first, second)) if len(first) == len(second) else None
    if first.count(delimiter) or "p" in flags or re.search(r"\d", flags):
        return None
    regex = _sed_regex(first.replace("\\" + delimiter, delimiter), extended=extended, ignore_case="i" in flags.lower())
    if regex is None or re.search(r"\\[1-9]", second):
        return None
    second = second.replace("\\" + delimiter, delimiter)
    parts = [
        re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), part) for part in re.split(r"(?<!\\)&", second)
    ]

    template = r"\g<0>".join(part.replace("\\", r"\\") for part in parts)

    if "*" in first and len(text) > STARRED_TEXT_AT_MOST:
        return None
    lines = text.split("\n")
    return "\n".join(regex.sub(template, line, count=0 if "g" in flags else 1) for line in lines)
