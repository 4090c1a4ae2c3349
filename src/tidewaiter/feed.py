"""What a feed is, the register of all of them, and what they share.

A feed brings lines in while they are written: from files that grow, standard input, syslog senders, brokers. It says where each
chunk of lines came from and where to go on after it; whoever uses the lines keeps that position together with what became of
them, so that after a kill at any moment nothing is lost and nothing is used twice.

To add one: a module in feeds/ with a class `Settings` and a class `Feed`, and one line below (docs/adding/feed.md).
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from tidewaiter.errors import MissingProgramError, UsageError
from tidewaiter.transport.secrets import refuse_inline

HEAD_BYTES = 65_536
"""How much of the beginning of an input a chunk brings along, for recognition by content."""

LONGEST_LINE = 1 << 20
"""Bytes of one line that are kept; the rest of a longer one is left off, counted and reported."""


class Chunk(msgspec.Struct, kw_only=True):
    """Whole lines, as they came from one log file.

    `data` may be empty: then only the position moves on (a log file was found, or came to its end), and it is committed like
    any other. A chunk with `finished` may be followed by a further one of its generation, with `finished` again, where a
    program wrote on in a file that had been rotated away.
    """

    log_file: str  # what evidence cites: path as given, "stdin", "syslog:udp:5514", "nats:SUBJECT", "kafka:TOPIC/0"
    first_line: int  # 1-based number of the first line of `data` within this generation
    data: bytes  # whole lines, each with LF; only the last one of a finished generation may lack it
    head: bytes  # the first up to HEAD_BYTES of the file; of what is no file: the first data
    position: dict[str, Any]  # JSON-able: where to go on after this chunk
    caught_up: bool  # nothing more was waiting when this was read
    received: int  # wall clock when it was read: microseconds since 1970 UTC
    generation: str  # changes when the log file is another one, after a rotation or truncation
    finished: bool  # the last chunk of this generation


ProblemKind = Literal["absent", "unreadable", "truncated", "lost", "cut", "damaged", "refused"]


class FeedProblem(msgspec.Struct, kw_only=True, frozen=True):
    """What went wrong with one input. Every text in it is safe for a terminal."""

    kind: ProblemKind
    log_file: str  # or the pattern or address that was asked for
    problem: str  # one sentence
    remedy: str  # what to do about it
    count: int = 0  # how many `unit` are concerned; 0 where nobody can know, or none
    unit: Literal["", "bytes", "lines", "messages", "connections"] = ""


class Feed(Protocol):
    """One `[[input]]`. Used by one thread; a feed may have threads of its own."""

    name: str  # for people: "files", "syslog udp://127.0.0.1:5514"

    def resume(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Called once, before the first poll: the last committed position of each log file; others' are passed over."""
        ...

    def poll(self, most: int) -> list[Chunk]:
        """What has come, about `most` bytes at most; [] where nothing has. Takes about 50 ms; raises no trouble of the input.

        Chunks of one log file come in order: a generation begins when the one before it is finished.
        """
        ...

    def poll_of(self, log_file: str, most: int, /) -> list[Chunk]:
        """The same for one log file that others wait for; a feed that cannot choose does as `poll` does."""
        ...

    def committed(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """What stands before these positions is safe: brokers are told, spools are pruned. Not called while polling."""
        ...

    def problems(self) -> list[FeedProblem]:
        """What went wrong since last asked."""
        ...

    def lag(self) -> int:
        """Bytes (of brokers: messages) that are known to be waiting."""
        ...

    def close(self) -> None:
        """Let go of descriptors, ports and threads. What was not committed comes again after the next start."""
        ...


class Entry(NamedTuple):
    """One line of the register. Modules are named, not imported: only the feed in use is loaded."""

    name: str  # what `type` in an [[input]] table takes
    module: str  # in feeds/
    says: str  # one line for people
    extra: str | None = None  # the extra of the package that it needs

    def load(self) -> Any:
        """The module: it has `Settings` and `Feed`."""
        return importlib.import_module(f"tidewaiter.feeds.{self.module}")


REGISTER: tuple[Entry, ...] = (
    Entry("files", "files", "files that grow: paths, patterns, folders; followed through rotation, truncation, compression"),
    Entry("stdin", "stdin", "standard input"),
    Entry("syslog", "syslog", "a syslog listener: UDP, TCP or TLS"),
    Entry("nats", "nats", "a subject of NATS JetStream", extra="nats"),
    Entry("kafka", "kafka", "topics of Apache Kafka", extra="kafka"),
)


def named(name: str) -> Entry:
    """The entry of that name; raises KeyError where there is none."""
    for entry in REGISTER:
        if entry.name == name:
            return entry
    raise KeyError(name)


class Surroundings(NamedTuple):
    """Where a feed finds itself."""

    state: Path  # an existing folder that is this feed's alone, for what it must keep over a restart
    base: Path = Path()  # what relative paths in the settings are relative to


def open_feed(table: Mapping[str, Any], surroundings: Surroundings) -> Feed:
    """The feed of one `[[input]]` table, not yet polled.

    Raises UsageError where the table says what cannot be, MissingProgramError where the extra is not installed.
    """
    refuse_inline(table)
    kind = table.get("type")
    try:
        entry = named(str(kind))
    except KeyError:
        raise UsageError(f"input: type {kind!r} is none of {', '.join(entry.name for entry in REGISTER)}") from None
    module = entry.load()
    try:
        settings = msgspec.convert({key: value for key, value in table.items() if key != "type"}, module.Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"input of type {entry.name}: {error}") from None
    try:
        feed: Feed = module.Feed(settings, surroundings)
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise MissingProgramError(
            f"input of type {entry.name} needs the package {error.name}: pip install 'tidewaiter[{entry.extra}]'"
        ) from None
    return feed


def now_micros() -> int:
    """The wall clock: microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class Problems:
    """Collects problems until they are asked for, from any thread. The same kind, input and text is one, and counts add up."""

    MOST = 1_000  # problems kept between two questions: hostile input decides how many there are

    def __init__(self, printable: Callable[[str], str]) -> None:
        self._printable = printable  # makes text safe for a terminal
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str, str], FeedProblem] = {}
        self._more = 0

    def add(self, kind: ProblemKind, log_file: str, problem: str, remedy: str, *, count: int = 0, unit: Any = "") -> None:
        """Report one; texts are made safe here."""
        key = (kind, log_file, problem)
        with self._lock:
            before = self._found.get(key)
            if before is None and len(self._found) >= self.MOST:
                self._more += 1
                return
            self._found[key] = FeedProblem(
                kind=kind,
                log_file=self._printable(log_file),
                problem=self._printable(problem),
                remedy=self._printable(remedy),
                count=count + (before.count if before else 0),
                unit=unit,
            )

    def take(self) -> list[FeedProblem]:
        """Everything since the last call."""
        with self._lock:
            found, self._found = list(self._found.values()), {}
            more, self._more = self._more, 0
        if more:
            text = f"{more:,} further problems are not listed"
            found.append(FeedProblem(kind="damaged", log_file="", problem=text, remedy="mend those that are listed first"))
        return found


class Cut(NamedTuple):
    """Whole lines taken off the front of what was read."""

    data: bytes  # whole lines, each with LF
    lines: int
    used: int  # bytes of the input that these lines, and what was left out, took
    skipping: bool  # the input breaks off inside a line whose rest is to be left out
    left_out: int  # bytes of lines longer than LONGEST_LINE
    long_lines: int  # how many of those began here
    nul: int  # NUL bytes at the beginnings of lines, which a crash or truncation leaves behind


def cut_lines(raw: bytes, *, skipping: bool = False, longest: int = LONGEST_LINE) -> Cut:
    """The whole lines at the front of `raw`, with what belongs to no line left out and counted.

    `skipping`: `raw` begins inside a line whose kept part was handed out already. A last line without LF stays in the input,
    unless it is longer than `longest` bytes: then its first `longest` are handed out as a line and `skipping` is true.
    """
    used = left_out = nul = long_lines = 0
    if skipping:
        end = raw.find(b"\n")
        if end < 0:
            return Cut(b"", 0, len(raw), True, len(raw), 0, 0)
        used, left_out = end + 1, end
    last = raw.rfind(b"\n") + 1
    whole = raw[used : max(last, used)]
    if b"\0" in whole or (len(whole) > longest and max(map(len, whole.split(b"\n"))) > longest):
        kept = []
        for line in whole[:-1].split(b"\n"):
            text = line.lstrip(b"\0")
            nul += len(line) - len(text)
            if len(text) > longest:
                left_out += len(text) - longest
                long_lines += 1
                text = text[:longest]
            kept.append(text)
        whole = b"\n".join(kept) + b"\n"
    lines = whole.count(b"\n")
    used = max(last, used)
    rest = raw[used:]
    if rest[:1] == b"\0":
        text = rest.lstrip(b"\0")
        if not text and len(rest) <= longest:  # nothing follows yet: these may be bytes that are still to be written
            return Cut(whole, lines, used, False, left_out, long_lines, nul)
        nul, used, rest = nul + len(rest) - len(text), used + len(rest) - len(text), text
    if len(rest) <= longest:
        return Cut(whole, lines, used, False, left_out, long_lines, nul)
    whole += rest[:longest] + b"\n"
    return Cut(whole, lines + 1, len(raw), True, left_out + len(rest) - longest, long_lines + 1, nul)
