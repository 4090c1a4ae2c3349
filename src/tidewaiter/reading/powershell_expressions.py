"""Expressions of PowerShell: operators by precedence, casts, members, indexes and literals."""

from __future__ import annotations

import re

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_literals import LiteralParser
from tidewaiter.reading.powershell_nodes import (
    Array,
    Cast,
    Chain,
    Char,
    Increment,
    Index,
    Literal,
    Member,
    Node,
    Type,
    Unary,
)

WORD_OPERATOR = re.compile(r"-([A-Za-z]+)")
TYPE = re.compile(r"\[\s*([A-Za-z_][\w.+]*(?:`\d+)?)\s*((?:\[[\w.,\s`]*(?:\[[\w.,\s`]*\][\w.,\s`]*)*\]\s*)*)\]")
MEMBER_NAME = re.compile(r"(?:`?[A-Za-z0-9_])+")
CODE = r"\[char\][ \t]*(0x[0-9a-f]{1,5}|\d{1,6})(?![\w.])"
CHARACTER = re.compile(CODE, re.IGNORECASE)
ADDED = re.compile(r"[ \t]*\+\s*(?:'((?:[^']|'')*)'|" + CODE + r")(?=[ \t]*(?:[+);|}\r\n]|\Z))", re.IGNORECASE)
CONSTANT = r"(?:0x[0-9a-f]{1,12}|\d{1,12}|'(?:[^']|'')*')(?![\w.\[(:'])"
CONSTANTS = re.compile(r"(?:[ \t]*,\s*" + CONSTANT + ")+", re.IGNORECASE)
ONE_CONSTANT = re.compile(r"(0x[0-9a-f]+)|(\d+)|'((?:[^']|'')*)'", re.IGNORECASE)
COMPARISONS = ["eq", "ne", "gt", "ge", "lt", "le", "like", "notlike", "match", "notmatch", "contains", "notcontains"]
COMPARISONS += ["in", "notin", "replace", "split", "join", "is", "isnot", "as"]
PRECEDENCE: dict[str, int] = {"and": 1, "or": 1, "xor": 1, "band": 2, "bor": 2, "bxor": 2, "shl": 4, "shr": 4, "f": 6}
PRECEDENCE |= {prefix + name: 3 for name in COMPARISONS for prefix in ("", "c", "i")}
SIGNS = {"+": 4, "-": 4, "*": 5, "/": 5, "%": 5}
COMMA = 8
PREFIXES = ("not", "bnot", "join", "split", "csplit", "isplit")


def code_point(text: str) -> str:
    """The character of a decimal or 0x code; empty past the last one."""
    code = int(text, 16 if text[:2].lower() == "0x" else 10)
    return chr(code) if code < 0x110000 else ""


class ExpressionParser(LiteralParser):
    """The expression mode."""

    def __init__(self, text: str, budget: Budget) -> None:
        super().__init__(text, budget)
        self.seen = ("", 0, 0)

    def expression(self, lowest: int = 1, *, comma: bool = True) -> Node:
        """Operands and operators of at least this precedence; without `comma` a comma ends it (method arguments)."""
        self.enter()
        self.watch()
        left = self.unary()
        while True:
            operator, precedence, end = self.operator()
            if precedence < lowest or (precedence == COMMA and not comma):
                break
            if operator == "+" and type(left) is Literal and type(left.value) in (str, Char) and self.constant_sum(left):
                continue
            self.pos = end
            self.lines()
            if precedence == COMMA:
                left = self.constant_array(left, end) or self.array(left)
                continue
            right = self.expression(precedence + 1, comma=comma)
            if type(left) is Chain and left.precedence == precedence:
                left.rest.append((operator, right))
                left.end = self.pos
            else:
                left = Chain(left.start, self.pos, precedence, left, [(operator, right)])
        self.depth -= 1
        return left

    def constant_sum(self, left: Literal) -> bool:
        """Append the constant strings that are added to one; False where the next operand is something else."""
        parts = [str(left.value)]
        while match := ADDED.match(self.text, self.pos):
            parts.append(code_point(match[2]) if match[2] else match[1].replace("''", "'"))
            self.pos = match.end()
            self.watch()
        if len(parts) == 1:
            return False
        left.value, left.end = "".join(parts), self.pos
        return True

    def constant_array(self, first: Node, comma: int) -> Array | None:
        """An array of numbers and plain strings only; None where it holds anything else."""
        match = CONSTANTS.match(self.text, comma - 1)
        if match is None or type(first) is not Literal:
            return None
        before, self.pos = self.pos, match.end()
        if self.operator()[1] >= COMMA or self.char() in ("..", ","):
            self.pos = before
            return None
        values: list[object] = [first.value]
        for number, digits, text in ONE_CONSTANT.findall(match[0]):
            values.append(int(number, 16) if number else int(digits) if digits else text.replace("''", "'"))
        return Array(first.start, match.end(), [], values)

    def array(self, first: Node) -> Array:
        """`first, ...` with the position after the first comma."""
        items = [first, self.unary()]
        while True:
            _, precedence, end = self.operator()
            if precedence != COMMA:
                return Array(first.start, self.pos, items)
            self.pos = end
            self.lines()
            items.append(self.unary())

    def operator(self) -> tuple[str, int, int]:
        """The binary operator ahead: its name, precedence (0: none) and end. Nothing is consumed but blanks."""
        if self.pos == self.seen_at:
            return self.seen
        self.space()
        self.seen = self.operator_here()
        self.seen_at = self.pos
        return self.seen

    def operator_here(self) -> tuple[str, int, int]:
        """The binary operator at the position."""
        text, pos = self.text, self.pos
        at = self.char()
        if at == "-":
            match = WORD_OPERATOR.match(text, pos)
            if match:
                name = match[1].lower()
                return name, PRECEDENCE.get(name, 0), match.end()
        if at in SIGNS and at:
            assigned = text.startswith("=", pos + 1)
            return at, 0 if assigned else SIGNS[at], pos + 1
        if at == "," and at:
            return ",", COMMA, pos + 1
        if at == "." and text.startswith("..", pos):
            return "..", 7, pos + 2
        return "", 0, pos

    def unary(self) -> Node:
        """A prefix operator or cast with its operand, or an operand."""
        self.lines()
        start, at = self.pos, self.char()
        if at in "!,+-[" and at:
            self.enter()
            node = self.prefixed(start, at)
            self.depth -= 1
            if node is not None:
                return node
        return self.postfix(self.primary())

    def prefixed(self, start: int, at: str) -> Node | None:
        """The node of a prefix operator; None where the character is none."""
        if at == "[":
            return self.bracketed(start)
        if at == "-":
            match = WORD_OPERATOR.match(self.text, start)
            if match:
                name = match[1].lower()
                if name not in PREFIXES:
                    return None
                self.pos = match.end()
                return Unary(start, self.pos, name.removeprefix("c") if name == "csplit" else name, self.unary())
        if at in "+-" and self.text.startswith(at * 2, start):
            self.pos += 2
            return Increment(start, self.pos, self.unary(), 1 if at == "+" else -1, after=False)
        self.pos += 1
        operand = self.unary()
        if at == ",":
            return Array(start, self.pos, [operand])
        return Unary(start, self.pos, "not" if at == "!" else at, operand)

    def bracketed(self, start: int) -> Node | None:
        """A type literal, its static member, or a cast."""
        character = CHARACTER.match(self.text, start)
        if character is not None and (text := code_point(character[1])):
            self.pos = character.end()
            return Literal(start, self.pos, Char(text))
        match = TYPE.match(self.text, start)
        if match is None:
            return self.odd_cast(start)
        self.pos = match.end()
        name = match[1].lower() + ("[]" if match[2].replace(" ", "") == "[]" else "")
        here = Type(start, self.pos, name)
        if self.text.startswith("::", self.pos) or self.char() == ".":
            return self.postfix(here)
        self.space()
        if self.text.startswith("::", self.pos):
            return self.postfix(here)
        at = self.char()
        if at and (
            at in "$'\"([@{!" or at.isdigit() or (at == "-" and self.is_operand_dash()) or (at == "." and self.is_digit())
        ):
            return Cast(start, self.pos, name, self.unary())
        return here

    def odd_cast(self, start: int) -> Node | None:
        """An attribute such as `[Parameter(Mandatory)]` before an operand, which is dropped."""
        depth = 0
        for position in range(start, min(self.end, start + 400)):
            at = self.text[position]
            depth += (at == "[") - (at == "]")
            if depth == 0:
                self.pos = position + 1
                return self.unary()
        return None

    def is_operand_dash(self) -> bool:
        """Whether the dash ahead starts a number or a prefix operator rather than a binary operator."""
        match = WORD_OPERATOR.match(self.text, self.pos)
        if match:
            return match[1].lower() in ("not", "bnot") or (match[1].lower() in ("join", "split"))
        return self.text[self.pos + 1 : self.pos + 2].isdigit()

    def is_digit(self) -> bool:
        """Whether the character after the next is a digit."""
        return self.text[self.pos + 1 : self.pos + 2].isdigit()

    def primary(self) -> Node:
        """A literal, variable, group, hash table or block."""
        start, at = self.pos, self.char()
        if at == "$":
            variable = self.variable()
            if variable is not None:
                return variable
            if self.text.startswith("$(", start):
                return self.subexpression()
        elif at == "'":
            return self.single_quoted()
        elif at == '"':
            return self.double_quoted()
        elif at == "(":
            return self.group("(", 1)
        elif at == "{":
            return self.block()
        elif at == "@":
            return self.at_sign(start)
        elif at.isdigit() or at == ".":
            number = self.number()
            if number is not None:
                return number
        return self.stray(start)

    # postfix ------------------------------------------------------------------------------------------------------------

    def postfix(self, node: Node) -> Node:
        """Members, calls, indexes and increments that follow an operand."""
        text = self.text
        links = 0
        while self.pos < self.end:
            at = text[self.pos]
            if at == "." and self.member_ahead(self.pos + 1):
                self.pos += 1
                node = self.member(node)
            elif at == ":" and text.startswith("::", self.pos):
                self.pos += 2
                node = self.member(node)
            elif at == "[":
                self.pos += 1
                self.lines()
                index = self.expression()
                self.expect("]")
                node = Index(node.start, self.pos, node, index)
            elif at in "+-" and text.startswith(at * 2, self.pos):
                self.pos += 2
                node = Increment(node.start, self.pos, node, 1 if at == "+" else -1, after=True)
            else:
                break
            links += 1
            if links > 2 * 60:
                self.incomplete = True
                break
        return node

    def member_ahead(self, position: int) -> bool:
        """Whether what follows a dot can be a member name (so `..` and `.\\file` are none)."""
        while position < self.end and self.text[position] in " \t":
            position += 1
        at = self.text[position : position + 1]
        return bool(at) and (at.isalpha() or at in "_'\"($`{")

    def member(self, target: Node) -> Member:
        """The name after a dot or `::`, and its arguments where `(` follows at once."""
        self.lines()
        start, at = self.pos, self.char()
        match = MEMBER_NAME.match(self.text, start)
        name: Node
        if match:
            self.pos = match.end()
            name = Literal(start, self.pos, match[0].replace("`", ""))
        elif at and at in "'\"$(":
            name = self.primary()
        else:
            self.incomplete = True
            name = Literal(start, start, "")
        if self.char() != "(":
            if self.char() == "{":  # .ForEach{...}
                block = self.block()
                return Member(target.start, self.pos, target, name, [block])
            return Member(target.start, self.pos, target, name)
        self.pos += 1
        self.enter()
        arguments = self.arguments()
        self.depth -= 1
        return Member(target.start, self.pos, target, name, arguments)

    def arguments(self) -> list[Node]:
        """Method arguments up to `)`, which is consumed."""
        found: list[Node] = []
        self.lines()
        while self.char() not in (")", ""):
            before = self.pos
            found.append(self.expression(comma=False))
            if self.char() in ("\\", "/", ":", "%"):  # a word whose quotes the command line has eaten
                self.pos, self.incomplete, self.seen_at = before, True, -1
                found[-1] = self.bare_word()
            self.lines()
            if self.char() == ",":
                self.pos += 1
                self.lines()
            elif self.char() != ")":
                break
            if self.pos == before:
                break
        self.expect(")")
        return found
