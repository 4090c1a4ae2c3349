"""Unfolding of shell words: quotes, variables, parameter expansion, substitutions, braces and field splitting.

Follows POSIX.1-2017 (2.6 word expansions) and the bash reference manual (3.5). What cannot be known stays as spelled.
"""

from __future__ import annotations

import re
from typing import Protocol

from tidewaiter.reading.bash_constants import (
    ansi_c,
    arithmetic,
    braces,
    glob_regex,
    replace_pattern,
    strip_pattern,
)
from tidewaiter.reading.bash_fields import Fields, joined
from tidewaiter.reading.bash_lexer import skip_quoted
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Word

VALUE_AT_MOST = 65_536
_PLAIN = re.compile(r"[^\\'\"`$<>{=(]*\Z")
_NEXT = re.compile(r"[\\'\"`$]|[<>=]\(")
_NEXT_QUOTED = re.compile(r'[\\"`$]')
_NEXT_DOCUMENT = re.compile(r"[\\`$]")
_NAME = re.compile(r"[A-Za-z_]\w*|[0-9@*#?$!_-]")
_PARAMETER = re.compile(r"(!?)(#?)([A-Za-z_]\w*|\d+|[@*#?$!-])(\[[^\]]*\])?(.*)\Z", re.DOTALL)
_ABSOLUTE = frozenset({"HOME", "PWD", "PATH", "OLDPWD", "SHELL"})  # values that begin with "/" on every Unix

Value = Word | list[Word]


class Shell(Protocol):
    """What the expander needs of the reading that it is part of."""

    budget: Budget
    variables: dict[str, Value]
    positional: list[Word] | None

    def substitute(self, text: str) -> tuple[str | None, tuple[Invocation, ...]]:
        """Read `text` as the inside of `$(...)`: its constant output if known, and the invocations that give it."""
        ...

    def process(self, text: str, reads: bool) -> tuple[Invocation, ...]:
        """Read `text` as the inside of `<(...)` (reads) or `>(...)`: the invocations whose output is read."""
        ...


class Expander:
    """Unfolds the words of one shell. `unfolded` becomes True when a word was written in an unusual way."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self.unfolded = False
        self._nested = 0

    def fields(self, raw: str) -> list[Word]:
        """The arguments that one word becomes; none for an empty expansion."""
        if _PLAIN.match(raw):
            return [Word(raw)]
        self._shell.budget.spend(1 + len(raw) // 32)
        words = braces(raw) if "{" in raw else [raw]
        if len(words) > 1:
            self.unfolded = True
            self._shell.budget.grow(sum(map(len, words)))
        out = Fields()
        for word in words:
            self._unquoted(word, out, splits=True)
            out.finish()
        return out.done

    def one(self, raw: str) -> Word:
        """The value of a word that is not split: an assignment, a redirection target, a here-string."""
        if _PLAIN.match(raw):
            return Word(raw)
        self._shell.budget.spend(1 + len(raw) // 32)
        out = Fields()
        self._unquoted(raw, out, splits=False)
        out.finish()
        return joined(out.done)

    def document(self, body: str) -> Word:
        """The value of a here-document whose delimiter is not quoted."""
        out = Fields()
        self._quoted(body, out, document=True)
        out.finish()
        return joined(out.done)

    def _unquoted(self, raw: str, out: Fields, *, splits: bool) -> None:
        position, end = 0, len(raw)
        while position < end:
            match = _NEXT.search(raw, position)
            if match is None:
                out.add(raw[position:], quoted=False)
                return
            at = match.start()
            if at > position:
                out.add(raw[position:at], quoted=False)
            char = raw[at]
            if char == "\\":
                if raw[at + 1 : at + 2] != "\n":
                    out.add(raw[at + 1 : at + 2] or "\\")
                    self.unfolded = self.unfolded or raw[at + 1 : at + 2].isalnum()
                position = at + 2
            elif char == "$":
                position = self._dollar(raw, at, out, quoted=False, splits=splits)
            elif char == '"':
                position = skip_quoted(raw, at, self._shell.budget)
                out.add("")
                self._quoted(raw[at + 1 : position - 1], out)
            elif char == "'":
                stop = raw.find("'", at + 1)
                position = end + 1 if stop < 0 else stop + 1
                out.add(raw[at + 1 : position - 1])
            else:
                position = skip_quoted(raw, at, self._shell.budget)
                self._backtick_or_process(raw, at, position, out, splits=splits)
            self.unfolded = self.unfolded or (char in "'\"" and at > 0 and raw[at - 1] not in "=:,/")

    def _backtick_or_process(self, raw: str, at: int, stop: int, out: Fields, *, splits: bool) -> None:
        spelled = raw[at : min(stop, len(raw))]
        if raw[at] == "`":
            inner = re.sub(r"\\([\\`$])", r"\1", raw[at + 1 : stop - 1])
            self._substitution(inner, spelled, out, splits=splits)
            return
        content = self._shell.process(raw[at + 2 : stop - 1], raw[at] != ">")
        out.add(spelled, known=False, content=content)

    def _quoted(self, raw: str, out: Fields, *, document: bool = False) -> None:
        """The inside of double quotes or of a here-document."""
        pattern = _NEXT_DOCUMENT if document else _NEXT_QUOTED
        position, end = 0, len(raw)
        while position < end:
            match = pattern.search(raw, position)
            if match is None:
                out.add(raw[position:])
                return
            at = match.start()
            if at > position:
                out.add(raw[position:at])
            char = raw[at]
            if char == "\\":
                following = raw[at + 1 : at + 2]
                if following != "\n":
                    out.add(following if following and following in '$`\\"'[: 3 if document else 4] else raw[at : at + 2])
                position = at + 2
            elif char == "$":
                position = self._dollar(raw, at, out, quoted=True, splits=False)
            elif char == "`":
                position = skip_quoted(raw, at, self._shell.budget)
                self._backtick_or_process(raw, at, position, out, splits=False)
            else:  # an unpaired quote
                out.add(char)
                position = at + 1

    def _dollar(self, raw: str, at: int, out: Fields, *, quoted: bool, splits: bool) -> int:
        """Expand what begins with `$` at `at`; the offset after it."""
        self._shell.budget.spend()
        following = raw[at + 1 : at + 2]
        if not quoted and following == "'":
            stop = skip_quoted(raw, at, self._shell.budget)
            value = ansi_c(raw[at + 2 : stop - 1])
            self._shell.budget.note("ANSI-C quoting", value)
            self.unfolded = True
            out.add(value)
            return stop
        if not quoted and following == '"':
            return at + 1  # a string to be translated: the quotes are read next
        if following == "(":
            stop = skip_quoted(raw, at, self._shell.budget)
            spelled = raw[at : min(stop, len(raw))]
            if spelled.startswith("$((") and spelled.endswith("))"):
                number = arithmetic(spelled[3:-2], self._number)
                if number is not None:
                    out.add(str(number))
                    return stop
            self._substitution(raw[at + 2 : stop - 1], spelled, out, splits=splits)
            return stop
        if following == "{":
            stop = skip_quoted(raw, at, self._shell.budget)
            self._parameter(raw[at + 2 : stop - 1], raw[at : min(stop, len(raw))], out, quoted=quoted, splits=splits)
            return stop
        match = _NAME.match(raw, at + 1)
        if match is None:
            out.add("$")
            return at + 1
        spelled = "$" + match.group()
        if match.group() in ("@", "*") and self._shell.positional is None and not quoted and (at or match.end() < len(raw)):
            return match.end()  # no arguments are known and it stands inside a word: the usual way to break one up
        self._emit(self._lookup(match.group(), None), match.group() == "@", spelled, out, quoted=quoted, splits=splits)
        return match.end()

    def _number(self, name: str) -> str | None:
        value = self._lookup(name, None)
        return value[0].text if value and value[0].known else None

    def _substitution(self, inner: str, spelled: str, out: Fields, *, splits: bool) -> None:
        value, content = self._shell.substitute(inner)
        if value is None:
            out.add(spelled, known=False, content=content)
            return
        self.unfolded = True
        self._shell.budget.grow(len(value))
        value = value.rstrip("\n")
        if splits:
            out.split(Word(value), self._separators())
        else:
            out.add(value)

    def _separators(self) -> str:
        value = self._shell.variables.get("IFS")
        return value.text if isinstance(value, Word) and value.known else " \t\n"

    def _lookup(self, name: str, index: str | None) -> list[Word] | None:
        """The values of a parameter: one, all elements of an array, or None where it is not known."""
        positional = self._shell.positional
        if name in ("@", "*"):
            return positional
        if name.isdigit() and name != "0":
            if positional is None:
                return None
            return [positional[int(name) - 1]] if int(name) <= len(positional) else [Word("")]
        if name == "#":
            return None if positional is None else [Word(str(len(positional)))]
        value = self._shell.variables.get(name)
        if value is None:
            return [Word(" \t\n")] if name == "IFS" else None
        if isinstance(value, Word):
            return [value]
        if index in ("@", "*"):
            return value
        number = arithmetic(index or "0", self._number)
        if number is None or not -len(value) <= number < len(value):
            return None if number is None else [Word("")]
        return [value[number]]

    def _emit(self, values: list[Word] | None, each: bool, spelled: str, out: Fields, *, quoted: bool, splits: bool) -> None:
        """Add the values of a parameter: as fields of their own for `"$@"`, joined otherwise."""
        if values is None:
            out.add(spelled, known=False)
            return
        self.unfolded = True
        if not values:
            return
        self._shell.budget.grow(sum(len(word.text) for word in values) + 1)
        self._shell.budget.spend()
        if not splits and not (quoted and each):
            whole = joined(values)
            out.add(whole.text[:VALUE_AT_MOST], known=whole.known, content=whole.content)
            return
        for number, word in enumerate(values):
            if number:
                out.finish()
            if quoted:
                out.add(word.text[:VALUE_AT_MOST], known=word.known, content=word.content)
            else:
                out.split(Word(word.text[:VALUE_AT_MOST], word.content, word.known), self._separators())

    def _parameter(self, inner: str, spelled: str, out: Fields, *, quoted: bool, splits: bool) -> None:
        """`${...}`."""
        match = _PARAMETER.match(inner)
        if match is None or self._nested > 8:
            out.add(spelled, known=False)
            return
        indirect, length, name, subscript, operation = match.groups()
        index = subscript[1:-1] if subscript else None
        values = self._lookup(name, index)
        if indirect and not operation and values and values[0].known:
            target = re.match(r"([A-Za-z_]\w*)(?:\[(.*)\])?\Z", values[0].text)
            values = self._lookup(target.group(1), target.group(2)) if target else None
        each = name == "@" or index == "@"
        self._nested += 1
        try:
            if length:
                many = each or name == "*" or index == "*"
                values = None if values is None else [Word(str(len(values) if many else len(values[0].text)))]
            elif operation:
                values = self._operate(name, values, operation)
        finally:
            self._nested -= 1
        self._emit(values, each, spelled, out, quoted=quoted, splits=splits)

    def _operate(self, name: str, values: list[Word] | None, operation: str) -> list[Word] | None:
        match = re.match(r":?([-=+?])", operation)
        if match:
            kind, rest = match.group(1), operation[match.end() :]
            is_set = values is not None and (operation[0] != ":" or any(word.text for word in values))
            if kind == "+":
                return [self.one(rest)] if is_set else [Word("")]
            if is_set or kind == "?":
                return values
            default = self.one(rest)
            if kind == "=":
                self._shell.variables[name] = default
            return [default]
        if operation[0] == ":":
            return self._slice(name, values, operation[1:])
        if values is None or not all(word.known for word in values):
            if values is None and operation.startswith("%%") and name in _ABSOLUTE and operation.endswith("*"):
                return [Word("/")]
            return None
        changed = [self._change(word.text, operation) for word in values]
        return None if None in changed else [Word(text) for text in changed if text is not None]

    def _slice(self, name: str, values: list[Word] | None, bounds: str) -> list[Word] | None:
        first, _, second = bounds.partition(":")
        start = arithmetic(first.strip() or "0", self._number)
        length = arithmetic(second, self._number) if second.strip() else None
        if start is None or (second.strip() and length is None):
            return None
        if values is None:
            return [Word("/")] if name in _ABSOLUTE and (start, length) == (0, 1) else None
        if not all(word.known for word in values):
            return None
        if name == "@" or len(values) > 1:
            start = start - 1 if name == "@" and start > 0 else start
            return values[start:][:length] if length is None or length >= 0 else None
        text = values[0].text
        text = text[start:] if start >= 0 or -start <= len(text) else ""
        return [Word(text[:length] if length is not None else text)]

    def _change(self, text: str, operation: str) -> str | None:
        """The operators that turn one known value into another."""
        if operation[0] in "#%":
            operator = operation[:2] if operation[:2] in ("##", "%%") else operation[0]
            return strip_pattern(text, operator, self._pattern(operation[len(operator) :]))
        if operation[0] == "/":
            mode = operation[1] if operation[1:2] in ("/", "#", "%") else ""
            pattern, _, replacement = _cut_unquoted(operation[1 + len(mode) :], "/")
            return replace_pattern(text, mode, self._pattern(pattern), self.one(replacement).text)
        if operation[0] in "^,":
            upper, all_of_it = operation[0] == "^", operation[1:2] == operation[0]
            change = str.upper if upper else str.lower
            pattern = operation[2 if all_of_it else 1 :]
            regex = glob_regex(pattern or "?")
            if regex is None:
                return None
            size = len(text) if all_of_it else 1
            return "".join(change(c) if regex.fullmatch(c) else c for c in text[:size]) + text[size:]
        if operation[0] == "@":
            kind = operation[1:2]
            if kind == "u":
                return text[:1].upper() + text[1:]
            return {"U": text.upper(), "L": text.lower(), "E": ansi_c(text), "P": text}.get(kind)
        return None

    def _pattern(self, raw: str) -> str:
        """A pattern with its variables and quotes unfolded; quoted wildcards stay literal."""
        if not re.search(r"[$'\"`]", raw):
            return raw
        return (
            re.sub(r"""(['"])(.*?)\1""", lambda m: re.sub(r"([*?\[\\])", r"\\\1", m.group(2)), raw)
            if "$" not in raw
            else self.one(raw).text
        )


def _cut_unquoted(text: str, separator: str) -> tuple[str, str, str]:
    position = 0
    while position < len(text):
        if text[position] == separator and position:
            return text[:position], separator, text[position + 1 :]
        if text[position] == "\\":
            position += 2
        elif text[position] in "'\"`$":
            position = max(skip_quoted(text, position), position + 1)
        else:
            position += 1
    return text, "", ""
