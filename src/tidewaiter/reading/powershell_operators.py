"""Operators and casts of PowerShell on constants. What cannot be known becomes a Blend that keeps its content."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tidewaiter.catalog.powershell import load
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_text import compiled, formatted, substitute, whole, wildcard
from tidewaiter.reading.powershell_values import (
    PLAIN,
    Blend,
    Char,
    Closure,
    Content,
    Table,
    TypeRef,
    Value,
    content_of,
    is_known,
    merge,
    to_list,
    to_number,
    to_text,
    truth,
)

INTEGERS = {f"system.{name}" for name in ("int16", "int32", "int64", "uint16", "uint32", "uint64", "byte", "sbyte")}
LONGEST_RANGE = 70_000


def unknown(*values: Value) -> Blend:
    """A value of which only the content is known; its text is filled in from the spelling."""
    content: Content = ()
    for value in values:
        if type(value) not in PLAIN:
            content = merge(content, content_of(value))
    return Blend("", content, opaque=True)


def lift(value: Value, change: Callable[[str], Any]) -> Value:
    """Apply a text operation to what is known of a value; wholly unknown values stay."""
    if type(value) is Blend:
        if value.constant is not None:
            return lift(value.constant, change)
        if value.opaque:
            return value
        result = change(value.text)
        if isinstance(result, list):
            return [Blend(to_text(item), value.content) for item in result]
        return Blend(to_text(result), value.content) if isinstance(result, str) else unknown(value)
    return change(to_text(value))


def constant_of(value: Value) -> str | None:
    """The text of a known value or of a default installation."""
    if type(value) is Blend:
        return value.constant
    return to_text(value) if is_known(value) else None


def joined_text(left: Value, right: Value, budget: Budget) -> Value:
    """Concatenation as text."""
    first, second = to_text(left), to_text(right)
    budget.grow(min(len(first), len(second)) + 1)
    if is_known(left) and is_known(right):
        return first + second
    constants = constant_of(left), constant_of(right)
    both = constants[0] + constants[1] if constants[0] is not None and constants[1] is not None else None
    opaque = type(left) is Blend and left.opaque and type(right) is Blend and right.opaque
    return Blend(first + second, merge(content_of(left), content_of(right)), opaque=opaque, constant=both)


def add(left: Value, right: Value, budget: Budget) -> Value:
    """`+`."""
    kind = type(left)
    if kind is str and type(right) is str:
        budget.grow(len(right))
        return left + right
    if kind is list or (kind is bytes and type(right) in (list, bytes)):
        items = to_list(left) + to_list(right)
        budget.grow(4 * (len(items) - len(left)) if kind is list else len(items))
        return items
    if left is None:
        return right
    if kind is Table and type(right) is Table:
        both = Table()
        for table in (left, right):
            for key, item in table.items():
                both.put(table.spelled.get(key, key), item)
        return both
    if kind in (int, float, bool) or (kind is Char and type(right) in (int, float)):
        if type(right) is Blend:
            return unknown(left, right)
        first, second = to_number(left), to_number(right)
        if first is not None and second is not None:
            return bounded(first + second)
    return joined_text(left, right, budget)


def bounded(number: int | float) -> int | float:
    """A number of sane size."""
    return number if isinstance(number, float) or number.bit_length() < 256 else float("inf")


def arithmetic(operator: str, left: Value, right: Value, budget: Budget) -> Value:
    """`-`, `*`, `/`, `%`, shifts and bit operations."""
    if type(left) is Blend or type(right) is Blend:
        return unknown(left, right)
    if operator == "*" and type(left) in (str, list):
        times = whole(right)
        budget.grow(max(0, len(left) * times))
        return left * max(0, times)
    first, second = to_number(left), to_number(right)
    if first is None or second is None:
        return unknown(left, right)
    try:
        return bounded(ARITHMETIC[operator](first, second))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


def divide(first: Any, second: Any) -> Any:
    """`/`: whole where it comes out even."""
    result = first / second
    return int(result) if result == int(result) and isinstance(first, int) and isinstance(second, int) else result


def remainder(first: Any, second: Any) -> Any:
    """`%` with the sign of the dividend."""
    result = abs(first) % abs(second)
    return -result if first < 0 else result


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "-": lambda first, second: first - second,
    "*": lambda first, second: first * second,
    "/": divide,
    "%": remainder,
    "bxor": lambda first, second: int(first) ^ int(second),
    "band": lambda first, second: int(first) & int(second),
    "bor": lambda first, second: int(first) | int(second),
    "shl": lambda first, second: int(first) << (int(second) & 63),
    "shr": lambda first, second: int(first) >> (int(second) & 63),
}


def compare(operator: str, left: Value, right: Value, *, case: bool) -> Value:
    """Comparisons: a truth, the matching elements of an array, or unknown."""
    if type(left) is list and operator not in ("contains", "notcontains", "in", "notin"):
        return [item for item in left if truth(compare(operator, item, right, case=case)) is not False]
    if operator in ("in", "notin"):
        left, right, operator = right, left, operator.replace("in", "contains")
    if not is_known(left) or not is_known(right):
        return unknown(left, right)
    if operator in ("contains", "notcontains"):
        found = any(compare("eq", item, right, case=case) is True for item in to_list(left))
        return found == (operator == "contains")
    if operator in ("like", "notlike"):
        return wildcard(to_text(right), to_text(left)) == (operator == "like")
    if type(left) in (str, Char) and (type(left) is str or type(right) is not int):
        first: Any = to_text(left) if case else to_text(left).lower()
        second: Any = to_text(right) if case else to_text(right).lower()
    elif left is None or right is None:
        first, second = left is None, True if right is None else False  # noqa: SIM210 - a comparison with nothing
        return (first == second) == (operator == "eq") if operator in ("eq", "ne") else False
    else:
        first, second = to_number(left), to_number(right)
        if first is None or second is None:
            first, second = to_text(left).lower(), to_text(right).lower()
    outcomes = {"eq": first == second, "ne": first != second}
    if operator in outcomes:
        return outcomes[operator]
    return {"gt": first > second, "ge": first >= second, "lt": first < second, "le": first <= second}[operator]


def replace(left: Value, right: Value, budget: Budget, *, case: bool) -> Value:
    """`-replace`."""
    items = to_list(right)
    if type(left) is list:
        budget.spend(len(left) // 8)
        return [replace(item, right, budget, case=case) for item in left]
    if not items:
        return left
    if type(items[0]) is Blend and items[0].opaque:
        return unknown(left, right) if not isinstance(left, Blend) else left
    replacement = items[1] if len(items) > 1 else ""
    if type(replacement) is Closure:
        return unknown(left)

    def change(text: str) -> str:
        pattern = compiled(to_text(items[0]), len(text), case=case)
        return text if pattern is None else substitute(pattern, text, to_text(replacement), budget)

    result = lift(left, change)
    if type(result) is str and not is_known(replacement):
        return Blend(result, content_of(replacement))
    return result


def split(left: Value, right: Value, budget: Budget, *, case: bool) -> Value:
    """`-split`."""
    options = to_list(right)
    limit = whole(options[1]) if len(options) > 1 else 0
    separator = to_text(options[0]) if options else r"\s+"

    def change(text: str) -> list[str]:
        budget.spend(len(text) // 64)
        if limit < 0:
            return [text]
        pattern = compiled(separator, len(text), case=case)
        if pattern is None:
            return [text]
        parts = pattern.split(text, maxsplit=max(0, limit - 1)) if pattern.pattern else list(text)
        return [part for part in parts if part is not None]

    if options and type(options[0]) is Closure:
        return unknown(left)
    if type(left) is list:
        found: list[Value] = []
        for item in left:
            found.extend(to_list(split(item, right, budget, case=case)))
        return found
    return lift(left, change)


def join(left: Value, right: Value, budget: Budget) -> Value:
    """`-join`."""
    if type(left) is Blend:
        return left
    separator = to_text(right)
    text = to_text(left, separator)
    budget.grow(len(text))
    return text if is_known(left) and is_known(right) else Blend(text, merge(content_of(left), content_of(right)))


def format_operator(left: Value, right: Value, budget: Budget) -> Value:
    """`-f`."""
    values = right if type(right) is list else [right]
    if type(left) is Blend and left.opaque:
        return unknown(left, right)
    text = formatted(to_text(left), values, budget)
    if is_known(left) and is_known(values):
        return text
    return Blend(text, merge(content_of(left), content_of(values)))


def number_range(left: Value, right: Value, budget: Budget) -> Value:
    """`..`."""
    first, last = to_number(left), to_number(right)
    if type(left) is str and type(right) is str and first is None and len(left) == len(right) == 1:
        return [Char(chr(code)) for code in to_list(number_range(ord(left), ord(right), budget))]
    if first is None or last is None or abs(first) > 1e9 or abs(last) > 1e9:
        return unknown(left, right)
    start, end = int(first), int(last)
    if abs(end - start) > LONGEST_RANGE:
        budget.exceed("unfolds to too much text")
    budget.spend(abs(end - start) // 64)
    return list(range(start, end + 1)) if start <= end else list(range(start, end - 1, -1))


def binary(operator: str, left: Value, right: Value, budget: Budget) -> Value:
    """Any binary operator but the logical ones and matching."""
    if operator == "+":
        return add(left, right, budget)
    if operator in ARITHMETIC:
        return arithmetic(operator, left, right, budget)
    if operator == "f":
        return format_operator(left, right, budget)
    if operator == "..":
        return number_range(left, right, budget)
    case = operator[0] == "c" and operator != "contains"
    name = operator.removeprefix("c") if case else operator
    if operator[0] == "i" and operator not in ("in", "is", "isnot"):
        name = operator[1:]
    if name == "join":
        return join(left, right, budget)
    if name == "replace":
        return replace(left, right, budget, case=case)
    if name == "split":
        return split(left, right, budget, case=case)
    if name == "as":
        return cast(right.name, left) if type(right) is TypeRef else cast(to_text(right), left)
    if name in ("is", "isnot"):
        return unknown(left)
    return compare(name, left, right, case=case)


def match(left: Value, right: Value, *, case: bool) -> tuple[Value, re.Match[str] | None]:
    """`-match`: the outcome and the match for $matches."""
    if not is_known(left) or not is_known(right) or type(left) is list:
        return unknown(left, right), None
    text = to_text(left)
    pattern = compiled(to_text(right), len(text), case=case)
    if pattern is None:
        return unknown(left), None
    found = pattern.search(text)
    return found is not None, found


# casts ---------------------------------------------------------------------------------------------------------------------


def cast(type_name: str, value: Value, separator: str = " ") -> Value:
    """`[type]value` for the types that matter; other types leave the value as it is."""
    name = load().canonical_type(type_name)
    if name == "system.void":
        return None
    if name == "system.string":
        return value if type(value) is Blend else text_or_blend(value, separator)
    if name == "system.type":
        return TypeRef(load().canonical_type(to_text(value))) if type(value) is str else value
    if name == "system.management.automation.scriptblock":
        return value if type(value) is Closure else Closure(None, value)
    if name.endswith("[]"):
        return cast_array(name[:-2], value)
    if type(value) is Blend or (type(value) is list and len(value) != 1):
        return value
    if name == "system.char":
        return to_char(value)
    if name in INTEGERS:
        number = to_number(value)
        return value if number is None or number != number or abs(number) > 1e300 else round(number)
    if name in ("system.double", "system.single", "system.decimal"):
        number = to_number(value)
        return value if number is None else float(number)
    if name == "system.boolean":
        return truth(value)
    return value


def text_or_blend(value: Value, separator: str) -> Value:
    """The value as text, with its content where it is not known."""
    text = to_text(value, separator)
    return text if is_known(value) else Blend(text, content_of(value))


def to_char(value: Value) -> Value:
    """`[char]value`."""
    if type(value) in (str, Char) and len(value) == 1:
        return Char(value)
    number = to_number(value)
    if number is None or not 0 <= number < 0x110000 or number != number:
        return value
    return Char(chr(int(number)))


def cast_array(element: str, value: Value) -> Value:
    """`[type[]]value`."""
    if type(value) is Blend:
        return value
    if element == "system.char" and type(value) in (str, Char):
        return [Char(item) for item in value]
    items = to_list(value)
    if element == "system.byte":
        if type(value) is bytes:
            return value
        try:
            return bytes(items)
        except (TypeError, ValueError):
            numbers = [to_number(item) for item in items]
        if all(type(number) is int and 0 <= number < 256 for number in numbers):
            return bytes(numbers)  # type: ignore[arg-type]  # all are int, as asked above
        return items
    if element == "system.char":
        return [to_char(item) for item in items]
    if element in INTEGERS or element == "system.string":
        return [cast(element, item) for item in items]
    return items
