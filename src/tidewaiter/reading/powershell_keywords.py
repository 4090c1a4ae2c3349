"""Branches, loops and definitions of PowerShell, by their keywords."""

from __future__ import annotations

import re

from tidewaiter.reading.powershell_commands import CommandParser
from tidewaiter.reading.powershell_nodes import Block, Foreach, Function, If, Leave, Literal, Loop, Node, Switch, Try

WORD = re.compile(r"[A-Za-z]+(?![\w\-.:\\/`=])")
FUNCTION_NAME = re.compile(r"[^\s(){};]+")
CLASS = re.compile(r"[^\S\r\n]+\w+[^{;\r\n]{0,200}\{")
IN = re.compile(r"in(?!\w)", re.IGNORECASE)
BLOCKS = ("begin", "process", "end", "dynamicparam", "clean")


class KeywordParser(CommandParser):
    """Statements that start with a keyword."""

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
        match = CLASS.match(self.text, self.pos)
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
    "if": KeywordParser.if_statement,
    "while": KeywordParser.while_statement,
    "do": KeywordParser.do_statement,
    "for": KeywordParser.for_statement,
    "foreach": KeywordParser.foreach_statement,
    "switch": KeywordParser.switch_statement,
    "try": KeywordParser.try_statement,
    "trap": KeywordParser.trap_statement,
    "function": KeywordParser.function_statement,
    "filter": KeywordParser.function_statement,
    "workflow": KeywordParser.function_statement,
    "class": KeywordParser.class_statement,
    "enum": KeywordParser.class_statement,
    **dict.fromkeys(("return", "throw", "exit", "break", "continue"), KeywordParser.leave_statement),
    **dict.fromkeys(BLOCKS, KeywordParser.named_block),
}
