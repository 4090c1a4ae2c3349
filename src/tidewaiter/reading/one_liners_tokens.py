"""Tokens of programming languages as they appear on command lines, driven by the `[syntax]` of a language file.

Lenient on purpose: what is no string, name, number or operator is stepped over, and an unclosed string ends with the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidewaiter.catalog.languages import Syntax
from tidewaiter.reading.budget import Budget

TOKENS_AT_MOST = 20_000
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+|&[hH][0-9A-Fa-f]+|\d+(?:\.\d+)?")
_NAME = re.compile(r"[^\W\d]\w*[?!]?(?:::\w+)*")
_JAVASCRIPT_NAME = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
_OPERATOR = re.compile(
    r"=>|->|\|&|::|\.\.=|\.\.|\*\*|===|!==|==|!=|<=|>=|<<|>>|\+=|-=|\.=|&=|\|\||&&|:=|=~|!~|\?\.|\?\?|.", re.DOTALL
)
_ESCAPE = re.compile(
    r"\\(x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|[0-7]{1,3}|\r?\n|.)", re.DOTALL
)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v", "\n": "", "\r\n": ""}
_CLOSERS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_INTERPOLATED = {
    "python": re.compile(r"\{\{|\}\}|\{([^{}]*)\}"),
    "javascript": re.compile(r"\$\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"),
    "ruby": re.compile(r"#\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"),
    "perl": re.compile(r"[$@]\{?(\w+)\}?"),
    "php": re.compile(r"\{(\$[^{}]*)\}|\$(?:\{(\w+)\}|(\w+))"),
}

Part = tuple[bool, str]
"""A piece of a string: (True, code) or (False, text)."""


@dataclass(slots=True, frozen=True)
class Token:
    """kind: "text" (parts), "shell" (parts of a command in backticks), "words" (text, cut at blanks), "number", "name", "op",
    "pattern" or "line" (value = indentation of the next line)."""

    kind: str
    value: str
    parts: tuple[Part, ...] = ()


def unescape(text: str, *, keeps: bool = False) -> str:
    """The value of a string body with backslash escapes; `keeps` leaves the backslash of one that means nothing."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_escape_or_keep if keeps else _escape, text)


def _escape_or_keep(match: re.Match[str]) -> str:
    known = match.group(1)[0] in "xu01234567\\'\"" or match.group(1) in _NAMED
    return _escape(match) if known else match.group()


def _escape(match: re.Match[str]) -> str:
    body = match.group(1)
    if body[0] in "xu" and len(body) > 1:
        code = int(body[1:].strip("{}"), 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    if body[0] in "01234567":
        return chr(int(body, 8) & 0xFF)
    return _NAMED.get(body, body)


class Tokenizer:
    """Cuts one text into tokens. Raises BudgetExceeded."""

    def __init__(self, text: str, syntax: Syntax, budget: Budget) -> None:
        self._text, self._syntax, self._budget = text, syntax, budget
        self._tokens: list[Token] = []

    def run(self) -> list[Token]:
        """The tokens of the text, without comments."""
        text, position, end = self._text, 0, len(self._text)
        while position < end and len(self._tokens) < TOKENS_AT_MOST:
            self._budget.spend()
            char = text[position]
            if char == "\n":
                position = self._line(position)
            elif char.isspace() or (char == "\\" and text[position + 1 : position + 2] in ("\n", "\r")):
                position += 2 if char == "\\" else 1
            else:
                position = self._comment(position) or self._string(position) or self._other(position)
        return self._tokens

    def _line(self, position: int) -> int:
        match = re.compile(r"(?:[ \t\r]*\n)+([ \t]*)").match(self._text, position)
        assert match is not None
        continued = self._tokens and self._tokens[-1].value == "_" and self._syntax.doubled_quotes
        if continued:
            self._tokens.pop()
        else:
            self._tokens.append(Token("line", str(len(match.group(1).expandtabs()))))
        return match.end()

    def _comment(self, position: int) -> int | None:
        text, syntax = self._text, self._syntax
        if syntax.block_comments and text.startswith("/*", position):
            stop = text.find("*/", position + 2)
            return len(text) if stop < 0 else stop + 2
        if any(text.startswith(mark, position) for mark in syntax.line_comments):
            stop = text.find("\n", position)
            return len(text) if stop < 0 else stop
        return None

    def _string(self, position: int) -> int | None:
        text, syntax = self._text, self._syntax
        prefix = ""
        if syntax.prefixes:
            match = re.compile(rf"[{syntax.prefixes}]{{1,2}}(?=['\"])", re.I).match(text, position)
            prefix = match.group().lower() if match else ""
        at = position + len(prefix)
        quote = text[at : at + 1]
        if quote == "`" and syntax.backtick:
            return self._quoted(at, "`", "shell" if syntax.backtick == "shell" else "text", plain=False, prefix="f")
        if quote and quote in syntax.plain_quotes:
            return self._quoted(at, quote, "text", plain=True, prefix="")
        if quote and quote in syntax.quotes:
            if syntax.triple_quotes and text.startswith(quote * 3, at):
                return self._quoted(at, quote * 3, "text", plain="r" in prefix, prefix=prefix)
            default = "" if syntax.interpolation in ("python", "javascript") else "f"
            return self._quoted(at, quote, "text", plain="r" in prefix, prefix=prefix or default)
        if syntax.generic_quotes:
            return self._generic(position)
        if quote == "[" and text.startswith("[[", at) and syntax.blocks == "end" and not syntax.bare_calls:
            stop = text.find("]]", at)
            self._add("text", text[at + 2 : stop if stop > 0 else len(text)], plain=True)
            return len(text) if stop < 0 else stop + 2
        if quote == "/" and syntax.slashed_patterns and not self._after_value():
            match = re.compile(r"/(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*").match(text, position)
            if match:
                self._tokens.append(Token("pattern", match.group()))
                return match.end()
        return None

    def _after_value(self) -> bool:
        if not self._tokens:
            return False
        before = self._tokens[-1]
        return before.kind in ("text", "number", "name", "shell", "words") or before.value in (")", "]", "}")

    def _quoted(self, at: int, quote: str, kind: str, *, plain: bool, prefix: str) -> int:
        text, begin = self._text, at + len(quote)
        if self._syntax.doubled_quotes:
            match = re.compile(f"(?:[^{quote}]|{quote}{quote})*").match(text, begin)
            assert match is not None
            self._tokens.append(Token(kind, "", ((False, match.group().replace(quote * 2, quote)),)))
            return match.end() + 1
        position = begin
        while True:
            stop = text.find(quote, position)
            if stop < 0:
                stop = len(text)
                break
            slash = text.find("\\", position, stop)
            if slash < 0:
                break
            position = slash + 2
        self._add(kind, text[begin:stop], plain=plain, interpolated="f" in prefix)
        return stop + len(quote)

    def _add(self, kind: str, body: str, *, plain: bool, interpolated: bool = False) -> None:
        pattern = _INTERPOLATED.get(self._syntax.interpolation) if interpolated and not plain else None
        keeps = self._syntax.keeps_escapes

        def value(part: str) -> str:
            return re.sub(r"\\([\\'])", r"\1", part) if plain and not keeps else part if plain else unescape(part, keeps=keeps)

        if pattern is None:
            self._tokens.append(Token(kind, "", ((False, value(body)),)))
            return
        parts: list[Part] = []
        position = 0
        for match in pattern.finditer(body):
            escaped = match.start() > 0 and body[match.start() - 1] == "\\"
            code = next((group for group in match.groups() if group is not None), None)
            if escaped:
                continue
            parts.append((False, value(body[position : match.start()])))
            parts.append((False, match.group()[0]) if code is None else (True, code))
            position = match.end()
        parts.append((False, value(body[position:])))
        self._tokens.append(Token(kind, "", tuple(part for part in parts if part[1])))

    def _generic(self, position: int) -> int | None:
        """q{} qq{} qx{} qw{} m{} s{}{} of perl; %q{} %Q{} %x{} %w{} %{} of ruby."""
        text = self._text
        ruby = self._syntax.interpolation == "ruby"
        pattern = r"%([qQxwWi]?)([^\w\s])" if ruby else r"(q[qxwr]?|m|s|tr|y)(?:\s*([^\w\s,;=)])|\s+(\w))"
        match = re.compile(pattern).match(text, position)
        if (
            match is None
            or (ruby and self._after_value())
            or (not ruby and text[position - 1 : position] in ("$", "@", "%", "{", "-"))
        ):
            return None
        if not ruby and text.startswith("=>", match.end() - 1):
            return None
        kind, opening = match.group(1), match.group(2) or match.group(3)
        stop = _matching(text, match.end(), opening)
        body = text[match.end() : stop]
        after = min(stop + 1, len(text))
        if not ruby and kind in ("m", "s", "tr", "y", "qr"):
            if kind in ("s", "tr", "y"):
                start = after
                if opening in _CLOSERS:
                    start = after + len(re.compile(r"\s*").match(text, after).group()) + 1  # type: ignore[union-attr]  # always matches
                after = min(_matching(text, start, opening) + 1, len(text))
            flags = re.compile(r"[a-z]*").match(text, after)
            after = flags.end() if flags else after
            self._tokens.append(Token("pattern", text[position:after]))
            return after
        if kind in ("qw", "w", "W", "i"):
            self._tokens.append(Token("words", body))
        else:
            shell = kind in ("qx", "x")
            self._add("shell" if shell else "text", body, plain=kind == "q", interpolated=kind != "q")
        return after

    def _other(self, position: int) -> int:
        text, syntax = self._text, self._syntax
        char = text[position]
        if char in syntax.sigils and (char not in "%&" or not self._after_value()):
            match = re.compile(r"[$@%&]+(?:\{(\^?\w+)\}|(\w+(?:::\w+)*)|([~!/;&_.,0-9\\]))|@(\w+)").match(text, position)
            if match:
                name = next(group for group in match.groups() if group is not None)
                self._tokens.append(Token("name", "$" + name.replace("::", ".")))
                return match.end()
        number = _NUMBER.match(text, position)
        if number and (char != "&" or syntax.doubled_quotes):
            self._tokens.append(Token("number", number.group()))
            return number.end()
        if char == "<" and syntax.interpolation == "perl":
            match = re.compile(r"<\$?(\w*)>").match(text, position)
            if match:
                self._tokens.append(Token("name", "$" + (match.group(1) or "STDIN")))
                return match.end()
        name_match = (_JAVASCRIPT_NAME if syntax.interpolation == "javascript" else _NAME).match(text, position)
        if name_match:
            name = name_match.group().replace("::", ".")
            if name[-1] in "?!" and not (syntax.bare_methods and text[name_match.end() : name_match.end() + 1] != "="):
                self._tokens.append(Token("name", name[:-1]))
                return name_match.end() - 1
            self._tokens.append(Token("name", name))
            return name_match.end()
        operator = _OPERATOR.match(text, position)
        assert operator is not None
        self._tokens.append(Token("op", operator.group()))
        return operator.end()


def _matching(text: str, position: int, opening: str) -> int:
    """The offset of the delimiter that closes `opening`, or len(text)."""
    closing, depth = _CLOSERS.get(opening, opening), 1
    pattern = re.compile(rf"\\.|{re.escape(opening)}|{re.escape(closing)}", re.DOTALL)
    for match in pattern.finditer(text, position):
        if match.group() == closing:
            depth -= 1
            if not depth:
                return match.start()
        elif match.group() == opening:
            depth += 1
    return len(text)
