"""Topics of Apache Kafka, each partition from its committed offset.

Partitions are assigned by us, not by the group: the offset that is committed with what became of the lines says where to go
on, which makes it exactly once in effect. The group's offsets at the broker are told afterwards, so that the usual tools see
how far we are. Offsets are not read back from there. One watch reads all partitions of its topics.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tidewaiter.errors import UsageError
from tidewaiter.feed import HEAD_BYTES, LONGEST_LINE, Chunk, FeedProblem, Problems, Surroundings, cut_lines, now_micros
from tidewaiter.output import printable
from tidewaiter.transport.secrets import Secret, read_secret

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

BATCH = 500
"""Messages taken at a time."""

LOOK = 60.0
"""Seconds between two looks for new partitions; five where none were found yet."""

Place = tuple[str, int]  # topic and partition


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The table `[[input]]` with `type = "kafka"`. Relative paths are relative to the settings file."""

    topics: tuple[str, ...]
    brokers: tuple[str, ...] = ("127.0.0.1:9092",)
    group: str = "tidewaiter"  # under which the broker is told how far we are
    from_end: bool = False  # at the first start, only what comes from now on
    waiting_bytes: int = 32 << 20  # of messages that are fetched and not handed out
    tls: bool = False
    ca_file: str = ""  # PEM; empty: the system's authorities
    certificate_file: str = ""  # PEM, to show who we are
    key_file: str = ""
    username: str = ""  # with a password: SASL
    mechanism: str = "SCRAM-SHA-512"
    password_file: str = ""
    password_env: str = ""

    def __post_init__(self) -> None:
        if not self.topics or not self.brokers or not all(self.topics) or not all(self.brokers):
            raise UsageError("input of type kafka: `topics` and `brokers` may not be empty")
        if self.mechanism not in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            raise UsageError("input of type kafka: `mechanism` is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
        if not 1 << 20 <= self.waiting_bytes <= 2 << 30:
            raise UsageError("input of type kafka: `waiting_bytes` is a number from 1,048,576 to 2,147,483,648")


class _Position(msgspec.Struct):
    version: int
    number: int  # of the generation: another one where a topic was made anew
    offset: int  # of the next message
    line: int  # lines handed out


class _Partition:
    """How far one partition was handed out."""

    def __init__(self, position: _Position | None) -> None:
        self.number = position.number if position is not None else 1
        self.next = position.offset if position is not None else -1  # -1: as the settings say
        self.line = position.line if position is not None else 0
        self.head = b""
        self.checked = position is None  # whether the first message was the one that was expected


class Feed:
    """One consumer of all partitions."""

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        from confluent_kafka import Consumer

        self.name = f"kafka {', '.join(settings.topics)}"
        self._settings = settings
        self._problems = Problems(printable)
        self._said: set[str] = set()
        options = _options(settings, surroundings, self._trouble)
        try:
            self._consumer: Consumer = Consumer(options)
        except Exception as error:  # noqa: BLE001 - the library raises its own kind for settings that it does not take
            raise UsageError(f"input {self.name}: {str(error)[:300]}") from None
        self._positions: dict[Place, _Position] = {}
        self._partitions: dict[Place, _Partition] = {}
        self._found: dict[Place, int] = {}  # by the thread that looks: where to begin without a position
        self._stop = threading.Event()
        self._looking = threading.Thread(target=self._look, name=self.name, daemon=True)
        self._first = True  # nothing was ever committed

    def resume(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Go on after what is committed."""
        for log_file, raw in positions.items():
            place = self._place(log_file)
            try:
                position = msgspec.convert(raw, _Position)
            except msgspec.ValidationError:
                continue
            if place is not None and position.version == 1:
                self._positions[place] = position
                self._first = False
        self._looking.start()

    def poll(self, most: int) -> list[Chunk]:
        """What has come, one chunk for each partition."""
        chunks = self._assign()
        by_place: dict[Place, list[Message]] = {}
        wait = 0.02
        while most > 0 and self._partitions:
            messages = self._consumer.consume(BATCH, wait)
            wait = 0.0
            for message in messages:
                error = message.error()
                if error is not None:
                    self._trouble(error)
                    continue
                by_place.setdefault((message.topic() or "", message.partition() or 0), []).append(message)
                most -= len(message.value() or b"") + 1
            if len(messages) < BATCH:
                break
        for place, found in by_place.items():
            chunks += self._chunks(place, found)
        if chunks:
            self._said.clear()
        return chunks

    def poll_of(self, _log_file: str, most: int, /) -> list[Chunk]:
        """As `poll`: it cannot choose."""
        return self.poll(most)

    def _chunks(self, place: Place, messages: list[Message]) -> list[Chunk]:
        """One chunk, or two where the topic was made anew in between."""
        partition = self._partitions[place]
        chunks: list[Chunk] = []
        payloads: list[bytes] = []
        for message in messages:
            offset = message.offset() or 0
            if not partition.checked:
                self._check(place, partition, offset)
            if 0 <= offset < partition.next:
                if payloads:
                    chunks.append(self._chunk(place, partition, payloads))
                    payloads = []
                partition.number, partition.line, partition.head = partition.number + 1, 0, b""
            partition.next = offset + 1
            payloads.append(message.value() or b"")
        chunks.append(self._chunk(place, partition, payloads))
        return chunks

    def _check(self, place: Place, partition: _Partition, offset: int) -> None:
        partition.checked = True
        if offset > partition.next:
            text = "the topic let go of messages before they were read, or they were control records"
            count = offset - partition.next
            self._problems.add("lost", _log_file(place), text, "let the topic keep more", count=count, unit="messages")

    def _chunk(self, place: Place, partition: _Partition, payloads: list[bytes]) -> Chunk:
        raw = b"".join(one.rstrip(b"\r\n") + b"\n" for one in payloads if one.strip(b"\r\n\0"))
        cut = cut_lines(raw)
        if cut.left_out:
            text = f"lines longer than {LONGEST_LINE:,} bytes were cut"
            self._problems.add("cut", _log_file(place), text, "find out what writes them", count=cut.left_out, unit="bytes")
        partition.head = partition.head or cut.data[:HEAD_BYTES]
        first = partition.line + 1
        partition.line += cut.lines
        position = _Position(version=1, number=partition.number, offset=partition.next, line=partition.line)
        return Chunk(
            log_file=_log_file(place),
            first_line=first,
            data=cut.data,
            head=partition.head,
            position=msgspec.to_builtins(position),
            caught_up=self._behind(place, partition) == 0,
            received=now_micros(),
            generation=f"{place[0]}/{place[1]} {partition.number}",
            finished=False,
        )

    def committed(self, positions: Mapping[str, dict[str, Any]]) -> None:
        """Tell the broker, for those who look there; it is not waited for."""
        from confluent_kafka import KafkaException, TopicPartition

        offsets = [
            TopicPartition(*place, int(raw["offset"]))
            for log_file, raw in positions.items()
            if (place := self._place(log_file)) is not None and place in self._partitions
        ]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._trouble(error.args[0])

    def problems(self) -> list[FeedProblem]:
        """What went wrong since last asked."""
        return self._problems.take()

    def lag(self) -> int:
        """Messages that wait at the broker, as far as it told, and those that were fetched and not handed out."""
        return sum(self._behind(place, partition) for place, partition in list(self._partitions.items()))

    def close(self) -> None:
        """Leave the brokers."""
        self._stop.set()
        if self._looking.is_alive():
            self._looking.join(timeout=15)
        self._consumer.close()

    def _behind(self, place: Place, partition: _Partition) -> int:
        """Messages after the one that was handed out last, by what the broker told last."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            marks = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
        except (KafkaException, RuntimeError):  # not known yet, or closed
            return 0
        return max(marks[1] - max(partition.next, marks[0], 0), 0) if marks is not None else 0

    def _place(self, log_file: str) -> Place | None:
        topic, _, number = log_file.removeprefix("kafka:").rpartition("/")
        if log_file.startswith("kafka:") and topic in self._settings.topics and number.isdecimal():
            return topic, int(number)
        return None

    def _look(self) -> None:
        """In a thread of its own, as brokers may not answer: find the partitions of the topics."""
        from confluent_kafka import KafkaException

        while not self._stop.is_set():
            missing = set(self._settings.topics)
            try:
                for topic in self._settings.topics:
                    about = self._consumer.list_topics(topic, timeout=5).topics[topic]
                    if about.error is None:
                        missing.discard(topic)
                        self._begin({(topic, number) for number in about.partitions} - self._found.keys())
            except KafkaException as error:
                self._trouble(error.args[0])
            else:
                for topic in missing:
                    text = f"there is no topic {topic}"
                    self._tell(text, "make it, or name another; it is looked for again")
            self._first = self._first and bool(missing)
            ends = time.monotonic() + (5.0 if missing else LOOK)
            while time.monotonic() < ends and not self._stop.wait(0.1):
                pass

    def _begin(self, places: set[Place]) -> None:
        """Note where new partitions begin: at the first start perhaps at their end. Raises KafkaException."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        for place in sorted(places):
            start = OFFSET_BEGINNING
            if self._settings.from_end and self._first and place not in self._positions:
                marks = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=5)
                start = marks[1] if marks is not None else OFFSET_BEGINNING
            self._found[place] = start

    def _assign(self) -> list[Chunk]:
        """Begin with partitions that were found; where that is not at their beginning, an empty chunk says where."""
        new = [(place, start) for place, start in list(self._found.items()) if place not in self._partitions]
        if not new:
            return []
        from confluent_kafka import TopicPartition

        wanted: list[TopicPartition] = []
        chunks: list[Chunk] = []
        for place, start in new:
            position = self._positions.get(place)
            if position is None and start >= 0:
                position = _Position(version=1, number=1, offset=start, line=0)
                self._partitions[place] = _Partition(position)
                chunks.append(self._chunk(place, self._partitions[place], []))
            self._partitions[place] = _Partition(position)
            wanted.append(TopicPartition(*place, position.offset if position is not None else start))
        self._consumer.incremental_assign(wanted)
        return chunks

    def _trouble(self, error: KafkaError) -> None:
        self._tell(f"cannot fetch: {error.str()[:200]}", "see to the brokers and the settings; it is tried again")

    def _tell(self, text: str, remedy: str) -> None:
        if text not in self._said and len(self._said) < 8:
            self._said.add(text)
            self._problems.add("unreadable", self.name, text, remedy)


def _log_file(place: Place) -> str:
    return f"kafka:{place[0]}/{place[1]}"


def _options(settings: Settings, surroundings: Surroundings, trouble: Any) -> dict[str, Any]:
    """What librdkafka takes. Raises UsageError."""

    def path(name: str) -> str:
        return str(surroundings.base / getattr(settings, name))

    base = surroundings.base
    password: Secret | None = read_secret(
        "password", base / settings.password_file if settings.password_file else None, settings.password_env
    )
    options: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.brokers),
        "group.id": settings.group,
        "client.id": "tidewaiter",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",  # a position that is no more: what there is, and it is said
        "queued.max.messages.kbytes": settings.waiting_bytes >> 10,
        "fetch.message.max.bytes": min(settings.waiting_bytes, 4 << 20),
        "error_cb": trouble,
        "log_level": 0,
    }
    tls = settings.tls or settings.ca_file or settings.certificate_file
    for option, name in (
        ("ssl.ca.location", "ca_file"),
        ("ssl.certificate.location", "certificate_file"),
        ("ssl.key.location", "key_file"),
    ):
        if getattr(settings, name):
            options[option] = path(name)
    if settings.username:
        if password is None:
            raise UsageError("input of type kafka: `username` needs password_file or password_env")
        options |= {
            "sasl.username": settings.username,
            "sasl.password": password.reveal(),
            "sasl.mechanism": settings.mechanism,
        }
    options["security.protocol"] = ("sasl_" if settings.username else "") + ("ssl" if tls else "plaintext")
    return options
