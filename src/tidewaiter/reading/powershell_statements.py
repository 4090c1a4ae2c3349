"""Statements of PowerShell: pipelines, assignments, branches, loops and definitions."""

from __future__ import annotations

import re

from tidewaiter.reading.budget import BudgetExceeded
from tidewaiter.reading.powershell_commands import REDIRECT
from tidewaiter.reading.powershell_keywords import KEYWORDS, WORD, KeywordParser
from tidewaiter.reading.powershell_nodes import (
    Array,
    Assign,
    Cast,
    Command,
    Expand,
    Index,
    Literal,
    Member,
    Node,
    Pipeline,
    Redirect,
    Variable,
)
from tidewaiter.reading.powershell_scanner import TooDeepError, TooSlowError

ASSIGNMENT = re.compile(r"(\+|-|\*|/|%|\?\?)?=(?!=)")
PROGRAM = re.compile(
    r"""(["'])[^"'{}]*\.(?:exe|com|bat|cmd|ps1)\1[ \t]+(?=[-/\w])(?!-(?:eq|ne|join|replace|split|like|match)\b)""",
    re.IGNORECASE,
)
LABEL = re.compile(r":\w+[ \t]*")
EXPRESSION_WORD = re.compile(r"-(?:not|bnot|join|[ci]?split)(?![A-Za-z])", re.IGNORECASE)


class StatementParser(KeywordParser):
    """Whole scripts."""

    def script(self) -> list[Node]:
        """All statements of the text, or those before the bound that was hit."""
        found: list[Node] = []
        try:
            self.lines()
            self.param_block()
            self.fill("", found)
        except (TooSlowError, BudgetExceeded):
            self.incomplete = True
            if "too much time" not in self.budget.limits:
                self.budget.limits.append("too much time")
        return found

    def statements(self, close: str) -> list[Node]:
        """Statements up to the closing character (consumed) or, without one, to the end of the text."""
        found: list[Node] = []
        self.fill(close, found)
        return found

    def fill(self, close: str, found: list[Node]) -> None:
        """Read statements into a list."""
        while True:
            self.lines()
            at = self.char()
            if at == "":
                self.incomplete |= close != ""
                return
            if at == close:
                self.pos += 1
                return
            if at in ";|" or self.text.startswith("&&", self.pos):
                self.incomplete |= at == "|" and not self.text.startswith("||", self.pos)
                self.pos += 1 if at == ";" else 2
                continue
            if at in ")}]":
                self.incomplete = True
                if close and at in ")}":
                    return  # closed by another bracket: leave it to the outer one
                self.pos += 1
                continue
            before, depth = self.pos, self.depth
            self.budget.spend()
            try:
                statement = self.statement()
            except TooDeepError:
                if depth > 2:
                    raise
                self.depth, statement = depth, None
                self.too_deep(before)
            if statement is not None:
                found.append(statement)
            if self.pos == before:
                self.pos += 1
                self.incomplete = True

    def too_deep(self, before: int) -> None:
        """Skip a statement that nests too deeply."""
        self.incomplete = True
        if "nested too deeply" not in self.budget.limits:
            self.budget.limits.append("nested too deeply")
        ends = [end for end in (self.text.find(";", self.pos), self.text.find("\n", self.pos)) if end >= 0]
        self.pos = max(before + 1, min(ends, default=self.end))

    def statement(self) -> Node | None:
        """One statement at the position."""
        self.lines()
        match = WORD.match(self.text, self.pos)
        if match:
            handler = KEYWORDS.get(match[0].lower())
            if handler is not None:
                start = self.pos
                self.pos = match.end()
                node = handler(self, start, match[0].lower())
                if node is not None:
                    return node
                self.pos = start
        elif self.char() == ":" and (label := LABEL.match(self.text, self.pos)):
            self.pos = label.end()
            return self.statement()
        return self.pipeline()

    # pipelines ------------------------------------------------------------------------------------------------------------

    def pipeline(self) -> Node | None:
        """Elements joined by `|`, or an assignment."""
        start = self.pos
        elements: list[Node] = []
        redirects: list[Redirect] = []
        while True:
            self.lines()
            if self.is_expression():
                node = self.expression_element()
                if isinstance(node, Assign):
                    if not elements:
                        return node
                    self.incomplete = True
                elements.append(node)
                self.expression_redirects(redirects)
            elif self.char() == "" or self.char() in ")};|":
                self.incomplete = True
                break
            else:
                elements.append(self.command())
            self.space()
            if (self.char() != "|" or self.text.startswith("||", self.pos)) and not self.goes_on_below():
                break
            self.pos += 1
        background = self.char() == "&" and not self.text.startswith("&&", self.pos)
        self.pos += background
        return Pipeline(start, self.pos, elements, redirects, background) if elements else None

    def goes_on_below(self) -> bool:
        """Whether the next line starts with `|`; then the position is there."""
        match = re.compile(r"\s*\r?\n\s*(?=\|(?!\|))").match(self.text, self.pos)
        if match is None:
            return False
        self.pos = match.end()
        return True

    def is_expression(self) -> bool:
        """Whether the pipeline element ahead is an expression rather than a command."""
        text, pos, at = self.text, self.pos, self.char()
        if at == "":
            return False
        if at in "$'\"(@{[!,":
            return True
        if at.isdigit() or (at == "." and text[pos + 1 : pos + 2].isdigit()):
            before = self.pos
            number = self.number()
            self.pos = before
            return number is not None
        if at in "+-":
            follower = text[pos + 1 : pos + 2]
            return follower in tuple("$(0123456789'\"[+-") or EXPRESSION_WORD.match(text, pos) is not None
        return False

    def expression_element(self) -> Node:
        """An expression, an assignment, or a command whose name is quoted or starts with a variable."""
        start = self.pos
        if PROGRAM.match(self.text, start):
            return self.quoted_command(start, self.primary())
        node = self.expression()
        match = ASSIGNMENT.match(self.text, self.pos)
        if match and isinstance(node, Variable | Member | Index | Array | Cast):
            self.pos = match.end()
            self.lines()
            value = self.statement()
            return Assign(start, self.pos, node, match[0], value or Literal(self.pos, self.pos, None))
        self.space()
        at = self.char()
        if isinstance(node, Literal | Expand | Variable) and at and at not in ";|)}&>#\r\n1234567890*":
            self.pos = start if isinstance(node, Variable) else node.end
            return self.quoted_command(start, node)
        return node

    def quoted_command(self, start: int, node: Node) -> Node:
        """`"x.exe" -a b` without call operator, as logs show it, and `$env:windir\\x.exe -a`."""
        name = self.bare_word() if isinstance(node, Variable) else node
        found = Command(start, self.pos, "&", name, [])
        while self.element(found):
            pass
        found.end = self.pos
        return found

    def expression_redirects(self, redirects: list[Redirect]) -> None:
        """`> file` after an expression."""
        while True:
            self.space()
            match = REDIRECT.match(self.text, self.pos)
            if match is None or not match[2]:
                return
            redirects.append(self.redirect(match))
