"""Groups, hash tables and blocks of PowerShell, with the parameters that blocks declare."""

from __future__ import annotations

import re

from tidewaiter.reading.powershell_nodes import Block, Group, Hash, Literal, Node, Parameter, Splat
from tidewaiter.reading.powershell_scanner import Scanner

SPLAT = re.compile(r"@([A-Za-z_]\w*)")
KEY = re.compile(r"[A-Za-z_0-9][\w.-]*")
PARAM = re.compile(r"param\s*\(", re.IGNORECASE)
ATTRIBUTE = re.compile(r"\[[^\]]{0,200}\]\s*")


class LiteralParser(Scanner):
    """What brackets enclose."""

    def statement(self) -> Node | None:
        """One statement or pipeline at the position."""
        raise NotImplementedError

    def expression(self, lowest: int = 1, *, comma: bool = True) -> Node:
        """An expression at the position."""
        raise NotImplementedError

    def unary(self) -> Node:
        """An operand with its prefixes at the position."""
        raise NotImplementedError

    def at_sign(self, start: int) -> Node:
        """`@( )`, `@{ }`, here-strings and splats."""
        if self.text.startswith("@(", start):
            return self.group("@", 2)
        if self.text.startswith("@{", start):
            return self.hash()
        here = self.here_string()
        if here is not None:
            return here
        match = SPLAT.match(self.text, start)
        if match:
            self.pos = match.end()
            return Splat(start, self.pos, match[1].lower())
        return self.stray(start)

    def group(self, kind: str, skip: int) -> Group:
        """Statements in parentheses."""
        start = self.pos
        self.pos += skip
        self.enter()
        body = self.statements(")")
        self.depth -= 1
        return Group(start, self.pos, kind, body)

    def subexpression(self) -> Node:
        """`$( ... )`."""
        return self.group("$", 2)

    def hash(self) -> Hash:
        """`@{ ... }`."""
        start = self.pos
        self.pos += 2
        self.enter()
        pairs: list[tuple[Node, Node]] = []
        while True:
            self.lines()
            while self.char() == ";":
                self.pos += 1
                self.lines()
            if self.char() in ("}", ""):
                break
            before = self.pos
            match = KEY.match(self.text, self.pos)
            key: Node
            if match:
                self.pos = match.end()
                key = Literal(before, self.pos, match[0])
            else:
                key = self.unary()
            self.lines()
            if self.char() == "=":
                self.pos += 1
                self.lines()
            else:
                self.incomplete = True
            value = self.statement()
            pairs.append((key, value or Literal(self.pos, self.pos, None)))
            if self.pos == before:
                self.pos += 1
        self.expect("}")
        self.depth -= 1
        return Hash(start, self.pos, pairs)

    def block(self) -> Block:
        """`{ param(...) ... }`."""
        start = self.pos
        self.pos += 1
        self.enter()
        self.lines()
        parameters = self.param_block()
        body = self.statements("}")
        self.depth -= 1
        return Block(start, self.pos, self.text, parameters, body)

    def param_block(self) -> list[Parameter]:
        """The parameters of `param(...)` at the position, with attributes before it; none where there is none."""
        before = self.pos
        while self.char() == "[" and (match := ATTRIBUTE.match(self.text, self.pos)):
            self.pos = match.end()
        match = PARAM.match(self.text, self.pos)
        if match is None:
            self.pos = before
            return []
        self.pos = match.end()
        return self.parameters()

    def parameters(self) -> list[Parameter]:
        """Declarations up to `)`, which is consumed."""
        found: list[Parameter] = []
        while True:
            self.lines()
            at = self.char()
            if at in (")", ""):
                break
            start = self.pos
            if at == "$" and (variable := self.variable()):
                self.lines()
                default = None
                if self.char() == "=":
                    self.pos += 1
                    default = self.expression(comma=False)
                found.append(Parameter(start, self.pos, variable.name, default))
            elif at == "[":
                self.skip_attribute()
            else:
                self.pos += 1
        self.expect(")")
        return found

    def skip_attribute(self) -> None:
        """Skip `[...]` with what is nested in it."""
        depth = 0
        while self.pos < self.end:
            at = self.text[self.pos]
            depth += (at == "[") - (at == "]")
            self.pos += 1
            if depth == 0:
                return

    def stray(self, start: int) -> Node:
        """What is no operand: read as a bare word, so that reading goes on."""
        self.incomplete = True
        word = self.bare_word()
        if self.pos == start and self.char() not in ("", ")", "}", ";", "|", "]"):
            self.pos += 1
        return word
