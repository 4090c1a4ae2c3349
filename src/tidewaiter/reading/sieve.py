"""Which texts could hold a transfer: a superset of what the reader understands, at a fraction of a microsecond a text.

Texts are taken in lower case with 0 for every digit, so that lines which differ in numbers only are one, and remembered.
Those that are new are joined by zero bytes and scanned once for all patterns of `sieve_patterns`; a match belongs to the text
in which it ends. Where a mark of hiding stands, they are scanned once more for the signs of it. Hyperscan does it where it
is installed, else Rust's regular expressions in Polars, else Python's own: all three give the same answer.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tidewaiter.catalog import kept
from tidewaiter.reading import sieve_patterns

Engine = Callable[[Sequence[bytes]], list[bool]]
"""Which of several texts, all different, could hold something."""
JOINED = 4_000_000
"""Characters that are joined at most; a longer text is scanned alone, up to its first match."""
FEW = 400
"""Distinct texts that are read without a sieve: compiling one costs as much as reading so many."""
MANY = 400_000
"""Distinct texts from which on Hyperscan's compilation (0.7 s more than the regular expressions') is earned back."""
REMEMBERED = 50_000
"""Texts whose answer is remembered: most command lines of a host come again and again."""
_DATABASES = ("sieve-first", "sieve-second")
_SOURCES = (
    "knowledge/utilities",
    "knowledge/languages",
    "knowledge/signs.toml",
    "knowledge/powershell.toml",
    "catalog",
    "reading/sieve.py",
    "reading/sieve_patterns.py",
    "reading/sessions.py",
)
_SHORT = 500
_TOGETHER = 60
_APART = 12
"""Patterns in one regular expression: with more, Rust's automaton outgrows its cache and starts over and over."""

_LOOK_ALIKES = str.maketrans(
    {"\u212a": "k", "\u017f": "s", "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u201c": '"', "\u201d": '"',
     "\u201e": '"', "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-"}
)  # fmt: skip
"""Characters that the reader takes for others: the Kelvin sign in lower case, and PowerShell's quotes and dashes."""
_ALIKE = bytes(ord("0") if byte in b"0123456789" else ord(chr(byte).lower()) if byte < 128 else byte for byte in range(256))


class TextSieve:
    """Candidates by the names of utilities as whole words, and by signs of addresses and of hiding."""

    def __init__(self, engine: str | None = None) -> None:
        """`engine` is hyperscan, polars or re; None takes what an earlier run kept, or what pays for the texts so far.

        Raises ImportError where a named one is not installed.
        """
        self._engine = ENGINES[engine]() if engine else _at_hand()
        self._seen = 0
        self._few: set[int] | None = set()  # hashes of the first distinct texts as they are spelled, while no engine is made
        self._decided: dict[bytes, bool] = {}

    def candidates(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text could hold something to read, in order. Raises nothing on any text."""
        if len(self._decided) > REMEMBERED:
            self._decided.clear()
        if not texts:
            return []
        if self._few is not None and self._engine is None:
            self._count(texts, self._few)
        joined = "\0".join(texts)
        if len(joined) <= JOINED:
            return self._answers(_plain(joined, texts))
        del joined
        return [answer for batch in _batches(texts) for answer in self._answers(_plain("\0".join(batch), batch))]

    def _answers(self, plain: list[bytes]) -> list[bool]:
        decided = self._decided
        known = list(map(decided.get, plain))
        if None not in known:
            return known  # type: ignore[return-value]  # no answer is None
        new = list(dict.fromkeys([text for text, answer in zip(plain, known, strict=True) if answer is None]))
        decided.update(zip(new, self._chosen(len(new))(new), strict=True))
        answers = [decided[text] for text in plain]
        for text in new:
            if len(text) >= _SHORT:
                del decided[text]
        return answers

    def _count(self, texts: Sequence[str], few: set[int]) -> None:
        """Lines that differ in numbers are one to the sieve, but each is read: what passed unseen is asked again beyond FEW."""
        few.update(map(hash, texts))
        if len(few) > FEW:
            self._few = None
            self._seen = max(self._seen, FEW)
            self._decided.clear()

    def _chosen(self, more: int) -> Engine:
        """Few texts pass unseen, since the reader is quicker with them than any engine is made; very many pay for Hyperscan."""
        if self._engine is not None:
            return self._engine
        self._seen += more
        if self._seen <= FEW:
            return _pass
        return _first_of("polars", "hyperscan", "re") if self._seen <= MANY else _first_of("hyperscan", "polars", "re")


def _pass(texts: Sequence[bytes]) -> list[bool]:
    return [True] * len(texts)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs that can be joined."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        if waiting and size + len(text) > JOINED:
            yield waiting
            waiting, size = [], 0
        waiting.append(text)
        size += len(text)
    yield waiting


def _plain(joined: str, texts: Sequence[str]) -> list[bytes]:
    """The texts in ASCII and lower case, one byte a character, with 0 for every digit and a space for a zero byte."""
    if joined.count("\0") != len(texts) - 1:
        joined = "\0".join([text.replace("\0", " ") for text in texts])
    if not joined.isascii():
        joined = joined.translate(_LOOK_ALIKES)
    return joined.encode("ascii", "replace").translate(_ALIKE).split(b"\0")


@functools.cache
def _first_of(*names: str) -> Engine:
    for name in names:
        try:
            return ENGINES[name]()
        except ImportError:
            continue
    raise AssertionError("Python has its own re")


class _Database:
    """Groups of patterns that Hyperscan has compiled."""

    def __init__(self, database: Any) -> None:
        import hyperscan

        self._database = database
        self._new_scratch: Any = hyperscan.Scratch
        self._halted: type[Exception] = hyperscan.ScanTerminated
        self._own = threading.local()

    def rows(self, texts: Sequence[bytes]) -> tuple[set[int], set[int]]:
        """The places of the texts in which a pattern of the first and of the second group is found."""
        first: list[int] = []
        second: list[int] = []
        add_first, add_second = first.append, second.append
        alone = len(texts) == 1

        def note(group: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            if group:
                add_second(end)
                return False
            add_first(end)
            return alone  # true ends the scan

        scratch: Any = getattr(self._own, "scratch", None)
        if scratch is None:
            scratch = self._own.scratch = self._new_scratch(self._database)
        joined = b"\0" + b"\0".join(texts) + b"\0"
        try:
            self._database.scan(joined, match_event_handler=note, scratch=scratch)
        except self._halted:
            return {0}, set()
        return _rows(joined, first), _rows(joined, second)


def _rows(joined: bytes, ends: list[int]) -> set[int]:
    """The places of the texts in which matches end: the zero bytes in front of the last byte of each, but for the first one."""
    rows: set[int] = set()
    row, counted = -1, 0
    for end in sorted(ends):
        if end - 1 > counted:
            row += joined.count(0, counted, end - 1)
            counted = end - 1
        rows.add(row)
    return rows


def _compiled(*groups: Sequence[str]) -> Any:
    """A database of groups of patterns; a match says the number of its group. Raises ImportError."""
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    expressions = [pattern.encode("ascii") for patterns in groups for pattern in patterns]
    database.compile(
        expressions=expressions,
        ids=[number for number, patterns in enumerate(groups) for _ in patterns],
        flags=[hyperscan.HS_FLAG_DOTALL] * len(expressions),
    )
    return database


def _key() -> str:
    """What the databases depend on: all knowledge of programs and languages, the code that makes patterns, Hyperscan."""
    import hyperscan

    return f"{kept.shipped(*_SOURCES)}-{getattr(hyperscan, '__version__', 0)}"


def _recalled() -> list[Any] | None:
    """The databases that an earlier run kept, None where there are none for this machine. Raises ImportError."""
    import hyperscan

    databases: list[Any] = []
    for name in _DATABASES if kept.usable() else ():
        data = kept.recall(name, _key())
        if data is None:
            return None
        try:
            databases.append(hyperscan.loadb(data, hyperscan.HS_MODE_BLOCK))
        except hyperscan.error:  # made for a processor that this one is not
            return None
    return databases or None


def _made() -> list[Any]:
    """The databases, compiled now and kept. Raises ImportError."""
    import hyperscan

    patterns = sieve_patterns.load()
    marks = patterns.hints[-1] + r"[^\x00]*\x00"  # told once a text
    databases = [_compiled(patterns.always, [*patterns.hints[:-1], marks]), _compiled(patterns.asked)]
    for name, database in zip(_DATABASES, databases, strict=True) if kept.usable() else ():
        kept.keep(name, _key(), hyperscan.dumpb(database))
    return databases


@functools.cache
def _hyperscan() -> Engine:
    """Two databases: the second is asked where the first found only a hint. Raises ImportError."""
    return _asking(*map(_Database, _recalled() or _made()))


@functools.cache
def _at_hand() -> Engine | None:
    """Hyperscan's engine where its databases are kept from an earlier run: it costs nothing to have."""
    try:
        return _hyperscan() if _recalled() is not None else None
    except ImportError:
        return None


def prepare() -> None:
    """Have the fastest engine at hand, in this run and in those to come: worth its second where there is much to read."""
    with contextlib.suppress(ImportError):
        if kept.usable():
            _hyperscan()
            _at_hand.cache_clear()


def _asking(first: _Database, second: _Database) -> Engine:
    def candidates(texts: Sequence[bytes]) -> list[bool]:
        found, hinted = first.rows(texts)
        asked = sorted(hinted - found)
        answers = [False] * len(texts)
        for place in found:
            answers[place] = True
        if asked:
            for place in second.rows([texts[place] for place in asked])[0]:
                answers[asked[place]] = True
        return answers

    return candidates


@functools.cache
def _polars() -> Engine:
    """Regular expressions over a column, in Rust. Raises ImportError where Polars is not installed."""
    import polars

    patterns = sieve_patterns.load()
    always = [_rust(patterns.always[place : place + _TOGETHER]) for place in range(0, len(patterns.always), _TOGETHER)]
    hints = _rust(patterns.hints)
    asked = [_rust(patterns.asked[place : place + _APART]) for place in range(0, len(patterns.asked), _APART)]

    def candidates(texts: Sequence[bytes]) -> list[bool]:
        column = polars.Series([f"\0{text.decode()}\0" for text in texts], dtype=polars.String)
        found = column.str.contains(always[0])
        for expression in always[1:]:
            found |= column.str.contains(expression)
        places = (~found).arg_true()
        hinted = places.filter(column.gather(places).str.contains(hints))
        texts_hinted = column.gather(hinted)
        more = texts_hinted.str.contains(asked[0])
        for expression in asked[1:]:
            more |= texts_hinted.str.contains(expression)
        more = hinted.filter(more)
        return found.scatter(more, True).to_list() if len(more) else found.to_list()

    return candidates


def _one(patterns: Sequence[str]) -> str:
    return "(?s)" + "|".join(f"(?:{pattern})" for pattern in patterns)


_PIECE = re.compile(r"\\.|\[\^(?P<none>(?:\\.|[^\]\\])+)\]|\[(?P<some>(?:\\.|[^\]\\])+)\]", re.S)
_ASCII = {r"\w": "0-9a-z_", r"\s": r"\t-\r ", r"\d": "0-9"}


def _rust(patterns: Sequence[str]) -> str:
    """One expression whose classes hold ASCII only: with those of Unicode Rust's automaton grows until it is given up."""

    def narrow(match: re.Match[str]) -> str:
        piece = match[0]
        if piece in _ASCII:
            return f"[{_ASCII[piece]}]"
        inside = match["none"] or match["some"]
        if inside is None:
            return piece
        inside = re.sub(r"\\[wsd]", lambda inner: _ASCII[inner[0]], inside)
        return rf"[\x00-\x7f&&[^{inside}]]" if match["none"] else f"[{inside}]"

    return _one([_PIECE.sub(narrow, pattern) for pattern in patterns])


@functools.cache
def _plain_re() -> Engine:
    """Regular expressions, text by text."""
    always, hints, asked = (re.compile(_one(patterns)).search for patterns in sieve_patterns.load())

    def could(text: str) -> bool:
        return always(text) is not None or (hints(text) is not None and asked(text) is not None)

    return lambda texts: [could(f"\0{text.decode()}\0") for text in texts]


ENGINES: dict[str, Callable[[], Engine]] = {"hyperscan": _hyperscan, "polars": _polars, "re": _plain_re}
"""The fastest first."""
