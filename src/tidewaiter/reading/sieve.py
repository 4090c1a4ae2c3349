"""Which texts could hold a transfer: a superset of what the reader understands, at a few microseconds a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidewaiter.catalog import utilities

DECIDED_KEPT = 20_000
"""Texts whose answer is remembered: most command lines of a host come again and again."""

_WORD = re.compile(r"[\w-]+")
_SIGNS = (
    "^", "`", "://", '""', "''", "\"'", "'\"", "/dev/tcp/", "/dev/udp/", "\\x", "-join", "[char]", "frombase64",
    "iex", "invoke-", "downloads", "downloadf", "downloadd",
)  # fmt: skip
_GUARDED = (
    ("%", re.compile(r"%\w+:~")),
    ("!", re.compile(r"!\w+!")),
    ("$", re.compile(r"\$\{?ifs|\$\w+\s*=")),
    ("\\\\", re.compile(r"\\\\[\w$.@-]+\\")),
    ("@", re.compile(r"@[\w.-]+\.\w+")),
    ("-f", re.compile(r"-f\s*['\"(]")),
    (".", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")),
)
"""Signs that need a pattern, each behind a text that must be there at all: looking for that is far cheaper."""
_CODED = re.compile(r"[a-z0-9+/]+")
_CODED_LENGTH = 40


class TextSieve:
    """Candidates by the names of utilities as whole words, and by cheap signs of addresses and of hiding."""

    def __init__(self) -> None:
        words = (_WORD.findall(name.lower()) for name in utilities.load().by_name)
        self._names = frozenset(found[0] for found in words if found)  # of names with other characters the first word
        self._decided: dict[str, bool] = {}

    def candidates(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text could hold something to read."""
        decided = self._decided
        if len(decided) > DECIDED_KEPT:
            decided.clear()
        answers = []
        for text in texts:
            answer = decided.get(text)
            if answer is None:
                answer = self._could(text.lower())
                if len(text) < 500:
                    decided[text] = answer
            answers.append(answer)
        return answers

    def _could(self, text: str) -> bool:
        if not text:
            return False
        for sign in _SIGNS:
            if sign in text:
                return True
        if not self._names.isdisjoint(_WORD.findall(text)):
            return True
        for guard, pattern in _GUARDED:
            if guard in text and pattern.search(text):
                return True
        return len(text) >= _CODED_LENGTH and max(map(len, _CODED.findall(text)), default=0) >= _CODED_LENGTH
