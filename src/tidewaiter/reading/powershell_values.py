"""Values of PowerShell while constants are evaluated.

Strings, numbers, booleans and None stand for themselves, arrays are lists, byte arrays `bytes`, hash tables `Table`. What
cannot be known is a `Blend`: its text as spelled, and the invocations whose output is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tidewaiter.reading.invocation import Invocation, Word
from tidewaiter.reading.powershell_nodes import Block
from tidewaiter.reading.powershell_nodes import Char as Char

Value: TypeAlias = Any
Content: TypeAlias = tuple[Invocation, ...]


MOST_PARTS = 5_000
"""Compound values that are looked through for content."""
MOST_SHOWN = 256
"""Numbers of an array that an argument spells out."""


@dataclass(slots=True, eq=False)
class Blend:
    """Text that is not, or not wholly, known.

    `opaque` says that no part of the text is its value. `constant` is the value of a default installation where an
    environment or automatic variable has one (`$env:comspec`), for picking characters out of it.
    """

    text: str
    content: Content = ()
    opaque: bool = False
    constant: str | None = None


class Table(dict[str, Any]):
    """A hash table; keys are lower case."""

    __slots__ = ("spelled",)

    def __init__(self) -> None:
        super().__init__()
        self.spelled: dict[str, str] = {}

    def put(self, key: str, value: Value) -> None:
        """Set a key that keeps its spelling for text."""
        self.spelled.setdefault(key.lower(), key)
        self[key.lower()] = value


@dataclass(slots=True, eq=False)
class TypeRef:
    """`[type]` by its canonical name, "com:..." for COM classes."""

    name: str


@dataclass(slots=True, eq=False)
class Instance:
    """An object: its canonical type, properties that were set, what flowed into it, and bytes or text where known."""

    type: str
    spelled: str = ""
    fields: dict[str, Value] = field(default_factory=dict)
    content: list[Invocation] = field(default_factory=list)
    data: Value = None


@dataclass(slots=True, eq=False)
class MethodRef:
    """`$x.DownloadString` without call, for `.Invoke(...)`."""

    target: Value
    name: str


@dataclass(slots=True, eq=False)
class Closure:
    """A script block; `text` replaces the body where it was made from text ([scriptblock]::Create)."""

    block: Block | None
    text: Value = None


def parts_of(value: Value) -> list[Value] | None:
    """What a compound value holds; None for one without parts."""
    kind = type(value)
    if kind is list:
        return value  # type: ignore[no-any-return]  # the kind was asked above
    if kind is Instance:
        return [value.data]
    if kind is Table:
        return list(value.values())
    if kind is Closure:
        return [value.text] if value.block is None else []
    if kind is MethodRef:
        return [value.target]
    return None


def content_of(value: Value) -> Content:
    """The invocations whose output is part of the value, each once. Values may nest and hold themselves: bounded."""
    kind = type(value)
    if kind in PLAIN:
        return ()
    if kind is Blend:
        return value.content  # type: ignore[no-any-return]  # the kind was asked above
    found: Content = ()
    seen: set[int] = set()
    waiting = [value]
    while waiting and len(seen) < MOST_PARTS:
        one = waiting.pop()
        if type(one) is Blend:
            found = merge(found, one.content)
            continue
        if id(one) in seen:
            continue
        seen.add(id(one))
        if type(one) is Instance:
            found = merge(found, tuple(one.content))
        parts = parts_of(one)
        if parts:
            waiting.extend(part for part in reversed(parts) if type(part) not in PLAIN)
    return found


def merge(first: Content, second: Content) -> Content:
    """Both, without repetitions."""
    if not second or first is second:
        return first
    if not first:
        return second
    seen = {id(item) for item in first}
    return first + tuple(item for item in second if id(item) not in seen)


PLAIN = {str, Char, int, float, bool, type(None), bytes}


def is_known(value: Value) -> bool:
    """Whether the whole value is known."""
    kind = type(value)
    if kind in PLAIN or kind is TypeRef:
        return True
    if kind is Blend or kind is Instance or kind is MethodRef:
        return False
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        parts = parts_of(one)
        if len(seen) > MOST_PARTS or parts is None or type(one) in (Instance, MethodRef):
            return False
        waiting.extend(part for part in parts if type(part) not in PLAIN and type(part) is not TypeRef)
    return True


def to_text(value: Value, separator: str = " ", depth: int = 0) -> str:
    """The value converted to text, as PowerShell does; what is unknown stays as spelled."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]  # the kind was asked above
    if kind is Blend:
        return value.text  # type: ignore[no-any-return]  # the kind was asked above
    if value is None:
        return ""
    if kind is bool:
        return "True" if value else "False"
    if kind is int or kind is Char:
        return str(value)
    if kind is float:
        return f"{value:.15g}" if abs(value) < 1e15 else str(value)
    if kind is list:
        return separator.join(to_text(item, " ", depth + 1) for item in value) if depth < 1 else "System.Object[]"
    if kind is bytes:
        return separator.join(map(str, value[:200_000]))
    if kind is TypeRef:
        return value.name  # type: ignore[no-any-return]  # the kind was asked above
    if kind is Table:
        return "System.Collections.Hashtable"
    if kind is Closure:
        return closure_text(value)
    if kind is Instance:
        return instance_text(value, depth)
    return str(getattr(value, "name", ""))


def closure_text(value: Closure) -> str:
    """The inside of a script block, as spelled."""
    if value.block is None:
        return to_text(value.text)
    inside = value.block.source[value.block.start : value.block.end]
    return inside[1:-1] if inside.endswith("}") else inside[1:]


def instance_text(value: Instance, depth: int) -> str:
    """A file stream is its path, a string builder its text, anything else as spelled."""
    if "path" in value.fields and depth < 6:
        return to_text(value.fields["path"], " ", depth + 1)
    if value.type == "system.text.stringbuilder" and depth < 6:
        return to_text(value.data, " ", depth + 1)
    return value.spelled or value.type


def to_word(value: Value, separator: str = " ") -> Word:
    """The value as an argument."""
    if type(value) is str:
        return Word(value)
    if type(value) is Table:
        text = "; ".join(f"{value.spelled.get(key, key)}={to_text(item)}" for key, item in value.items())
        return Word("@{" + text + "}", content_of(value), is_known(value))
    if type(value) in (bytes, list) and len(value) > MOST_SHOWN and type(value[0]) in (int, Char):
        return Word(f"{len(value)} values", content_of(value), is_known(value))
    return Word(to_text(value, separator), content_of(value), is_known(value))


def to_list(value: Value) -> list[Value]:
    """What a pipeline or loop would enumerate."""
    kind = type(value)
    if kind is list:
        return value  # type: ignore[no-any-return]  # the kind was asked above
    if value is None:
        return []
    if kind is bytes:
        return list(value)
    return [value]


def from_list(values: list[Value]) -> Value:
    """The output of statements as one value: nothing, the only one, or an array."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values


def to_number(value: Value) -> int | float | None:
    """The value as a number; None where it is not one."""
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return int(value) if kind is bool else value
    if kind is Char:
        return ord(value)
    if value is None:
        return 0
    if kind is str:
        text = value.strip()[:64]
        try:
            if text[:2].lower() == "0x":
                return int(text, 16)
            return int(text) if text.lstrip("+-").isdigit() else float(text) if text else 0
        except ValueError:
            return None
    if kind is list and len(value) == 1:
        return to_number(value[0])
    return None


def truth(value: Value) -> bool | None:
    """Whether the value counts as true; None where that is not known."""
    kind = type(value)
    if kind is Blend:
        return None
    if kind is list:
        return None if len(value) == 1 and not is_known(value) else truth(value[0]) if len(value) == 1 else bool(value)
    if kind in PLAIN:
        return bool(value)
    return True
