"""A place in the tokens of a program text, and the questions that a parser asks there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidewaiter.reading.one_liners_tokens import Token

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_engine import Engine

_WORD_OPERATORS = frozenset({"and", "or", "xor", "in", "not", "is", "mod", "like", "of", "instanceof", "to"})
_PERL_OPERATORS = _WORD_OPERATORS | {"eq", "ne", "lt", "gt", "le", "ge", "cmp", "x"}
_MODIFIERS = frozenset(
    {"if", "unless", "else", "while", "until", "then", "do", "end", "elsif", "elif", "elseif", "for", "foreach", "rescue"}
)


class Cursor:
    """Stands at token `at` of the tokens from `start` to `end`."""

    def __init__(
        self, engine: Engine, tokens: Sequence[Token], start: int = 0, end: int | None = None, nesting: int = 0
    ) -> None:
        self.engine, self.tokens, self.syntax = engine, tokens, engine.syntax
        self.at, self.end = start, len(tokens) if end is None else end
        self._brackets = 0
        self._nesting = nesting
        self._words = _PERL_OPERATORS if engine.language.name == "perl" else _WORD_OPERATORS

    def peek(self, ahead: int = 0) -> Token | None:
        """The token `ahead` of the present one; line ends inside brackets do not count."""
        if self._brackets or not self.syntax.newline_ends:
            while self.at < self.end and self.tokens[self.at].kind == "line":
                self.at += 1
        place = self.at + ahead
        return self.tokens[place] if place < self.end else None

    def is_op(self, *operators: str, ahead: int = 0) -> bool:
        """Whether the token is one of these operators."""
        token = self.peek(ahead)
        return token is not None and token.kind == "op" and token.value in operators

    def is_name(self, *names: str, ahead: int = 0) -> bool:
        """Whether the token is one of these words."""
        token = self.peek(ahead)
        return token is not None and token.kind == "name" and token.value.lower() in names

    def starts_value(self, ahead: int = 0) -> bool:
        """Whether a value can begin at the token."""
        token = self.peek(ahead)
        if token is None:
            return False
        if token.kind == "name":
            word = token.value.lower()
            return word not in self._words and word not in _MODIFIERS and word not in self.syntax.keywords
        return token.kind in ("text", "shell", "words", "number", "pattern")
