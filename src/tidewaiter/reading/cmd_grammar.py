"""The grammar of cmd.exe: a text into commands, pipes, groups, `if` and `for`. Carets are taken off, variables stay.

Reference: cmd.exe reads a line character by character; a caret takes the meaning from the next character, quotes take it
from all operators up to the next quote or the end of the line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidewaiter.reading.budget import Budget

_BLANK = " \t,;=\f\v\xa0"
_DEEPEST = 40
_LINUX = re.compile(r"\"?(?:[^\s\"&|<>]*\\)?(?:wsl|bash)(?:\.exe)?\"?\s", re.I)
"""Commands whose writers quote as in a Linux shell: what stands in single quotes is theirs, whatever cmd would make of it."""


@dataclass
class Redirect:
    """One redirection: `operator` is <, > or >>; `handle` is 0, 1, 2 ...; the target is as spelled, without carets."""

    handle: int
    operator: str
    target: str


@dataclass
class Simple:
    """A command and its arguments as one text, quotes kept."""

    text: str
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Group:
    """Commands in parentheses, or all commands of a body."""

    items: list[Node]
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Pipe:
    """Commands joined by |."""

    parts: list[Node]


@dataclass
class Branch:
    """`if`: the condition's words (left, operator, right) and both bodies."""

    condition: tuple[str, str, str]
    negated: bool
    ignore_case: bool
    then: Node
    other: Node | None


@dataclass
class Loop:
    """`for`: the switch (d, r, l, f or nothing), the options of /f, the letter, the text in parentheses and the body."""

    switch: str
    options: str
    letter: str
    values: str
    body: Node


@dataclass
class Label:
    """A `:name` line, where a `call :name` or `goto name` goes."""

    name: str


Node = Simple | Group | Pipe | Branch | Loop | Label


class Parser:
    """Reads one text. `lines()` gives its top-level commands in order; `complete` is False where the grammar met an error."""

    def __init__(self, text: str, budget: Budget) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
        self.budget = budget
        self.position = 0
        self.complete = True

    def lines(self) -> list[Node]:
        """All commands of the text. Raises BudgetExceeded."""
        nodes: list[Node] = []
        while self.position < len(self.text):
            before = self.position
            nodes += self._sequence(0, newlines=True)
            if (
                self._peek() == ")"
            ):  # an unmatched parenthesis ends nothing on a command line; the rest of the line is a comment
                self.complete = False
                self.position += 1
            elif self.position == before:
                self.position += 1
        return nodes

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _skip(self, characters: str) -> None:
        text, size = self.text, len(self.text)
        while self.position < size:
            character = text[self.position]
            if character in characters:
                self.position += 1
            elif character == "^" and text[self.position + 1 : self.position + 2] == "\n":
                self.position += 2
            else:
                return

    def _sequence(self, depth: int, *, newlines: bool) -> list[Node]:
        """Commands up to the end of the line (or, with `newlines`, of the group)."""
        nodes: list[Node] = []
        while self.position < len(self.text):
            self.budget.spend()
            self._skip(_BLANK + ("\n" if newlines else ""))
            character = self._peek()
            if character in ("", ")") or (character == "\n" and not newlines):
                break
            if character in "&|":
                self.position += 1
                continue
            before = self.position
            node = self._pipeline(depth)
            if node is not None:
                nodes.append(node)
            if self.position == before:
                self.position += 1
        return nodes

    def _pipeline(self, depth: int) -> Node | None:
        parts: list[Node] = []
        while True:
            node = self._command(depth)
            if node is not None:
                parts.append(node)
            self._skip(" \t")
            if self._peek() == "|" and self.text[self.position + 1 : self.position + 2] != "|":
                self.position += 1
                self._skip(_BLANK + "\n")
                continue
            break
        if len(parts) > 1:
            return Pipe(parts)
        return parts[0] if parts else None

    def _command(self, depth: int) -> Node | None:
        self._skip(_BLANK + "@")
        if depth > _DEEPEST:
            self.complete = False
            self.budget.exceed("nested too deeply")
        character = self._peek()
        if character == "(":
            self.position += 1
            items = self._sequence(depth + 1, newlines=True)
            if self._peek() == ")":
                self.position += 1
            else:
                self.complete = False
            return Group(items, self._trailing_redirects())
        if character == ":":
            return self._label()
        word = self._head()
        if word == "rem":
            self._to_line_end()
            return None
        if word == "if":
            return self._if(depth)
        if word == "for":
            start = self.position
            node = self._for(depth)
            if node is not None:
                return node
            self.position = start
        return self._simple(depth)

    def _label(self) -> Node | None:
        start = self.position
        self._to_line_end()
        match = re.match(r":\s*([^\s:+&|<>()]+)", self.text[start : self.position])
        return Label(match[1].lower()) if match else None

    def _to_line_end(self) -> None:
        end = self.text.find("\n", self.position)
        self.position = len(self.text) if end < 0 else end

    def _head(self) -> str:
        """The next word in lower case, carets off, without moving."""
        match = re.compile(r"(?:\^?[a-zA-Z]){2,9}(?=[\s,;=(/\"%&|<>)]|$)").match(self.text, self.position)
        return match[0].replace("^", "").lower() if match else ""

    def _take_head(self) -> None:
        match = re.compile(r"(?:\^?[a-zA-Z]){2,9}").match(self.text, self.position)
        if match:
            self.position = match.end()

    def _word(self, stops: str = "") -> str:
        """The next word, quotes kept and carets off."""
        self._skip(" \t,;" if "=" in stops else _BLANK)
        out: list[str] = []
        quoted = False
        text = self.text
        while self.position < len(text):
            character = text[self.position]
            if character == "\n" or (not quoted and (character in _BLANK or character in stops or character in "&|<>")):
                break
            if character == "^" and not quoted and self.position + 1 < len(text):
                self.position += 1
                character = text[self.position]
            elif character == '"':
                quoted = not quoted
            out.append(character)
            self.position += 1
        return "".join(out)

    def _simple(self, depth: int) -> Node | None:
        """A command up to an operator, with its redirections taken out."""
        out: list[str] = []
        node = Simple("")
        quoted = False
        text, size = self.text, len(self.text)
        started = self.position
        linux = _LINUX.match(text, started) is not None
        while self.position < size:
            character = text[self.position]
            if character == "\n":
                break
            if linux and character == "'" and not quoted:
                end = text.find("'", self.position + 1)
                end = size - 1 if end < 0 else end
                out.append(text[self.position : end + 1])
                self.position = end + 1
            elif quoted or character not in '^&|)<>"':
                if character == '"':
                    quoted = not quoted
                out.append(character)
                self.position += 1
            elif character == "^":
                self._caret(out)
            elif character == '"':
                quoted = True
                out.append(character)
                self.position += 1
            elif character in "<>":
                self._redirect(out, node.redirects)
            elif character == ")" and depth == 0:
                out.append(character)
                self.position += 1
            else:
                break
        self.budget.spend(1 + (self.position - started) // 64)
        node.text = "".join(out).strip(" \t\f\v")
        return node if node.text or node.redirects else None

    def _caret(self, out: list[str]) -> None:
        following = self.text[self.position + 1 : self.position + 2]
        self.position += 2
        if following == "\n":
            literal = self._peek()
            if literal and literal in "&|<>()^":
                out.append(literal)
                self.position += 1
            return
        out.append(following)

    def _redirect(self, out: list[str], redirects: list[Redirect]) -> None:
        operator = self._peek()
        handle = 0 if operator == "<" else 1
        if out and out[-1].isdigit() and (len(out) == 1 or out[-2] in _BLANK + ')"'):
            handle = int(out.pop())
        self.position += 1
        if operator == ">" and self._peek() == ">":
            operator = ">>"
            self.position += 1
        if self._peek() == "&":
            self.position += 1
            if self._peek().isdigit():
                self.position += 1
            return
        target = self._word(")")
        redirects.append(Redirect(handle, operator, target))

    def _trailing_redirects(self) -> list[Redirect]:
        redirects: list[Redirect] = []
        while True:
            self._skip(" \t")
            match = re.compile(r"[0-9]?[<>]").match(self.text, self.position)
            if match is None:
                return redirects
            out = [match[0][0]] if len(match[0]) == 2 else []
            self.position = match.end() - 1
            self._redirect(out, redirects)

    def _body(self, depth: int) -> Node:
        return Group(self._sequence(depth + 1, newlines=False))

    def _if(self, depth: int) -> Node:
        self._take_head()
        negated = ignore_case = False
        word = self._word("=(")
        while word.lower() in ("/i", "not"):
            ignore_case = ignore_case or word.lower() == "/i"
            negated = negated != (word.lower() == "not")
            word = self._word("=(")
        if word.lower() in ("exist", "defined", "errorlevel", "cmdextversion"):
            condition = (word.lower(), "", self._word("("))
        else:
            self._skip(" \t")
            if self.text[self.position : self.position + 2] == "==":
                self.position += 2
                operator = "=="
            else:
                operator = self._word().lower()
            condition = (word, operator, self._word("("))
        self._skip(_BLANK + "@")
        if self._peek() != "(":
            return Branch(condition, negated, ignore_case, self._body(depth), None)
        then = self._pipeline(depth + 1) or Group([])
        start = self.position
        self._skip(_BLANK + "\n")
        other: Node | None = None
        if self._head() == "else":
            self._take_head()
            other = self._body(depth)
        else:
            self.position = start
        return Branch(condition, negated, ignore_case, then, other)

    def _for(self, depth: int) -> Node | None:
        self._take_head()
        switch, options, letter = "", "", ""
        for _ in range(6):
            word = self._word()
            lowered = word.lower()
            if re.fullmatch(r"/[drlf]", lowered):
                switch = lowered[1]
            elif re.fullmatch(r"%{1,2}[^\s%]", word):
                letter = word[-1]
            elif lowered == "in":
                break
            else:
                options = options or word
        else:
            return None
        self._skip(_BLANK)
        if self._peek() != "(" or not letter:
            return None
        self.position += 1
        values = self._values()
        self._skip(_BLANK + "\n")
        if self._head() != "do":
            return None
        self._take_head()
        return Loop(switch, options.strip('"'), letter, values, self._body(depth))

    def _values(self) -> str:
        """The text in the parentheses of `for`, carets off."""
        self._skip(" \t")
        closing = self._peek() if self._peek() in "'`" and self._peek() else ""
        out: list[str] = []
        quoted = False
        text = self.text
        pattern = re.compile(re.escape(closing) + r"\s*\)") if closing else None
        while self.position < len(text):
            character = text[self.position]
            if pattern is not None and out and character == closing and pattern.match(text, self.position):
                out.append(character)
                self.position = text.index(")", self.position) + 1
                return "".join(out)
            if pattern is None and character == ")" and not quoted:
                self.position += 1
                return "".join(out)
            if character == "^" and not quoted:
                self.position += 1
                character = text[self.position : self.position + 1]
            elif character == '"':
                quoted = not quoted
            out.append(character)
            self.position += 1
        self.complete = False
        return "".join(out)
