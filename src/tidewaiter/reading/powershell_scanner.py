"""Characters to tokens of PowerShell: spaces, strings, variables, numbers and bare words.

Written by hand, after the language specification 3.0 and the behaviour of PowerShell 5.1: the language has an expression
mode and a command mode, and the command mode (`certutil -split -f`, `$env:temp\\x.exe`, `iex(...).Method()`) is what attack
scripts are made of. The reading is lenient: what is not closed is closed at the end, and `incomplete` says so.
"""

from __future__ import annotations

import re
import time

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_nodes import Expand, Literal, Node, Variable

SPACE = re.compile(r"(?:[ \t\f\v\u00a0\u0085\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff]+|`[ \t]*\r?\n|<#.*?#>)*", re.DOTALL)
LINES = re.compile(r"(?:[\s\u0085\u200b\ufeff]+|`[ \t]*\r?\n|<#.*?#>|#[^\r\n]*)*", re.DOTALL)
VARIABLE = re.compile(
    r"\$(?:(?P<special>[$?^])|(?:(?P<scope>env|variable|function|alias|global|script|local|private|using):)?(?P<name>\w+))",
    re.IGNORECASE,
)
BRACED = re.compile(r"\$\{((?:[^}`]|`.)*)\}?", re.DOTALL)
NUMBER = re.compile(
    r"(?:0[xX]([0-9a-fA-F]+)|(\d+(?:\.\d+)?|\.\d+)([eE][+-]?\d+)?)(?:[lL]|[dD])?(kb|mb|gb|tb|pb)?", re.IGNORECASE
)
BARE = re.compile(r"[^\s`'\"$(){};,|&<>\u0085\u00a0\u200b]+")
HERE = re.compile(r"""@(['"])[ \t]*(?:\r?\n)?""")
SINGLE = re.compile(r"'((?:[^']|'')*)(')?")
EXPANDING = re.compile(r'[^"`$]+')
SMART = str.maketrans("‘’‚‛“”„–—―", "''''\"\"\"---")
TICKS = {"0": "\0", "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "e": "\x1b"}
SIZES = {"kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}
KEPT_SCOPES = ("env", "variable", "function", "alias")
DEEPEST = 60
PARSING_SHARE = 0.6
STOP = " \t\r\n;|)},"


class TooDeepError(Exception):
    """Nesting beyond what is read; the statement around it is skipped."""


class TooSlowError(Exception):
    """Parsing used up its share of the time; what was parsed is evaluated."""


class Scanner:
    """A position in a text and the reading of what stands there."""

    def __init__(self, text: str, budget: Budget) -> None:
        self.text = text.translate(SMART) if not text.isascii() else text
        self.pos = 0
        self.end = len(text)
        self.budget = budget
        self.depth = 0
        self.incomplete = False
        self.watched = 0
        self.seen_at = -1
        """Where the operator ahead was looked up last: outer precedences ask for the same one again."""
        now = time.process_time()
        self.deadline = now + max(0.0, budget.deadline - now) * PARSING_SHARE

    def statements(self, close: str) -> list[Node]:
        """Statements up to the closing character, which is consumed."""
        raise NotImplementedError

    def watch(self) -> None:
        """Called for every piece of text; raises TooSlowError when parsing has used up its share of the time."""
        self.watched += 1
        if self.watched & 127 == 0 and time.process_time() > self.deadline:
            raise TooSlowError

    def enter(self) -> None:
        """One level deeper; raises TooDeepError past the bound."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeepError

    def char(self) -> str:
        """The character at the position, empty at the end."""
        return self.text[self.pos] if self.pos < self.end else ""

    def space(self) -> None:
        """Skip blanks, continued lines and block comments."""
        match = SPACE.match(self.text, self.pos)
        if match:
            self.pos = match.end()

    def lines(self) -> None:
        """Skip blanks, line ends and comments."""
        match = LINES.match(self.text, self.pos)
        if match:
            self.pos = match.end()

    def expect(self, close: str) -> None:
        """Consume `close`; without it the text counts as incomplete and reading goes on after the nearest one, if any."""
        self.lines()
        if self.char() == close:
            self.pos += 1
            return
        self.incomplete = True
        if self.pos >= self.end:
            return
        depth = 0
        for position in range(self.pos, min(self.end, self.pos + 2_000)):
            at = self.text[position]
            if at in "([{":
                depth += 1
            elif at in ")]}":
                if depth == 0:
                    self.pos = position + (at == close)
                    return
                depth -= 1
        self.pos = self.end

    # strings -------------------------------------------------------------------------------------------------------------

    def single_quoted(self) -> Literal:
        """'...' with doubled quotes."""
        start = self.pos
        match = SINGLE.match(self.text, start)
        if match is None:  # pragma: no cover - the caller saw the quote
            raise AssertionError
        self.pos = match.end()
        self.incomplete |= match[2] is None
        value = match[1]
        return Literal(start, self.pos, value.replace("''", "'") if "''" in value else value)

    def double_quoted(self) -> Node:
        """ "..." with variables, `$( )` and ticks."""
        start = self.pos
        self.pos += 1
        parts: list[str | Node] = []
        text = self.text
        while True:
            match = EXPANDING.match(text, self.pos)
            if match:
                parts.append(match[0])
                self.pos = match.end()
            at = self.char()
            self.watch()
            if at == "":
                self.incomplete = True
                break
            if at == '"':
                if not text.startswith('""', self.pos):
                    self.pos += 1
                    break
                parts.append('"')
                self.pos += 2
            elif at == "`":
                parts.append(self.tick())
            else:
                parts.append(self.dollar())
        return self.expanded(start, parts, bare=False)

    def expanded(self, start: int, parts: list[str | Node], *, bare: bool) -> Node:
        """The parts as one node; a constant where none of them needs evaluation."""
        if all(isinstance(part, str) for part in parts):
            return Literal(start, self.pos, "".join(part for part in parts if isinstance(part, str)), bare)
        return Expand(start, self.pos, parts)

    def tick(self, *, bare: bool = False) -> str:
        """The character that a backtick and its follower stand for; in bare words only the usual control characters."""
        follower = self.text[self.pos + 1 : self.pos + 2]
        self.pos += 2
        if follower == "u" and not bare:
            match = re.compile(r"\{([0-9a-fA-F]{1,6})\}").match(self.text, self.pos)
            if match and int(match[1], 16) < 0x110000:
                self.pos = match.end()
                return chr(int(match[1], 16))
        return follower if bare else TICKS.get(follower, follower)

    def dollar(self) -> str | Node:
        """A variable or `$( )` inside a string or bare word; a lone dollar is itself."""
        node = self.variable()
        if node is None:
            if self.text.startswith("$(", self.pos):
                return self.subexpression()
            self.pos += 1
            return "$"
        return node

    def subexpression(self) -> Node:
        """`$( ... )`."""
        raise NotImplementedError

    def here_string(self) -> Node | None:
        """@'...'@ or @"..."@; None where the position holds none."""
        match = HERE.match(self.text, self.pos)
        if match is None:
            return None
        start, quote = self.pos, match[1]
        close = self.text.find("\n" + quote + "@", match.end() - 1)
        if close < 0:
            close = self.text.find(quote + "@", match.end())
        if close < 0:
            close, self.incomplete = self.end, True
        inner = self.text[match.end() : max(close, match.end())]
        after = self.text.find("@", close) + 1 if close < self.end else self.end
        if quote == "'":
            self.pos = after
            return Literal(start, self.pos, inner.removesuffix("\r"))
        node = self.inner_string(inner.removesuffix("\r"))
        self.pos = after
        return node

    def inner_string(self, inner: str) -> Node:
        """The inside of an expanding here-string, where quotes stand for themselves."""
        outer = (self.text, self.pos, self.end)
        self.text, self.pos, self.seen_at = inner, 0, -1
        self.end = len(inner)
        parts: list[str | Node] = []
        try:
            while self.pos < self.end:
                match = re.compile(r"[^`$]+").match(self.text, self.pos)
                if match:
                    parts.append(match[0])
                    self.pos = match.end()
                elif self.char() == "`":
                    parts.append(self.tick())
                else:
                    parts.append(self.dollar())
        finally:
            self.text, self.pos, self.end = outer
            self.seen_at = -1
        return self.expanded(self.pos, parts, bare=False)

    # variables, numbers, words ----------------------------------------------------------------------------------------------

    def variable(self) -> Variable | None:
        """`$name` in any form; None where the position holds none."""
        start = self.pos
        match = VARIABLE.match(self.text, start)
        if match:
            self.pos = match.end()
            scope = (match["scope"] or "").lower()
            name = match["special"] or match["name"].lower()
            return Variable(start, self.pos, f"{scope}:{name}" if scope in KEPT_SCOPES else name)
        braced = BRACED.match(self.text, start)
        if braced is None:
            return None
        self.pos = braced.end()
        name = braced[1].replace("`", "").strip().lower()
        scope, colon, rest = name.partition(":")
        return Variable(start, self.pos, rest if colon and scope in ("global", "script", "local", "private", "using") else name)

    def number(self) -> Literal | None:
        """A number that is not the start of a word."""
        match = NUMBER.match(self.text, self.pos)
        if match is None or (match.end() < self.end and (self.text[match.end()].isalnum() or self.text[match.end()] == "_")):
            return None
        start, self.pos = self.pos, match.end()
        if match[1]:
            value: int | float = int(match[1][:32], 16)
        elif match[3] or "." in match[2]:
            value = float(match[2][:40] + (match[3] or "")[:5])
        else:
            value = int(match[2][:40])
        if match[4]:
            value = int(value) << SIZES[match[4].lower()]
        return Literal(start, self.pos, value)

    def bare_word(self) -> Node:
        """A word of command mode: bare characters, ticks, quoted parts and variables, up to a separator."""
        start = self.pos
        parts: list[str | Node] = []
        text = self.text
        while self.pos < self.end:
            match = BARE.match(text, self.pos)
            if match:
                parts.append(match[0])
                self.pos = match.end()
                continue
            at = text[self.pos]
            self.watch()
            if at == "`" and not text.startswith(("`\n", "`\r\n"), self.pos):
                parts.append(self.tick(bare=True))
            elif at == "'":
                parts.append(str(self.single_quoted().value))
            elif at == '"':
                quoted = self.double_quoted()
                parts.extend(quoted.parts if isinstance(quoted, Expand) else [str(getattr(quoted, "value", ""))])
            elif at == "$":
                parts.append(self.dollar())
            elif at == "&" and self.query_goes_on(start):
                parts.append("&")
                self.pos += 1
            else:
                break
        return self.expanded(start, parts, bare=True)

    def query_goes_on(self, start: int) -> bool:
        """Whether the `&` at the position belongs to the query of an unquoted URL. PowerShell would refuse it; logs hold it."""
        before = self.text[start : self.pos]
        return "://" in before and "?" in before and re.compile(r"&[\w.%-]+=").match(self.text, self.pos) is not None
