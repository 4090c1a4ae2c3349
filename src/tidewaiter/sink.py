"""What a sink is, the register of all of them, and what they share: settings, the JSON record, dead letters.

A sink tells one place (a terminal, a file, a server) what a running watch finds. It is given deliveries in the order of the
outbox, each at least once: the same delivery may come again after a failure or a restart, so a sink hands on the transfer's id
and revision, by which the receiver tells a repetition from news. To add one: a module in sinks/ with classes `Settings` and
`Sink`, and one line below (docs/adding/sink.md).
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, TextIO

import msgspec

from tidewaiter.errors import SinkError, UsageError
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import SEVERITIES, Severity, Transfer
from tidewaiter.transport.secrets import Secret, read_secret, refuse_inline

Change = Literal["new", "update", "withdrawn"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the outbox: a transfer as it is after one change."""

    sequence: int  # number in the outbox; grows, may have gaps
    id: str  # of the transfer: the idempotency key, together with the revision
    revision: int  # 1 = first
    change: Change
    transfer: Transfer | None  # None when withdrawn
    superseded_by: str | None = None  # id of the transfer that a withdrawn one went into
    at: int  # when the change was stored, in microseconds since 1970 UTC
    highest: Severity | None = None  # highest severity of all its revisions so far, where the outbox knows it


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every `[[sink]]` table may say; each sink adds its own."""

    type: str  # name of the register
    name: str = ""  # how status, metrics and cursors call it; empty: its type
    min_severity: Severity = "informational"
    dead_letter_file: str = ""  # empty: <name>.dead-letters.jsonl in the folder of the state


class Surroundings(NamedTuple):
    """Where a sink finds itself."""

    name: str
    base: Path = Path()  # what relative paths in the settings are relative to: the folder of the settings file
    stream: TextIO | None = None  # what the terminal sink writes to; None: standard output

    def path(self, text: str) -> Path | None:
        """A path of the settings; None where it is empty."""
        return self.base / Path(text).expanduser() if text else None

    def secret(self, settings: Settings, name: str) -> Secret | None:
        """The secret of the settings `<name>_file` or `<name>_env`, or None. Raises UsageError."""
        return read_secret(name, self.path(getattr(settings, f"{name}_file")), getattr(settings, f"{name}_env"))


class Sink(Protocol):
    """One place that is told of transfers, by one thread. Its constructor raises UsageError and connects to nothing."""

    name: str
    batch: int  # how many deliveries it wants at a time, at most

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Tell them all, in order, and return only when the receiver has them. Raises SinkError when it could not.

        All or nothing as the caller sees it: after an error the whole batch comes again, or, where the error says that trying
        again is useless, comes again in parts until the one that cannot be told is found.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. Never raises."""
        ...


class Entry(NamedTuple):
    """One line of the register. Modules are named, not imported: only the sinks in use are loaded."""

    name: str  # what `type` in the settings takes
    module: str  # in sinks/
    says: str  # one line for people

    def load(self) -> ModuleType:
        """The module, with its `Settings` and `Sink`."""
        return importlib.import_module(f"tidewaiter.sinks.{self.module}")


REGISTER: tuple[Entry, ...] = (
    Entry("terminal", "terminal", "one line per change, for a person who watches"),
    Entry("jsonl", "jsonl", "one JSON object per line in a file that is rotated"),
    Entry("webhook", "webhook", "one signed HTTP request per change"),
    Entry("syslog", "syslog", "RFC 5424 or CEF over UDP, TCP or TLS"),
    Entry("kafka", "kafka", "messages keyed by the transfer's id"),
    Entry("elasticsearch", "elasticsearch", "documents of an Elasticsearch or OpenSearch index"),
)


def named(name: str) -> Entry:
    """The entry of that name; raises KeyError where there is none."""
    for entry in REGISTER:
        if entry.name == name:
            return entry
    raise KeyError(name)


class Outlet(NamedTuple):
    """A sink with what its courier must know about it."""

    name: str
    sink: Sink
    minimum: Severity
    dead_letters: DeadLetters

    def wants(self, delivery: Delivery) -> bool:
        """Whether the sink is to be told: what has its severity now or had it in an earlier revision; what is withdrawn."""
        if delivery.transfer is None:
            return delivery.highest is None or _rank(delivery.highest) >= _rank(self.minimum)
        return max(_rank(delivery.transfer.severity), _rank(delivery.highest)) >= _rank(self.minimum)


def _rank(severity: Severity | None) -> int:
    return -1 if severity is None else SEVERITIES.index(severity)


def opened(table: Mapping[str, Any], place: str, *, base: Path, state: Path, stream: TextIO | None = None) -> Outlet:
    """The sink that a `[[sink]]` table describes. `place` names the table for people, such as `watch.toml: sink 2`.

    Relative paths are relative to `base`; dead letters without a path go to the folder `state`. Raises UsageError.
    """
    try:
        return _opened(table, base, state, stream)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _opened(table: Mapping[str, Any], base: Path, state: Path, stream: TextIO | None) -> Outlet:
    try:
        entry = named(str(table.get("type", "")))
    except KeyError:
        raise UsageError(f"type: must be one of {', '.join(entry.name for entry in REGISTER)}") from None
    refuse_inline(table)
    module = entry.load()
    try:
        settings: Settings = msgspec.convert(dict(table), module.Settings)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at ")
        raise UsageError(f"{where.strip('`').removeprefix('$.') or entry.name}: {problem}") from None
    name = settings.name or entry.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise UsageError("name: letters, digits, dots, hyphens and underscores only, 64 at most")
    here = Surroundings(name, base, stream)
    letters = here.path(settings.dead_letter_file) or state / f"{name}.dead-letters.jsonl"
    return Outlet(name, module.Sink(settings, here), settings.min_severity, DeadLetters(letters))


def record(delivery: Delivery) -> dict[str, Any]:
    """A delivery as plain values: its own fields beside those of the transfer, of which a withdrawn one has only the id."""
    told: dict[str, Any] = {
        "change": delivery.change,
        "revision": delivery.revision,
        "superseded_by": delivery.superseded_by,
        "sequence": delivery.sequence,
        "at": render_time(delivery.at),
        "id": delivery.id,
    }
    if delivery.transfer is not None:
        told |= msgspec.to_builtins(delivery.transfer)
    return told


def encoded(value: Any) -> bytes:
    """JSON on one line in ASCII: nothing in it moves a cursor or hides. Half surrogate pairs become question marks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()
    return _NOT_PLAIN.sub(_escaped, text).encode("ascii")


_NOT_PLAIN = re.compile(r"[^ -~]")


def _escaped(match: re.Match[str]) -> str:
    """The JSON escape of one character. Outside strings JSON is ASCII, so a match is always inside one."""
    return json.dumps(match[0])[1:-1]


class DeadLetters:
    """The file of what a sink can never be told: one JSON object per line with the reason, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, delivery: Delivery, reason: str) -> None:
        """Write one delivery to the disk. Raises SinkError (retry) where that fails: it is then still in the outbox."""
        line = encoded({"reason": reason, "delivery": record(delivery)}) + b"\n"
        try:
            with self._lock:
                self._append(line)
        except OSError as error:
            raise SinkError(f"dead letters: {self.path}: {error.strerror or 'cannot be written'}", retry=True) from None

    def _append(self, line: bytes) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.path, flags, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    line = b"\n" + line  # what a crash left of a line stays on a line of its own
            try:
                rest = memoryview(line)
                while rest:  # the rest of a write that went in half says why
                    written = file.write(rest)
                    if not written:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    rest = rest[written:]
                os.fsync(descriptor)
            except OSError:
                file.truncate(size)
                raise
