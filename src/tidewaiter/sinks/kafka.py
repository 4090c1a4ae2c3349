"""Messages of a Kafka topic, keyed by the transfer's id, so that all revisions of it stay in order in one partition.

The value is the JSON record, also of a withdrawn transfer (no tombstone: consumers must learn where it went). The producer is
idempotent and waits for all replicas: its own retries repeat nothing. Needs the extra `kafka`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from tidewaiter import sink
from tidewaiter.errors import SinkError, UsageError
from tidewaiter.sink import Delivery, Surroundings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

OURS = (
    "enable.idempotence",
    "acks",
    "bootstrap.servers",
    "security.protocol",
    "sasl.",
    "ssl.",
    "plugin.",
    "message.timeout.ms",
)
"""Options of librdkafka (or beginnings of their names) that have settings of their own, or that would break a promise."""

NEVER = ("MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "INVALID_MSG", "INVALID_RECORD", "RECORD_LIST_TOO_LARGE")
"""Errors about the message itself: sending it again is useless."""


class Settings(sink.Settings, frozen=True, kw_only=True):
    """`type = "kafka"`."""

    brokers: tuple[str, ...]  # name:port
    topic: str
    tls: bool = False
    ca_file: str = ""  # PEM of the only authorities to trust; empty: the system's
    certificate_file: str = ""  # PEM, for brokers that want to know who we are
    key_file: str = ""
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    timeout: float = 30.0  # seconds for a batch
    options: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)  # of librdkafka; nothing secret


class Sink:
    """`type = "kafka"`."""

    batch = 200

    def __init__(self, settings: Settings, here: Surroundings) -> None:
        try:
            import confluent_kafka
        except ImportError:
            raise UsageError("confluent-kafka is not installed: pip install 'tidewaiter[kafka]'") from None
        self.name = here.name
        self._library = confluent_kafka
        self._topic, self._timeout = settings.topic, settings.timeout
        self._password = here.secret(settings, "password")
        self._options = _options(settings, here, with_password=self._password is not None)
        self._where = f"kafka: topic {settings.topic}"
        self._trouble = ""
        self._producer: Producer | None = None
        self._producer = self._made()  # librdkafka says here what is wrong with the options; it connects in the background

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Produce them and wait until all replicas have them. Raises SinkError."""
        errors: list[KafkaError] = []

        def done(error: KafkaError | None, message: Message) -> None:  # noqa: ARG001 - librdkafka gives both
            if error is not None:
                errors.append(error)

        end = time.monotonic() + self._timeout + 5
        try:
            if self._producer is None:
                self._producer = self._made()
            for delivery in batch:
                self._produce(self._producer, delivery, done, end)
            left = self._producer.flush(max(0.1, end - time.monotonic()))
        except UsageError as error:  # a file that was there at the start is gone
            raise SinkError(f"{self._where}: {error}", retry=True) from None
        except self._library.KafkaException as error:
            left = 0
            errors.insert(0, error.args[0])
        if left or errors:
            raise self._failure(errors)

    def close(self) -> None:
        """Give up what was not delivered and close all connections."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0.5)
            self._producer = None

    def _made(self) -> Producer:
        silent = logging.getLogger("tidewaiter.kafka")  # librdkafka would write to standard error
        silent.addHandler(logging.NullHandler())
        silent.propagate = False
        hidden = {} if self._password is None else {"sasl.password": self._password.reveal()}
        try:
            return self._library.Producer(self._options | hidden | {"error_cb": self._note}, logger=silent)
        except self._library.KafkaException as error:
            raise UsageError(f"options: {error.args[0].str()}") from None

    def _note(self, error: KafkaError) -> None:
        self._trouble = error.str()

    def _produce(self, producer: Producer, delivery: Delivery, done: Any, end: float) -> None:
        headers: list[tuple[str, str | bytes | None]] = [
            ("change", delivery.change.encode()),
            ("revision", str(delivery.revision).encode()),
        ]
        while True:
            try:
                producer.produce(
                    self._topic,
                    key=delivery.id.encode("utf-8", "replace"),
                    value=sink.encoded(sink.record(delivery)),
                    headers=headers,
                    on_delivery=done,
                )
            except BufferError:  # librdkafka's queue is full: let it work
                if time.monotonic() > end:
                    raise SinkError(f"{self._where}: no answer in time", retry=True) from None
                producer.poll(0.1)
            else:
                producer.poll(0)
                return

    def _failure(self, errors: Sequence[KafkaError]) -> SinkError:
        """The error that says what became of a batch. A producer that is beyond repair is replaced at the next try."""
        never = [error for error in errors if error.name() in NEVER]
        if len(never) != len(errors) or not errors:
            self.close()
        if never:
            return SinkError(f"{self._where}: {never[0].str()}", retry=False)
        said = errors[0].str() if errors else "no answer in time"
        return SinkError(f"{self._where}: {said}{f' ({self._trouble})' if self._trouble else ''}", retry=True)


def _options(settings: Settings, here: Surroundings, *, with_password: bool) -> dict[str, Any]:
    """What librdkafka is given beside the password. Raises UsageError."""
    if not settings.brokers or not settings.topic:
        raise UsageError("brokers and topic must not be empty")
    if not 1 <= settings.timeout <= 600:
        raise UsageError("timeout: must be 1 to 600 seconds")
    for name in settings.options:
        if name.startswith(OURS):
            raise UsageError(f"options.{name}: has a setting of its own, or would break what this sink promises")
    if with_password != bool(settings.username):
        raise UsageError("username and password_file (or password_env) go together")
    if with_password and settings.mechanism == "PLAIN" and not settings.tls:
        raise UsageError('mechanism: "PLAIN" would send the password readable; set tls = true')
    chosen: dict[str, Any] = {
        **settings.options,
        "bootstrap.servers": ",".join(settings.brokers),
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": int(settings.timeout * 1_000),
        "security.protocol": ("SASL_" if with_password else "") + ("SSL" if settings.tls else "PLAINTEXT"),
    }
    if with_password:
        chosen |= {"sasl.mechanism": settings.mechanism, "sasl.username": settings.username}
    return chosen | _tls(settings, here)


def _tls(settings: Settings, here: Surroundings) -> dict[str, Any]:
    files = {
        "ssl.ca.location": settings.ca_file,
        "ssl.certificate.location": settings.certificate_file,
        "ssl.key.location": settings.key_file,
    }
    named = {name: str(path) for name, text in files.items() if (path := here.path(text)) is not None}
    if named and not settings.tls:
        raise UsageError("ca_file, certificate_file and key_file need tls = true")
    return named
