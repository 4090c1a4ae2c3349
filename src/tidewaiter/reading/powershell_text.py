"""Text operations of PowerShell and .NET on constants: regular expressions within bounds, -f, and the methods of strings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_values import Char, Value, to_list, to_number, to_text

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d{1,4})(?:\s*,\s*(-?\d{1,3}))?(?::([^{}]*))?\}")
NOT_LITERAL = re.compile(r"[.^$*+?{}\[\]\\|()]")
PATTERN_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<?[=!:]|[()|.^$]|[*+?]\??|\{\d+(?:,\d*)?\}\??|.", re.DOTALL)
SUBSTITUTE = re.compile(r"\$(?:(\d+)|\{(\w+)\}|([&$]))")
WIDEST = 1_000


def safe_pattern(pattern: str, length: int) -> bool:
    """Whether searching a text of this length for the pattern surely ends soon.

    Patterns come from logs, and the engine has no time limit: repeated groups are refused, and each open repetition but a
    final one costs a factor of the text's length.
    """
    if len(pattern) > 2_000:
        return False
    cost, last, final = 1, "", False
    parts = PATTERN_PART.findall(pattern)
    for position, part in enumerate(parts):
        if part[0] in "*+?{" and len(part) > 1 - (part[0] in "*+?") and last:
            fixed = part[0] == "{" and "," not in part
            if last.startswith(")") or (fixed and int(re.sub(r"\D", "", part) or 0) > WIDEST):
                if part[0] != "?":
                    return False
            elif part[0] not in "?" and not fixed:
                final = position == len(parts) - 1
                cost *= 1 if final else max(length, 1)
        last = part
    return cost * max(length, 1) <= 2_000_000


def compiled(pattern: str, length: int, *, case: bool = False) -> re.Pattern[str] | None:
    """The .NET pattern for Python; None where it is refused or cannot be translated."""
    if not NOT_LITERAL.search(pattern):
        return re.compile(re.escape(pattern), 0 if case else re.IGNORECASE)
    if not safe_pattern(pattern, length):
        return None
    pattern = re.sub(r"\(\?<([A-Za-z_]\w*)>", r"(?P<\1>", pattern)
    try:
        return re.compile(pattern, 0 if case else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        return None


def substitute(pattern: re.Pattern[str], text: str, replacement: str, budget: Budget) -> str:
    """`-replace`: all matches, with $1, ${name} and $& in the replacement."""
    budget.spend(1 + len(text) // 512)
    if "$" not in replacement:
        result = pattern.sub(lambda _match: replacement, text)
    else:

        def put(match: re.Match[str]) -> str:
            def one(part: re.Match[str]) -> str:
                if part[3]:
                    return match[0] if part[3] == "&" else "$"
                try:
                    return match[int(part[1])] or "" if part[1] else match[part[2]] or ""
                except (IndexError, ValueError):
                    return part[0]

            return SUBSTITUTE.sub(one, replacement)

        result = pattern.sub(put, text)
    budget.grow(max(0, len(result) - len(text)))
    return result


def wildcard(pattern: str, text: str) -> bool:
    """`-like`, without regard to case; patterns with many stars are refused (False)."""
    if pattern.count("*") > 8 or len(text) > 4_000 or len(pattern) > 200:
        return False
    expression = ""
    for part in re.findall(r"\[[^\]]*\]|`.|.", pattern, re.DOTALL):
        if part == "*":
            expression += ".*?"
        elif part == "?":
            expression += "."
        elif part[0] == "[" and len(part) > 2:
            expression += "[" + part[1:-1].replace("\\", "\\\\").replace("^", "\\^") + "]"
        else:
            expression += re.escape(part[-1])
    try:
        return re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL) is not None
    except re.error:
        return False


def formatted(template: str, values: list[Value], budget: Budget) -> str:
    """`template -f values`: what has no value stays as it is."""

    def put(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        index = int(match[1])
        if index >= len(values):
            return match[0]
        text = numeric(values[index], match[3]) if match[3] else to_text(values[index])
        if match[2]:
            width = max(-WIDEST, min(WIDEST, int(match[2])))
            text = text.rjust(width) if width > 0 else text.ljust(-width)
        budget.grow(len(text))
        return text

    return PLACEHOLDER.sub(put, template)


def numeric(value: Value, specification: str) -> str:
    """A number in a .NET format such as X2 or D3; other formats leave it as it is."""
    number = to_number(value)
    kind, digits = specification[:1].lower(), min(int("0" + re.sub(r"\D", "", specification[1:4])), 99)
    if number is None or kind not in "xdn0" or not isinstance(number, int):
        return to_text(value)
    if kind == "x":
        text = f"{number & 0xFFFFFFFF if number < 0 else number:x}".rjust(digits, "0")
        return text.upper() if specification[0] == "X" else text
    if specification.strip("0") == "":
        digits = len(specification)
    return str(number).rjust(digits, "0")


# methods ------------------------------------------------------------------------------------------------------------------


def whole(value: Value, default: int = 0) -> int:
    """The value as a whole number within reason."""
    number = to_number(value)
    return (
        max(-(1 << 31), min(1 << 31, int(number)))
        if number is not None and number == number and abs(number) < 1e18
        else default
    )


def trim_set(arguments: list[Value]) -> str | None:
    """The characters to trim; None for white space."""
    return "".join(to_text(item) for argument in arguments for item in to_list(argument)) or None


def split_text(text: str, arguments: list[Value]) -> Value:
    """String.Split: one string is a set of characters, as in .NET Framework; a string array holds whole separators."""
    if not arguments:
        return text.split()
    separators = arguments[0]
    limit = 0
    drop = False
    for option in arguments[1:]:
        if isinstance(option, int) and option > 1:
            limit = option - 1
        elif option == 1 or "removeempty" in to_text(option).lower():
            drop = True
    items = [to_text(item) for item in to_list(separators)]
    if type(separators) is list and any(len(item) > 1 for item in items):
        pattern = "|".join(re.escape(item) for item in items if item)
    else:
        pattern = "[" + re.escape("".join(items)) + "]" if "".join(items) else r"\s"
    parts = re.split(pattern, text, maxsplit=limit) if pattern else [text]
    return [part for part in parts if part] if drop else parts


def part_of(text: str, arguments: list[Value]) -> Value:
    """String.Substring."""
    start = max(0, whole(arguments[0] if arguments else 0))
    return text[start:] if len(arguments) < 2 else text[start : start + max(0, whole(arguments[1]))]


def without(text: str, arguments: list[Value]) -> Value:
    """String.Remove."""
    start = max(0, whole(arguments[0] if arguments else 0))
    return text[:start] if len(arguments) < 2 else text[:start] + text[start + max(0, whole(arguments[1])) :]


def padded(text: str, arguments: list[Value], *, left: bool) -> Value:
    """String.PadLeft and PadRight."""
    width = min(max(0, whole(arguments[0] if arguments else 0)), WIDEST)
    fill = (to_text(arguments[1]) if len(arguments) > 1 else " ")[:1] or " "
    return text.rjust(width, fill) if left else text.ljust(width, fill)


def first(arguments: list[Value]) -> str:
    """The first argument as text."""
    return to_text(arguments[0]) if arguments else ""


def replaced(text: str, arguments: list[Value]) -> Value:
    """String.Replace."""
    old = first(arguments)
    return text.replace(old, to_text(arguments[1]) if len(arguments) > 1 else "") if old else text


def inserted(text: str, arguments: list[Value]) -> Value:
    """String.Insert."""
    place = max(0, whole(arguments[0] if arguments else 0))
    return text[:place] + (to_text(arguments[1]) if len(arguments) > 1 else "") + text[place:]


def character(text: str, arguments: list[Value]) -> Value:
    """String.Chars."""
    index = whole(arguments[0] if arguments else 0)
    return Char(text[index]) if 0 <= index < len(text) else None


METHODS: dict[str, Callable[[str, list[Value]], Any]] = {
    "replace": replaced,
    "substring": part_of,
    "remove": without,
    "insert": inserted,
    "split": split_text,
    "tolower": lambda text, _: text.lower(),
    "toupper": lambda text, _: text.upper(),
    "tolowerinvariant": lambda text, _: text.lower(),
    "toupperinvariant": lambda text, _: text.upper(),
    "trim": lambda text, arguments: text.strip(trim_set(arguments)),
    "trimstart": lambda text, arguments: text.lstrip(trim_set(arguments)),
    "trimend": lambda text, arguments: text.rstrip(trim_set(arguments)),
    "tochararray": lambda text, _: [Char(item) for item in text],
    "getenumerator": lambda text, _: [Char(item) for item in text],
    "tostring": lambda text, _: str(text),
    "normalize": lambda text, _: text,
    "clone": lambda text, _: text,
    "chars": character,
    "get_chars": character,
    "get_length": lambda text, _: len(text),
    "padleft": lambda text, arguments: padded(text, arguments, left=True),
    "padright": lambda text, arguments: padded(text, arguments, left=False),
    "contains": lambda text, arguments: first(arguments) in text,
    "startswith": lambda text, arguments: text.startswith(first(arguments)),
    "endswith": lambda text, arguments: text.endswith(first(arguments)),
    "indexof": lambda text, arguments: text.find(first(arguments)),
    "lastindexof": lambda text, arguments: text.rfind(first(arguments)),
    "equals": lambda text, arguments: text == first(arguments),
}
GROWING = {"replace", "insert"}


def string_method(text: str, name: str, arguments: list[Value], budget: Budget) -> Value:
    """The result of a string's method; NotImplemented where it is none we know."""
    method = METHODS.get(name)
    if method is None:
        return NotImplemented
    if name in GROWING:
        budget.grow(
            sum(len(to_text(argument)) for argument in arguments[1:])
            * (text.count(first(arguments)) if first(arguments) else 1)
        )
    elif name in ("split", "tochararray", "getenumerator"):
        budget.spend(len(text) // 64)
    return method(text, arguments)
