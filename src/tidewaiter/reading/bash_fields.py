"""The fields (arguments) that one shell word becomes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidewaiter.reading.invocation import Invocation, Word


class Fields:
    """Collects the fields that one word becomes."""

    def __init__(self) -> None:
        self.done: list[Word] = []
        self._parts: list[str] = []
        self._content: list[Invocation] = []
        self._known = True
        self._present = False

    def add(self, text: str, *, known: bool = True, content: Sequence[Invocation] = (), quoted: bool = True) -> None:
        """Add a part of the present field; a quoted part makes a field even where it is empty."""
        self._parts.append(text)
        self._content += content
        self._known = self._known and known
        self._present = self._present or quoted or bool(text)

    def split(self, word: Word, separators: str) -> None:
        """Add the value of an unquoted expansion, cut at the field separators."""
        if word.content or "$(" in word.text or "`" in word.text or not separators:
            self.add(word.text, known=word.known, content=word.content, quoted=False)
            return
        pieces = re.split(f"[{re.escape(separators)}]+", word.text)
        for number, piece in enumerate(pieces):
            if number:
                self.finish()
            if piece:
                self.add(piece, known=word.known, quoted=False)

    def finish(self) -> None:
        """End the present field."""
        if self._present:
            self.done.append(Word("".join(self._parts), tuple(self._content), self._known))
        self._parts, self._content, self._known, self._present = [], [], True, False


def joined(words: Sequence[Word], separator: str = " ") -> Word:
    """Several words as one, with the content of all."""
    if len(words) == 1:
        return words[0]
    content = tuple(invocation for word in words for invocation in word.content)
    return Word(separator.join(word.text for word in words), content, all(word.known for word in words))
