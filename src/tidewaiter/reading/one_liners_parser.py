"""The statements of a program text. Every branch and loop is read once, in the order in which it stands."""

from __future__ import annotations

from dataclasses import replace

from tidewaiter.reading import one_liners_functions as functions
from tidewaiter.reading.one_liners_expressions import Expressions
from tidewaiter.reading.one_liners_loops import bind_loop
from tidewaiter.reading.one_liners_values import Value, merge


class Parser(Expressions):
    """Reads the statements from token `start` to token `end`."""

    def run(self) -> Value:
        """Read everything; the value of the last expression, joined with what was returned."""
        returned: list[Value] = []
        last = Value()
        while (token := self.peek()) is not None:
            self.engine.budget.spend()
            before = self.at
            if token.kind == "line" or (token.kind == "op" and token.value in ";{})],:\\"):
                self.at += 1
                continue
            if token.kind == "name" and self._keyword(token.value.lower(), returned):
                continue
            last = self.expression()
            if self.at == before:
                self.at += 1
        return replace(last, sources=merge([last, *returned])) if returned else last

    def _keyword(self, word: str, returned: list[Value]) -> bool:
        """Read a statement that begins with a keyword. False where it is the beginning of an expression."""
        if self.is_op(".", "=", "->", "=>", ahead=1) and word not in ("return",):
            return False
        if word == "return":
            self.at += 1
            if self.peek() is not None and not self.is_op(";", "}"):
                returned.append(self.expression())
            return True
        if word in ("import", "from") and not self.is_op("(", ahead=1):
            functions.read_import(self)
            return True
        if word in functions.DEFINES and functions.is_definition(self):
            functions.read_definition(self)
            return True
        if word in ("for", "foreach"):
            self.at += 1
            bind_loop(self)
            return True
        if word in self.syntax.keywords:
            self.at += 1
            return True
        return False
