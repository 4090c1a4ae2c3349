"""A syslog listener: UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425) for messages of RFC 3164 and RFC 5424.

Senders do not repeat what they sent, so every line goes into a spool on disk before it is handed out and stays there until it
is committed: killing the process loses nothing that was received. The spool is written, not synced: power failure may lose the
last seconds. UDP itself may lose messages; those that we and the kernel drop are counted. The spool is bounded: while it is
full, TCP senders wait and UDP messages are dropped and counted.

By default it listens on loopback. Plain UDP and TCP have neither secrecy nor proof of who sends; across a network use TLS with
`client_ca_file`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tidewaiter.errors import UsageError
from tidewaiter.feed import Chunk, FeedProblem, Problems, Surroundings, now_micros
from tidewaiter.feeds.syslog.listening import Limits, Listener, listen
from tidewaiter.feeds.syslog.spool import SEGMENT, Place, Spool
from tidewaiter.output import printable

BLOCK = 1 << 18
"""Bytes of one chunk."""


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The table `[[input]]` with `type = "syslog"`. Relative paths are relative to the settings file."""

    listen: str = "udp://127.0.0.1:5514"  # udp://, tcp:// or tls://, address and port; without an address: loopback
    longest_message: int = 65_536  # bytes
    connections: int = 256  # TCP senders at once
    idle_seconds: float = 3_600.0  # after which a silent TCP sender is sent away
    spool_bytes: int = 256 << 20  # of lines that are not committed
    certificate_file: str = ""  # PEM, of tls:// only
    key_file: str = ""  # PEM without a password; empty: it is in the certificate's file
    client_ca_file: str = ""  # PEM: only senders with a certificate of this authority are heard

    def __post_init__(self) -> None:
        self.address()
        for name, least, largest in (
            ("longest_message", 480, 1 << 20),
            ("connections", 1, 10_000),
            ("idle_seconds", 1, 1_000_000),
            ("spool_bytes", 2 * SEGMENT, 1 << 40),
        ):
            if not least <= getattr(self, name) <= largest:
                raise UsageError(f"input of type syslog: `{name}` is a number from {least:,} to {largest:,}")
        if self.address()[0] == "tls" and not self.certificate_file:
            raise UsageError("input of type syslog: tls:// needs `certificate_file`")
        if self.address()[0] != "tls" and (self.certificate_file or self.key_file or self.client_ca_file):
            raise UsageError("input of type syslog: certificates are of use with tls:// only")

    def address(self) -> tuple[str, str, int]:
        """Scheme, host and port. Raises UsageError."""
        try:
            url = urlsplit(self.listen)
            host, port = url.hostname or "127.0.0.1", url.port
        except ValueError:
            url, host, port = urlsplit(""), "", None
        if url.scheme not in ("udp", "tcp", "tls") or port is None or url.path or url.query or url.username is not None:
            raise UsageError(f"input of type syslog: listen {self.listen!r} is not like udp://127.0.0.1:5514, tcp:// or tls://")
        return url.scheme, host, port


class Feed:
    """One port and its spool."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        scheme, host, port = settings.address()
        self.name = f"syslog {settings.listen}"
        self._problems = Problems(printable)
        tls = _server_context(settings, surroundings) if scheme == "tls" else None
        try:
            self._spool = Spool(surroundings.state, settings.spool_bytes)
        except OSError as error:
            raise UsageError(f"input {self.name}: {surroundings.state}: {error.strerror or error}") from None
        bound = listen(scheme, host, port, error=lambda reason: UsageError(f"input {self.name}: cannot listen: {reason}"))
        self.port: int = bound.getsockname()[1]  # what the system chose where the settings say 0
        self.log_file = f"syslog:{scheme}:{port or self.port}"
        limits = Limits(longest=settings.longest_message, connections=settings.connections, idle=settings.idle_seconds)
        self._listener = Listener(bound, self._spool, self._problems, self.log_file, limits, tls)

    def resume(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Go on after what is committed, and begin to listen."""
        position = _read(positions.get(self.log_file))
        if position is not None:
            self._spool.resume(*position)
        self._listener.start()

    def poll(self, most: int) -> list[Chunk]:
        """What has come, from the spool."""
        chunks: list[Chunk] = []
        while most > 0:
            found = self._spool.read(max(min(most, BLOCK), 1))
            if found is None:
                break
            data, place = found
            most -= len(data)
            chunks.append(self._chunk(data, place))
        return chunks

    def poll_of(self, _log_file: str, most: int, /) -> list[Chunk]:
        """As `poll`: it cannot choose."""
        return self.poll(most)

    def _chunk(self, data: bytes, place: Place) -> Chunk:
        return Chunk(
            log_file=self.log_file,
            first_line=place.line - data.count(b"\n") + 1,
            data=data,
            head=self._spool.head,
            position={"version": 1, "generation": self._spool.generation, **place._asdict()},
            caught_up=not self._spool.waiting(),
            received=now_micros(),
            generation=self._spool.generation,
            finished=False,
        )

    def committed(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Remove from the spool what is safe."""
        position = _read(positions.get(self.log_file))
        if position is not None and position[0] == self._spool.generation:
            self._spool.prune(position[1])

    def problems(self) -> list[FeedProblem]:
        """What went wrong since last asked."""
        return self._problems.take()

    def lag(self) -> int:
        """Bytes in the spool that were not handed out."""
        return self._spool.waiting()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        self._spool.close()


class _Position(msgspec.Struct):
    version: int
    generation: str
    segment: int
    offset: int
    line: int


def _read(raw: dict[str, Any] | None) -> tuple[str, Place] | None:
    try:
        position = msgspec.convert(raw, _Position)
    except msgspec.ValidationError:
        return None
    return (position.generation, Place(position.segment, position.offset, position.line)) if position.version == 1 else None


def _server_context(settings: Settings, surroundings: Surroundings) -> ssl.SSLContext:
    certificate = surroundings.base / settings.certificate_file
    key = surroundings.base / settings.key_file if settings.key_file else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # a key with a password would make OpenSSL ask at the terminal: answer instead, with what opens no key
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        raise UsageError(f"input of type syslog: certificate_file {certificate}, key_file {key}: {_why(error)}") from None
    if settings.client_ca_file:
        authority = surroundings.base / settings.client_ca_file
        try:
            context.load_verify_locations(authority)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"input of type syslog: client_ca_file {authority}: {_why(error)}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"is no PEM file as needed, or its key has a password ({error.reason or 'unreadable'})"
    return (error.strerror if isinstance(error, OSError) else None) or "cannot be read"
