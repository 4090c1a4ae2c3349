"""Variables of cmd.exe: %X%, %X:~a,b%, %X:old=new%, !X!, %%i of loops, %1 of subroutines, and `set /a`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tidewaiter.catalog import windows_environment
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Word

_NAMED = re.compile(r"([%!])([^%!:=\r\n]{1,64})(?::([^%!\r\n]{0,200}))?\1")
_UNRESOLVED = re.compile(r"%[^%\s]+%|![\w()]+(?::[^!]*)?!|%{1,2}~?[a-z]\b|%\*|%~?[0-9]", re.I)
_MARK = 0xE000
"""Private-use characters stand for values that only exist at run time, so that the words around them can be split."""
_MARKED = re.compile("[\ue000-\ue3ff]")


@dataclass
class Scope:
    """What a text can refer to: variables (lower-case names), loop letters, and a subroutine's parameters."""

    budget: Budget
    variables: dict[str, Word] = field(default_factory=dict)
    loop: dict[str, Word] = field(default_factory=dict)
    parameters: list[str] | None = None
    _marks: list[tuple[str, tuple[Invocation, ...]]] = field(default_factory=list)

    def expand(self, text: str, *, constants: bool = False, undefined: bool = False) -> str:
        """The text with what is known put in. `constants` also puts in the values of a default installation, `undefined`
        lets unknown names vanish as in a batch file. Raises BudgetExceeded."""
        if "%" not in text and "!" not in text:
            return text
        if self.loop:
            text = self._loop_letters(text)
        if self.parameters is not None:
            text = self._parameters(text)
        parts: list[str] = []
        position = 0
        while True:
            match = _NAMED.search(text, position)
            if match is None:
                break
            self.budget.spend()
            value = self._value(match[2], match[3], constants)
            if value is None and undefined and re.fullmatch(r"\w+", match[2]):
                value = ""
            if value is None:
                parts.append(text[position : match.start() + 1])
                position = match.start() + 1
                continue
            self.budget.grow(len(value))
            parts += [text[position : match.start()], value]
            position = match.end()
        return "".join(parts) + text[position:]

    def word(self, text: str) -> Word:
        """A word of an expanded text, with the invocations whose output is part of it."""
        content: list[Invocation] = []

        def spelled(match: re.Match[str]) -> str:
            index = ord(match[0]) - _MARK
            if index >= len(self._marks):  # the text itself has such a character
                return match[0]
            name, invocations = self._marks[index]
            content.extend(invocations)
            return name

        if self._marks:
            text = _MARKED.sub(spelled, text)
        return Word(text, tuple(content), known=not _UNRESOLVED.search(text))

    def mark(self, spelled: str, content: tuple[Invocation, ...]) -> str:
        """A character that stands for the output of these invocations until `word` is asked."""
        if len(self._marks) >= 0x3FF:
            return spelled
        self._marks.append((spelled, content))
        return chr(_MARK + len(self._marks) - 1)

    def _value(self, name: str, operator: str | None, constants: bool) -> str | None:
        word = self.variables.get(name.lower())
        if word is not None:
            value = self.mark(word.text, word.content) if word.content else word.text
        else:
            found = windows_environment.load().variables.get(name.lower())
            if found is None or (operator is None and not constants):
                return None
            value = found
        if operator is None:
            return value
        if "%" in value or "!" in value:
            value = self._constants(value)
        return _operate(value, operator)

    def _constants(self, value: str) -> str:
        table = windows_environment.load().variables
        return re.sub(r"%([\w()]+)%", lambda match: table.get(match[1].lower(), match[0]), value)

    def _loop_letters(self, text: str) -> str:
        letters = "".join(re.escape(letter) for letter in self.loop)
        pattern = re.compile(rf"%{{1,2}}(?:~([fdpnxsatz]*))?([{letters}])")
        environment = windows_environment.load().variables

        def put(match: re.Match[str]) -> str:
            named = re.match(r"%([^%\s:]{2,64})(?:%|:~|:[^%\s]*=)", text[match.start() :])
            if named and (named[1].lower() in environment or named[1].lower() in self.variables):
                return match[0]
            word = self.loop[match[2]]
            if word.content:
                return self.mark(match[0], word.content)
            if not word.known:
                return match[0]
            return _modified(word.text, match[1]) if match[1] is not None else word.text

        return pattern.sub(put, text)

    def _parameters(self, text: str) -> str:
        given = self.parameters or []

        def put(match: re.Match[str]) -> str:
            if match[2] == "*":
                return " ".join(given)
            index = int(match[2]) - 1
            if index < 0:
                return match[0]
            value = given[index] if index < len(given) else ""
            return _modified(value.strip('"'), match[1]) if match[1] is not None else value

        return re.sub(r"%(?:~([fdpnxsatz]*))?([0-9*])", put, text)


def _modified(text: str, modifiers: str) -> str:
    text = text.strip('"')
    name = re.split(r"[\\/]", text)[-1]
    stem, dot, extension = name.rpartition(".")
    if modifiers == "n":
        return stem or name
    if modifiers == "x":
        return dot + extension if stem else ""
    if modifiers == "nx":
        return name
    return text


def _operate(value: str, operator: str) -> str:
    """Substring `~start,length` or replacement `old=new`."""
    if operator.startswith("~"):
        match = re.match(r"^~\s*([+-]?\w+)?\s*(?:,\s*([+-]?\w+))?\s*$", operator)
        if match is None:
            return value
        start, length = _number(match[1]), _number(match[2]) if match[2] is not None else None
        begin = max(0, len(value) + start) if start < 0 else min(start, len(value))
        if length is None:
            return value[begin:]
        return value[begin:length] if length < 0 else value[begin : begin + length]
    old, equals, new = operator.partition("=")
    if not equals or not old:
        return value
    if old.startswith("*") and len(old) > 1:
        index = value.lower().find(old[1:].lower())
        return new + value[index + len(old) - 1 :] if index >= 0 else value
    return re.sub(re.escape(old), lambda _: new, value, flags=re.I)


def _number(text: str | None) -> int:
    try:
        return int(text or "0", 0)
    except ValueError:
        return int(text) if text is not None and text.lstrip("+-").isdigit() else 0


_ARITHMETIC = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<|>>|[-+*/%&|^()~!])")
_LEVELS: tuple[tuple[str, ...], ...] = (("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/", "%"))
_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "<<": lambda a, b: a << (b & 31),
    ">>": lambda a, b: a >> (b & 31),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: int(a / b) if b and abs(a) < 2**53 else 0,
    "%": lambda a, b: abs(a) % abs(b) * (1 if a >= 0 else -1) if b else 0,
}


def listed_variables(text: str, scope: Scope) -> list[str] | None:
    """What `set | findstr X` prints: a way to find letters in the environment. None where the text is another command."""
    match = re.match(r"^\s*set\s*(\w*)\s*(?:\|\s*(find|findstr)(?:\.exe)?\s+((?:/\S+\s+)*)\"?([^\"\s]+)\"?\s*)?$", text, re.I)
    if match is None:
        return None
    table = windows_environment.load()
    lines = [f"{table.spelled.get(name, name)}={value}" for name, value in table.variables.items()]
    lines += [f"{name}={word.text}" for name, word in scope.variables.items()]
    lines = [line for line in lines if line.lower().startswith(match[1].lower())]
    if match[2]:
        fold = "/i" in (match[3] or "").lower()
        wanted = match[4].lower() if fold else match[4]
        lines = [line for line in lines if wanted in (line.lower() if fold else line)]
    return lines


def arithmetic(text: str, scope: Scope) -> None:
    """`set /a`: comma-separated assignments with integers of 32 bits. What cannot be read is left out."""
    for part in text.replace('"', "").split(",")[:50]:
        match = re.match(r"^\s*([A-Za-z_][\w]*)\s*([-+*/%&|^]|<<|>>)?=(.*)$", part, re.S)
        if match is None:
            continue
        expression = f"{match[1]}{match[2]}({match[3]})" if match[2] else match[3]
        tokens = _ARITHMETIC.findall(expression)[:200]
        scope.budget.spend(len(tokens))
        value, rest = _level(tokens, 0, scope, 0)
        if not rest:
            scope.variables[match[1].lower()] = Word(str((value + 2**31) % 2**32 - 2**31))


def _level(tokens: list[str], level: int, scope: Scope, depth: int) -> tuple[int, list[str]]:
    if level == len(_LEVELS):
        return _atom(tokens, scope, depth)
    value, tokens = _level(tokens, level + 1, scope, depth)
    while tokens and tokens[0] in _LEVELS[level]:
        operator = tokens[0]
        right, tokens = _level(tokens[1:], level + 1, scope, depth)
        value = (_OPERATIONS[operator](value, right) + 2**31) % 2**32 - 2**31
    return value, tokens


def _atom(tokens: list[str], scope: Scope, depth: int) -> tuple[int, list[str]]:
    if not tokens or depth > 20:
        return 0, []
    token, rest = tokens[0], tokens[1:]
    if token == "(":  # noqa: S105 - a parenthesis
        value, rest = _level(rest, 0, scope, depth + 1)
        return value, rest[1:] if rest[:1] == [")"] else rest
    if token in "+-~!":  # noqa: S105 - signs of arithmetic
        value, rest = _atom(rest, scope, depth + 1)
        return {"-": -value, "~": ~value, "!": int(not value)}.get(token, value), rest
    if token[0].isdigit():
        octal = token[0] == "0" and token.isdigit() and len(token) > 1
        return (int(token, 8) if octal and not re.search("[89]", token) else int(token, 0) if not octal else 0), rest
    word = scope.variables.get(token.lower())
    return _number(word.text) if word is not None else 0, rest
