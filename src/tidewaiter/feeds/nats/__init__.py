"""A subject of NATS JetStream, through a durable pull consumer that is ours alone.

The position is a sequence of the stream. After a start the consumer is made anew where the committed position ends, so that
what was handed out and not committed comes again at once and in order; what is committed and was not yet acknowledged is
passed over. A message is acknowledged when it is committed, and only then may a stream of work-queue or interest retention let
go of it. Two watches need two `durable` names.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from tidewaiter.errors import UsageError
from tidewaiter.feed import HEAD_BYTES, LONGEST_LINE, Chunk, FeedProblem, Problems, Surroundings, cut_lines, now_micros
from tidewaiter.feeds.nats.consuming import Arrived, Consumer, Login
from tidewaiter.output import printable
from tidewaiter.transport.secrets import read_secret
from tidewaiter.transport.tls import client_context


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The table `[[input]]` with `type = "nats"`. Relative paths are relative to the settings file."""

    subject: str  # may hold the wildcards of NATS
    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)  # tls:// for TLS
    stream: str = ""  # empty: the one that has the subject
    durable: str = "tidewaiter"  # name of the consumer
    from_end: bool = False  # at the first start, only what comes from now on
    waiting_bytes: int = 16 << 20  # of messages that are fetched and not handed out
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    token_file: str = ""
    token_env: str = ""
    credentials_file: str = ""  # as `nsc` writes it: JWT and key
    ca_file: str = ""  # PEM; empty: the system's authorities
    certificate_file: str = ""  # PEM, to show who we are
    key_file: str = ""

    def __post_init__(self) -> None:
        if not self.subject or not self.servers:
            raise UsageError("input of type nats: `subject` and `servers` may not be empty")
        if not self.durable.replace("-", "").replace("_", "").isalnum():
            raise UsageError("input of type nats: `durable` is letters, digits, - and _")
        if not 1 << 20 <= self.waiting_bytes <= 1 << 32:
            raise UsageError("input of type nats: `waiting_bytes` is a number from 1,048,576 to 4,294,967,296")


class _Position(msgspec.Struct):
    version: int
    generation: str  # when the stream was made
    sequence: int  # of the last message that was handed out
    line: int  # lines handed out


class Feed:
    """One consumer."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        import nats  # noqa: F401 - says at once where the extra is missing

        self.name = f"nats {settings.subject}"
        self.log_file = f"nats:{settings.subject}"
        self._problems = Problems(printable)
        self._lock = threading.Lock()
        self._arrived: deque[Arrived] = deque()
        self._bytes = 0
        self._most = settings.waiting_bytes
        self._generation, self._line, self._head = "", 0, b""
        login = _login(settings, surroundings)
        self._consumer = Consumer(
            login,
            subject=settings.subject,
            stream=settings.stream,
            durable=settings.durable,
            from_end=settings.from_end,
            problems=self._problems,
            log_file=self.log_file,
            take=self._take,
            has_room=self._has_room,
        )

    def resume(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Go on after what is committed, and begin to fetch."""
        try:
            position = msgspec.convert(positions.get(self.log_file), _Position)
        except msgspec.ValidationError:
            position = None
        if position is not None and position.version == 1:
            self._generation, self._line = position.generation, position.line
            self._consumer.start(position.generation, position.sequence)
        else:
            self._consumer.start("", 0)

    def poll(self, most: int) -> list[Chunk]:
        """What was fetched, as one chunk; a stream that was made anew begins another."""
        chunks: list[Chunk] = []
        while most > 0:
            taken: list[Arrived] = []
            with self._lock:
                while self._arrived and most > 0 and (not taken or self._arrived[0].generation == taken[0].generation):
                    one = self._arrived.popleft()
                    taken.append(one)
                    self._bytes -= len(one.payload)
                    most -= len(one.payload) + 1
                more = bool(self._arrived)
            if not taken:
                break
            chunks.append(self._chunk(taken, more))
        return chunks

    def poll_of(self, _log_file: str, most: int, /) -> list[Chunk]:
        """As `poll`: it cannot choose."""
        return self.poll(most)

    def _chunk(self, taken: list[Arrived], more: bool) -> Chunk:
        if taken[0].generation != self._generation:
            self._generation, self._line, self._head = taken[0].generation, 0, b""
        raw = b"".join(one.payload.rstrip(b"\r\n") + b"\n" for one in taken if one.payload.strip(b"\r\n\0"))
        cut = cut_lines(raw)
        if cut.left_out:
            text = f"lines longer than {LONGEST_LINE:,} bytes were cut"
            self._problems.add("cut", self.log_file, text, "find out what writes them", count=cut.left_out, unit="bytes")
        self._head = self._head or cut.data[:HEAD_BYTES]
        first = self._line + 1
        self._line += cut.lines
        position = _Position(version=1, generation=self._generation, sequence=taken[-1].sequence, line=self._line)
        return Chunk(
            log_file=self.log_file,
            first_line=first,
            data=cut.data,
            head=self._head,
            position=msgspec.to_builtins(position),
            caught_up=not more and not taken[-1].pending,
            received=now_micros(),
            generation=self._generation,
            finished=False,
        )

    def committed(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Acknowledge what is committed."""
        position = positions.get(self.log_file)
        if position is not None:
            self._consumer.acknowledge(str(position.get("generation")), int(position.get("sequence", 0)))

    def problems(self) -> list[FeedProblem]:
        """What went wrong since last asked."""
        return self._problems.take()

    def lag(self) -> int:
        """Messages that wait here and, as far as the last one told, in the stream."""
        with self._lock:
            return len(self._arrived) + (self._arrived[-1].pending if self._arrived else self._consumer.pending)

    def close(self) -> None:
        """Leave the server; the consumer stays there and holds our place."""
        self._consumer.close()

    def _take(self, arrived: list[Arrived]) -> None:
        with self._lock:
            self._arrived += arrived
            self._bytes += sum(len(one.payload) for one in arrived)

    def _has_room(self) -> bool:
        with self._lock:
            return self._bytes < self._most and len(self._arrived) < 100_000


def _login(settings: Settings, surroundings: Surroundings) -> Login:
    def path(name: str) -> Any:
        return surroundings.base / getattr(settings, name) if getattr(settings, name) else None

    password = read_secret("password", path("password_file"), settings.password_env)
    token = read_secret("token", path("token_file"), settings.token_env)
    wants_tls = settings.ca_file or settings.certificate_file or any(one.startswith("tls://") for one in settings.servers)
    tls = client_context(path("ca_file"), path("certificate_file"), path("key_file")) if wants_tls else None
    credentials = path("credentials_file")
    if credentials is not None and not credentials.is_file():
        raise UsageError(f"credentials_file: {credentials}: is no file")
    return Login(list(settings.servers), settings.username, password, token, credentials, tls)
