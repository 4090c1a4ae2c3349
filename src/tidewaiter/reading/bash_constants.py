"""Constant evaluation that the Unix shells do inside a word: escapes, arithmetic, patterns and braces. Pure functions.

Semantics after the bash reference manual (3.1.2.4 ANSI-C quoting, 3.5.1 brace expansion, 3.5.3 parameter expansion, 6.5
shell arithmetic). Every function is bounded in time and size; None means "cannot be known".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tidewaiter.reading.bash_lexer import skip_quoted

BRACES_AT_MOST = 256
BRACES_TRIED = 8
BRACED_WORD_AT_MOST = 4_096
MATCH_COST_AT_MOST = 300_000
_MAGIC = re.compile(r"[*?\[\\]")
_NOT_SPECIAL = re.compile(r"[^\\'\"`$<>{},]+")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c[@-_a-z]|.)", re.DOTALL)
_NAMED = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip


def ansi_c(text: str) -> str:
    """The value of the text between `$'` and `'`. Bytes given in hex or octal are joined as UTF-8 where they are that."""
    return _join_bytes(_ESCAPE.sub(_escape, text))


def echo_escapes(text: str) -> str:
    """The value of an `echo -e` or `printf %b` argument: octal is `\\0NNN`, and `\\c` ends the output."""
    text = re.sub(r"\\0([0-7]{1,3})", r"\\\1", text)
    ends = re.search(r"(?<!\\)(?:\\\\)*\\c", text)
    return _join_bytes(_ESCAPE.sub(_escape, text[: ends.end() - 2] if ends else text))


def _escape(match: re.Match[str]) -> str:
    body = match.group(1)
    if body[0] in "xuU" and len(body) > 1:
        code = int(body[1:], 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    if body[0] in "01234567":
        return chr(int(body, 8) & 0xFF)
    if body[0] == "c" and len(body) > 1:
        return chr(ord(body[1].upper()) & 0x1F)
    return _NAMED.get(body, match.group())


def _join_bytes(text: str) -> str:
    """Turn single bytes above 0x7F that form UTF-8 into the character they spell."""
    if not any("\x80" <= char <= "\xff" for char in text):
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except ValueError:
        return text


_ARITHMETIC = re.compile(r"\s*(\d+#\w+|0[xX][0-9A-Fa-f]+|\d+|\$?[A-Za-z_]\w*|\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>()])")
_PRECEDENCE = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10, "**": 11,
}  # fmt: skip


class _Unknown(Exception):  # noqa: N818 - ends an evaluation, it is not an error
    pass


def arithmetic(text: str, lookup: Callable[[str], str | None]) -> int | None:
    """The value of a `$((...))` expression; `lookup` gives variables. None where a part is unknown or it is too long."""
    if len(text) > 300:
        return None
    tokens: list[str] = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _ARITHMETIC.match(text, position)
        if match is None:
            return None
        tokens.append(match.group(1))
        position = match.end()
    if len(tokens) > 80:
        return None
    try:
        value, rest = _binary(tokens, 0, 0, lookup)
    except (_Unknown, IndexError, ValueError, ZeroDivisionError):
        return None
    return value if rest == len(tokens) else None


def _binary(tokens: list[str], at: int, least: int, lookup: Callable[[str], str | None]) -> tuple[int, int]:
    left, at = _primary(tokens, at, lookup)
    while at < len(tokens) and _PRECEDENCE.get(tokens[at], -1) > least:
        operator = tokens[at]
        right, at = _binary(tokens, at + 1, _PRECEDENCE[operator], lookup)
        left = _apply(operator, left, right)
    return left, at


def _apply(operator: str, left: int, right: int) -> int:
    if operator in ("**", "<<", ">>"):
        if not 0 <= right < 64 or abs(left) > 1 << 32:
            raise _Unknown
        value = left**right if operator == "**" else left << right if operator == "<<" else left >> right
    elif operator in ("/", "%"):
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        value = quotient if operator == "/" else left - quotient * right
    else:
        value = {
            "+": left + right, "-": left - right, "*": left * right, "&": left & right, "|": left | right,
            "^": left ^ right, "<": int(left < right), ">": int(left > right), "<=": int(left <= right),
            ">=": int(left >= right), "==": int(left == right), "!=": int(left != right),
            "&&": int(bool(left and right)), "||": int(bool(left or right)),
        }[operator]  # fmt: skip
    if abs(value) > 1 << 63:
        raise _Unknown
    return value


def _primary(tokens: list[str], at: int, lookup: Callable[[str], str | None]) -> tuple[int, int]:
    part = tokens[at]
    if part in "+-~!":
        value, at = _primary(tokens, at + 1, lookup)
        return {"+": value, "-": -value, "~": ~value, "!": int(not value)}[part], at
    if part == "(":
        value, at = _binary(tokens, at + 1, 0, lookup)
        if tokens[at] != ")":
            raise _Unknown
        return value, at + 1
    if "#" in part:
        base, _, digits = part.partition("#")
        return int(digits, int(base)) if 2 <= int(base) <= 36 else int(digits), at + 1
    if part[0].isdigit():
        return int(part, 16 if part[:2] in ("0x", "0X") else 8 if part[0] == "0" else 10), at + 1
    known = lookup(part.lstrip("$"))
    if known is None:
        raise _Unknown
    return int(known.strip() or "0", 10), at + 1


def glob_regex(pattern: str, *, shortest: bool = False) -> re.Pattern[str] | None:
    """A shell pattern as a regular expression; None where it is too long. Ask `_is_slow` before using it."""
    if len(pattern) > 200:
        return None
    out, position = [], 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            out.append(".*?" if shortest else ".*")
        elif char == "?":
            out.append(".")
        elif char == "\\" and position < len(pattern):
            out.append(re.escape(pattern[position]))
            position += 1
        elif char == "[" and (stop := pattern.find("]", position + 1)) > 0:
            chars = pattern[position:stop]
            negated = chars[:1] in ("!", "^")
            inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", chars[1:] if negated else chars)
            out.append(f"[{'^' if negated else ''}{inside}]")
            position = stop + 1
        else:
            out.append(re.escape(char))
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error:
        return None


def _is_slow(pattern: str, text: str) -> bool:
    """Whether trying `pattern` at every place of `text` could take more than some milliseconds."""
    cost: int = len(text) ** (min(pattern.count("*"), 8) + 1)
    return cost > MATCH_COST_AT_MOST


def strip_pattern(value: str, operator: str, pattern: str) -> str | None:
    """`${x#p}`, `${x##p}`, `${x%p}` and `${x%%p}`."""
    front, longest = operator[0] == "#", len(operator) == 2
    literal = pattern.removeprefix("*") if front else pattern.removesuffix("*")
    if not _MAGIC.search(literal):
        return _strip_literal(value, literal, front=front, longest=longest, starred=literal != pattern)
    regex = glob_regex(pattern, shortest=not longest)
    if regex is None or _is_slow(pattern, value):
        return None
    if front:
        match = regex.match(value)
        return value[match.end() :] if match else value
    starts = range(len(value) + 1) if longest else range(len(value), -1, -1)
    return next((value[:start] for start in starts if regex.fullmatch(value, start)), value)


def _strip_literal(value: str, literal: str, *, front: bool, longest: bool, starred: bool) -> str:
    """The forms without a real pattern: `#lit`, `#*lit`, `%lit` and `%lit*`."""
    if not starred:
        return value.removeprefix(literal) if front else value.removesuffix(literal)
    if not literal:
        return "" if longest else value
    if front:
        at = value.rfind(literal) if longest else value.find(literal)
        return value if at < 0 else value[at + len(literal) :]
    at = value.find(literal) if longest else value.rfind(literal)
    return value if at < 0 else value[:at]


def replace_pattern(value: str, mode: str, pattern: str, replacement: str) -> str | None:
    """`${x/p/r}` (mode ""), `${x//p/r}` ("/"), `${x/#p/r}` ("#") and `${x/%p/r}` ("%")."""
    if not pattern:
        return value
    if not _MAGIC.search(pattern):
        if mode == "#":
            return replacement + value[len(pattern) :] if value.startswith(pattern) else value
        if mode == "%":
            return value[: -len(pattern)] + replacement if value.endswith(pattern) else value
        if value.count(pattern) * len(replacement) > 1_000_000:
            return None
        return value.replace(pattern, replacement, -1 if mode == "/" else 1)
    regex = glob_regex(pattern)
    if regex is None or _is_slow(pattern, value):
        return None
    if mode == "#":
        match = regex.match(value)
        return replacement + value[match.end() :] if match else value
    if mode == "%":
        starts = range(len(value) + 1)
        return next((value[:start] + replacement for start in starts if regex.fullmatch(value, start)), value)
    if mode == "/" and len(value) * len(replacement) > 1_000_000:
        return None
    return regex.sub(lambda _: replacement, value, count=0 if mode == "/" else 1)


_RANGE = re.compile(r"(-?\d{1,9}|[A-Za-z])\.\.(-?\d{1,9}|[A-Za-z])(?:\.\.(-?\d{1,4}))?\Z")


def braces(word: str) -> list[str]:
    """`a{b,c}d` and `{1..3}` as the words they stand for; quotes are kept as spelled. At most 256 words."""
    if len(word) > BRACED_WORD_AT_MOST:
        return [word]
    done: list[str] = []
    waiting = [("", word)]
    while waiting:
        head, rest = waiting.pop()
        found = _first_brace(rest)
        if found is None or len(done) + len(waiting) + len(found[2]) > BRACES_AT_MOST:
            done.append(head + rest)
            continue
        start, end, choices = found
        head += rest[:start]
        tail = rest[end:]
        if len(choices) == 1:
            waiting.append((head + choices[0], tail))
            continue
        waiting += [(head, choice + tail) for choice in reversed(choices)]
    return done


def _first_brace(word: str) -> tuple[int, int, list[str]] | None:
    position = 0
    for _ in range(BRACES_TRIED):
        position = _next_special(word, position, "{")
        if position >= len(word):
            break
        choices, end = _choices(word, position)
        if choices:
            return position, end, choices
        position += 1
    return None


def _next_special(word: str, position: int, wanted: str) -> int:
    """The next unquoted character of `wanted`, or len(word)."""
    while position < len(word):
        run = _NOT_SPECIAL.match(word, position)
        if run:
            position = run.end()
            continue
        char = word[position]
        if char in wanted:
            return position
        if char == "\\":
            position += 2
        elif char in "'\"`" or word.startswith(("${", "$(", "$'", "<(", ">("), position):
            position = skip_quoted(word, position)
        else:
            position += 1
    return len(word)


def _choices(word: str, start: int) -> tuple[list[str], int]:
    """The alternatives of the brace at `start` and where it ends; no alternatives where it is an ordinary brace."""
    depth, begin, position = 0, start + 1, start + 1
    parts: list[str] = []
    while (position := _next_special(word, position, "{},")) < len(word):
        char = word[position]
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif char == "," and not depth:
            parts.append(word[begin:position])
            begin = position + 1
        elif char == "}":
            last = word[begin:position]
            if parts:
                return [*parts, last], position + 1
            return _range(last), position + 1
        position += 1
    return [], start + 1


def _range(text: str) -> list[str]:
    match = _RANGE.match(text)
    if match is None or match.group(1).lstrip("-").isdigit() != match.group(2).lstrip("-").isdigit():
        return []
    digits = match.group(1).lstrip("-").isdigit()
    first, last = (int(part) if digits else ord(part) for part in match.groups()[:2])
    step = max(1, abs(int(match.group(3) or 1))) * (1 if last >= first else -1)
    width = (
        max(map(len, match.groups()[:2])) if digits and any(p.lstrip("-").startswith("0") for p in match.groups()[:2]) else 0
    )
    values = range(first, last + (1 if step > 0 else -1), step)[:BRACES_AT_MOST]
    return [str(value).zfill(width) if digits else chr(value) for value in values]
