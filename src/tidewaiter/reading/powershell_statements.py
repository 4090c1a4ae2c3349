"""Statements of PowerShell: pipelines, assignments, branches, loops and definitions."""

from __future__ import annotations

import re

from tidewaiter.reading.budget import BudgetExceeded
from tidewaiter.reading.powershell_commands import REDIRECT, CommandParser
from tidewaiter.reading.powershell_nodes import (
    Array,
    Assign,
    Block,
    Cast,
    Command,
    Expand,
    Foreach,
    Function,
    If,
    Index,
    Leave,
    Literal,
    Loop,
    Member,
    Node,
    Pipeline,
    Redirect,
    Switch,
    Try,
    Variable,
)
from tidewaiter.reading.powershell_scanner import TooDeepError, TooSlowError

WORD = re.compile(r"[A-Za-z]+(?![\w\-.:\\/`=])")
ASSIGNMENT = re.compile(r"(\+|-|\*|/|%|\?\?)?=(?!=)")
PROGRAM = re.compile(
    r"""(["'])[^"'{}]*\.(?:exe|com|bat|cmd|ps1)\1[ \t]+(?=[-/\w])(?!-(?:eq|ne|join|replace|split|like|match)\b)""",
    re.IGNORECASE,
)
LABEL = re.compile(r":\w+[ \t]*")
FUNCTION_NAME = re.compile(r"[^\s(){};]+")
EXPRESSION_WORD = re.compile(r"-(?:not|bnot|join|[ci]?split)(?![A-Za-z])", re.IGNORECASE)
IN = re.compile(r"in(?!\w)", re.IGNORECASE)
BLOCKS = ("begin", "process", "end", "dynamicparam", "clean")


class StatementParser(CommandParser):
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

    # branches and loops -----------------------------------------------------------------------------------------------------

    def condition(self) -> list[Node]:
        """`( ... )` after a keyword."""
        self.lines()
        if self.char() != "(":
            self.incomplete = True
            return []
        self.pos += 1
        self.enter()
        body = self.statements(")")
        self.depth -= 1
        return body

    def body(self) -> list[Node]:
        """`{ ... }` after a keyword; a single statement where the brace is missing."""
        self.lines()
        if self.char() != "{":
            self.incomplete = True
            return []
        self.pos += 1
        self.enter()
        body = self.statements("}")
        self.depth -= 1
        return body

    def keyword(self, *words: str) -> str:
        """Consume one of the words where it stands next; the empty text otherwise."""
        before = self.pos
        self.lines()
        match = WORD.match(self.text, self.pos)
        if match and match[0].lower() in words:
            self.pos = match.end()
            return match[0].lower()
        self.pos = before
        return ""

    def if_statement(self, start: int, _word: str) -> Node:
        """`if (..) {..} elseif (..) {..} else {..}`."""
        clauses = [(self.condition(), self.body())]
        while self.keyword("elseif"):
            clauses.append((self.condition(), self.body()))
        otherwise = self.body() if self.keyword("else") else None
        return If(start, self.pos, clauses, otherwise)

    def while_statement(self, start: int, _word: str) -> Node:
        """`while (..) {..}`."""
        condition = self.condition()
        return Loop(start, self.pos, [], condition, [], self.body())

    def do_statement(self, start: int, _word: str) -> Node:
        """`do {..} while|until (..)`."""
        body = self.body()
        word = self.keyword("while", "until")
        condition = self.condition() if word else None
        return Loop(start, self.pos, [], condition, [], body, first=True, until=word == "until")

    def for_statement(self, start: int, _word: str) -> Node | None:
        """`for (..; ..; ..) {..}`."""
        self.lines()
        if self.char() != "(":
            return None
        self.pos += 1
        parts: list[list[Node]] = [[], [], []]
        part = 0
        while True:
            self.lines()
            at, before = self.char(), self.pos
            if at in (")", ""):
                self.pos += 1
                break
            if at == ";":
                part = min(part + 1, 2)
                self.pos += 1
                continue
            statement = self.statement()
            if statement is not None:
                parts[part].append(statement)
            if self.char() == ",":
                self.pos += 1
            if self.pos == before:
                self.pos += 1
        return Loop(start, self.pos, parts[0], parts[1] or None, parts[2], self.body())

    def foreach_statement(self, start: int, _word: str) -> Node | None:
        """`foreach ($x in ..) {..}`; None where it is the alias of ForEach-Object."""
        self.lines()
        while self.char() == "-":  # -parallel
            self.option()
            self.lines()
        if self.char() != "(":
            return None
        self.pos += 1
        self.lines()
        variable = self.variable()
        self.lines()
        match = IN.match(self.text, self.pos)
        if variable is None or match is None:
            return None
        self.pos = match.end()
        self.enter()
        values = self.statements(")")
        self.depth -= 1
        return Foreach(start, self.pos, variable.name, values, self.body())

    def switch_statement(self, start: int, _word: str) -> Node:
        """`switch [-options] (..) { label {..} }`."""
        self.space()
        while self.char() == "-" and self.option() is not None:
            self.space()
        values = self.condition()
        self.lines()
        clauses: list[tuple[Node | None, list[Node]]] = []
        if self.char() == "{":
            self.pos += 1
            self.enter()
            while True:
                self.lines()
                at, before = self.char(), self.pos
                if at in ("}", ""):
                    break
                if at == ";":
                    self.pos += 1
                    continue
                label = None if self.keyword("default") else self.argument()
                clauses.append((label, self.body()))
                if self.pos == before:
                    self.pos += 1
            self.expect("}")
            self.depth -= 1
        return Switch(start, self.pos, values, clauses)

    def try_statement(self, start: int, _word: str) -> Node:
        """`try {..} catch [type] {..} finally {..}`."""
        bodies = [self.body()]
        while word := self.keyword("catch", "finally"):
            self.lines()
            while word == "catch" and self.char() in ("[", ","):
                if self.char() == "[":
                    self.skip_attribute()
                else:
                    self.pos += 1
                self.lines()
            bodies.append(self.body())
        return Try(start, self.pos, bodies)

    def trap_statement(self, start: int, _word: str) -> Node:
        """`trap [type] {..}`."""
        self.lines()
        if self.char() == "[":
            self.skip_attribute()
        return Try(start, self.pos, [self.body()])

    def function_statement(self, start: int, _word: str) -> Node | None:
        """`function name(..) { param(..) .. }`."""
        self.space()
        match = FUNCTION_NAME.match(self.text, self.pos)
        if match is None:
            return None
        self.pos = match.end()
        self.lines()
        parameters = []
        if self.char() == "(":
            self.pos += 1
            parameters = self.parameters()
            self.lines()
        if self.char() != "{":
            self.incomplete = True
            return Function(start, self.pos, match[0].lower(), Block(self.pos, self.pos, self.text, parameters, []))
        block = self.block()
        block.parameters = parameters or block.parameters
        return Function(start, self.pos, match[0].lower().rpartition(":")[2], block)

    def named_block(self, start: int, _word: str) -> Node | None:
        """`begin {..}`, `process {..}`, `end {..}`; None where it is a command of that name."""
        self.lines()
        if self.char() != "{":
            return None
        return Try(start, self.pos, [self.body()])

    def leave_statement(self, start: int, word: str) -> Node:
        """`return`, `throw`, `exit`, `break`, `continue`."""
        self.space()
        value = None
        if self.char() and self.char() not in ";)}\r\n|&#":
            value = self.statement()
        return Leave(start, self.pos, word, value)

    def class_statement(self, start: int, _word: str) -> Node | None:
        """`class` and `enum` bodies are skipped."""
        match = re.compile(r"[^\S\r\n]+\w+[^{;\r\n]{0,200}\{").match(self.text, self.pos)
        if match is None:
            return None
        self.pos = match.end()
        self.enter()
        depth = 1
        while self.pos < self.end and depth:
            at = self.text[self.pos]
            depth += (at == "{") - (at == "}")
            self.pos += 1
        self.depth -= 1
        return Literal(start, self.pos, None)


KEYWORDS = {
    "if": StatementParser.if_statement,
    "while": StatementParser.while_statement,
    "do": StatementParser.do_statement,
    "for": StatementParser.for_statement,
    "foreach": StatementParser.foreach_statement,
    "switch": StatementParser.switch_statement,
    "try": StatementParser.try_statement,
    "trap": StatementParser.trap_statement,
    "function": StatementParser.function_statement,
    "filter": StatementParser.function_statement,
    "workflow": StatementParser.function_statement,
    "class": StatementParser.class_statement,
    "enum": StatementParser.class_statement,
    **dict.fromkeys(("return", "throw", "exit", "break", "continue"), StatementParser.leave_statement),
    **dict.fromkeys(BLOCKS, StatementParser.named_block),
}
