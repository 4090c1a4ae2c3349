"""Which texts could hold a transfer: a superset of what the reader understands, at a fraction of a microsecond a text.

The texts of a batch are joined by zero bytes and scanned once for all patterns of `sieve_patterns`; a match belongs to the text
in which it ends. Texts with a mark of hiding are scanned once more for the signs of it. Hyperscan does it where it is
installed, else Rust's regular expressions in Polars, else Python's own: all three give the same answer.
"""

from __future__ import annotations

import functools
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from tidewaiter.reading import sieve_patterns

Engine = Callable[[Sequence[str]], list[bool]]
JOINED = 4_000_000
"""Characters that are joined at most; a longer text is scanned alone, up to its first match."""
REMEMBERED = 50_000
"""Texts whose answer is remembered: most command lines of a host come again and again."""
_SHORT = 500

_LOOK_ALIKES = str.maketrans(
    {"\u212a": "k", "\u017f": "s", "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u201c": '"', "\u201d": '"',
     "\u201e": '"', "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-"}
)  # fmt: skip
"""Characters that the reader takes for others: the Kelvin sign in lower case, and PowerShell's quotes and dashes."""


class TextSieve:
    """Candidates by the names of utilities as whole words, and by signs of addresses and of hiding."""

    def __init__(self, engine: str | None = None) -> None:
        """`engine` is hyperscan, polars or re; None takes the fastest that is installed. Raises ImportError."""
        self._engine = ENGINES[engine]() if engine else _fastest()
        self._decided: dict[str, bool] = {}

    def candidates(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text could hold something to read, in order. Raises nothing on any text."""
        decided = self._decided
        if len(decided) > REMEMBERED:
            decided.clear()
        answers = list(map(decided.get, texts))
        if None not in answers:
            return answers  # type: ignore[return-value]
        new: dict[str, bool] = dict.fromkeys(
            [text for text, answer in zip(texts, answers, strict=True) if answer is None], False
        )
        for batch in _batches(list(new)):
            new.update(zip(batch, self._engine(batch), strict=True))
        decided.update(new if max(map(len, new)) < _SHORT else {text: new[text] for text in new if len(text) < _SHORT})
        return [new[text] if answer is None else answer for text, answer in zip(texts, answers, strict=True)]


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs that can be joined."""
    if sum(map(len, texts)) <= JOINED:
        yield texts
        return
    waiting: list[str] = []
    size = 0
    for text in texts:
        if waiting and size + len(text) > JOINED:
            yield waiting
            waiting, size = [], 0
        waiting.append(text)
        size += len(text)
    yield waiting


def _plain(text: str) -> str:
    """The text in ASCII, one character for each of it."""
    return text if text.isascii() else text.translate(_LOOK_ALIKES).encode("ascii", "replace").decode("ascii")


def _enclosed(text: str) -> str:
    return f"\0{_plain(text)}\0"


def _joined(texts: Sequence[str]) -> bytes:
    """Each text between zero bytes; a zero byte inside a text becomes a space."""
    joined = "\0".join(texts)
    if joined.count("\0") != len(texts) - 1:
        joined = "\0".join([text.replace("\0", " ") for text in texts])
    return f"\0{_plain(joined)}\0".encode("ascii")


@functools.cache
def _fastest() -> Engine:
    for engine in ENGINES.values():
        try:
            return engine()
        except ImportError:
            continue
    raise AssertionError("Python has its own re")


class _Database:
    """Patterns that Hyperscan has compiled. Raises ImportError where it is not installed."""

    def __init__(self, patterns: Sequence[str]) -> None:
        import hyperscan

        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[pattern.encode("ascii") for pattern in patterns],
            ids=[0] * len(patterns),
            flags=[hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL] * len(patterns),
        )
        self._new_scratch: Any = hyperscan.Scratch
        self._halted: type[Exception] = hyperscan.ScanTerminated
        self._own = threading.local()

    def rows(self, texts: Sequence[str]) -> set[int]:
        """The places of the texts in which a pattern is found."""
        ends: list[int] = []
        add = ends.append
        alone = len(texts) == 1

        def note(_number: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            add(end)
            return alone  # true ends the scan

        scratch: Any = getattr(self._own, "scratch", None)
        if scratch is None:
            scratch = self._own.scratch = self._new_scratch(self._database)
        try:
            self._database.scan(_joined(texts), match_event_handler=note, scratch=scratch)
        except self._halted:
            return {0}
        if not ends:
            return set()
        last = list(accumulate(map(len, texts), lambda place, length: place + length + 1, initial=0))
        return {bisect_left(last, end - 1, 1) - 1 for end in ends}  # the byte before `end` is the last one of the match


@functools.cache
def _hyperscan() -> Engine:
    """Two databases: the second is asked only where a mark stands and the first found nothing. Raises ImportError."""
    patterns = sieve_patterns.load()
    always, marked = _Database(patterns.always), _Database(patterns.marked)
    marks = _Database([rf"[{re.escape(patterns.marks)}][^\x00]*\x00"])

    def candidates(texts: Sequence[str]) -> list[bool]:
        found = always.rows(texts)
        asked = sorted(marks.rows(texts) - found)
        answers = [False] * len(texts)
        for place in found:
            answers[place] = True
        if asked:
            for place in marked.rows([texts[place] for place in asked]):
                answers[asked[place]] = True
        return answers

    return candidates


@functools.cache
def _polars() -> Engine:
    """Regular expressions over a column, in Rust. Raises ImportError where Polars is not installed."""
    import polars

    patterns = sieve_patterns.load()
    always = [_one(patterns.always[place : place + 24]) for place in range(0, len(patterns.always), 24)]
    marked = _one(patterns.marked)
    marks = f"[{re.escape(patterns.marks)}]"

    def candidates(texts: Sequence[str]) -> list[bool]:
        column = polars.Series([_enclosed(text) for text in texts], dtype=polars.String)
        found = column.str.contains(always[0])
        for expression in always[1:]:
            found |= column.str.contains(expression)
        asked = (~found & column.str.contains(marks)).arg_true()
        more = asked.filter(column.gather(asked).str.contains(marked))
        return found.scatter(more, True).to_list() if len(more) else found.to_list()

    return candidates


def _one(patterns: Sequence[str]) -> str:
    return "(?is)" + "|".join(f"(?:{pattern})" for pattern in patterns)


@functools.cache
def _plain_re() -> Engine:
    """Regular expressions, text by text."""
    patterns = sieve_patterns.load()
    always = re.compile(_one(patterns.always)).search
    marks = re.compile(f"[{re.escape(patterns.marks)}]").search
    marked = re.compile(_one(patterns.marked)).search

    def could(text: str) -> bool:
        return always(text) is not None or (marks(text) is not None and marked(text) is not None)

    return lambda texts: [could(_enclosed(text)) for text in texts]


ENGINES: dict[str, Callable[[], Engine]] = {"hyperscan": _hyperscan, "polars": _polars, "re": _plain_re}
"""The fastest first."""
