"""The thread that fetches: one connection, one consumer, messages in the order of the stream without a gap.

JetStream promises that every message is delivered, not in which order after a failure. Each delivery carries a number of its
own; where one is missing, the consumer is made anew, which brings back the order.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidewaiter.feed import Problems
from tidewaiter.transport.secrets import Secret

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js.client import JetStreamContext

BATCH = 256
"""Messages fetched at a time."""

WAIT = 0.25
"""Seconds that a fetch waits for more."""

UNCOMMITTED = 50_000
"""Messages that the server lets us have without acknowledging."""


class Login(NamedTuple):
    """How to get to the server."""

    servers: list[str]
    username: str
    password: Secret | None
    token: Secret | None
    credentials: Path | None
    tls: ssl.SSLContext | None

    def options(self) -> dict[str, Any]:
        """What the client library takes."""
        options: dict[str, Any] = {"servers": self.servers, "tls": self.tls, "user": self.username or None}
        options["password"] = self.password.reveal() if self.password is not None else None
        options["token"] = self.token.reveal() if self.token is not None else None
        options["user_credentials"] = str(self.credentials) if self.credentials is not None else None
        return {name: value for name, value in options.items() if value is not None}


class Arrived(NamedTuple):
    """One message."""

    generation: str
    sequence: int  # in the stream
    payload: bytes
    pending: int  # messages that wait in the stream after it


class _AnewError(Exception):
    """The consumer has to be made anew."""


class Consumer:
    """Fetches in a thread of its own until it is closed."""

    def __init__(
        self,
        login: Login,
        *,
        subject: str,
        stream: str,
        durable: str,
        from_end: bool,
        problems: Problems,
        log_file: str,
        take: Callable[[list[Arrived]], None],
        has_room: Callable[[], bool],
    ) -> None:
        self._login, self._subject, self._stream, self._durable = login, subject, stream, durable
        self._from_end, self._problems, self._log_file = from_end, problems, log_file
        self._take, self._has_room = take, has_room
        self._generation = ""
        self._last = 0  # sequence of the last message that was taken
        self._delivered = 0  # number of the last delivery
        self._committed = 0
        self._held: dict[int, Msg] = {}  # not acknowledged, by sequence
        self.pending = 0  # messages in the stream after the last one that came
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=log_file, daemon=True)

    def start(self, generation: str, sequence: int) -> None:
        """Begin after that message of that stream; with no generation, where the settings say."""
        self._generation, self._last, self._committed = generation, sequence, sequence
        self._thread.start()

    def close(self) -> None:
        """Leave the server."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)

    def acknowledge(self, generation: str, sequence: int) -> None:
        """Everything up to this message is committed. Acknowledging goes on in the background; what is missed comes again."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._note, generation, sequence)
            except RuntimeError:  # it was closed in between: the next start passes over what is committed
                return

    def _note(self, generation: str, sequence: int) -> None:
        if generation == self._generation:
            self._committed = max(self._committed, sequence)

    def _run(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        pause = 0.5
        said: set[str] = set()
        while not self._stop.is_set():
            before = self._last
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - whatever a server or the library does, it is reported and tried again
                text = f"cannot fetch: {type(error).__name__}: {str(error)[:200]}"
                if text not in said and len(said) < 8:
                    remedy = "see to the server and the settings; it is tried again"
                    self._problems.add("unreadable", self._log_file, text, remedy)
                said.add(text)
            if self._last != before:
                said.clear()
            pause = 0.5 if self._last != before else min(2 * pause, 15.0)
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.1)):
            if self._stop.is_set():
                return
            await asyncio.sleep(0.1)

    async def _session(self) -> None:
        import nats

        async def quiet(error: Exception) -> None:
            """The library would print a trace."""

        client = await nats.connect(
            **self._login.options(), name="tidewaiter", allow_reconnect=False, connect_timeout=5, error_cb=quiet
        )
        try:
            while not self._stop.is_set() and client.is_connected:
                try:
                    await self._consume(client)
                except _AnewError:
                    continue
        finally:
            try:
                await self._tell()
            finally:
                await client.close()

    async def _consume(self, client: Client) -> None:
        from nats.errors import TimeoutError as NothingCameError

        context = client.jetstream(timeout=10)
        subscription = await self._make(context)
        while not self._stop.is_set() and client.is_connected:
            await self._tell()
            if not self._has_room():
                await asyncio.sleep(0.05)
                continue
            try:
                messages = await subscription.fetch(BATCH, timeout=WAIT)
            except NothingCameError:
                continue
            self._accept(messages)

    async def _make(self, context: JetStreamContext) -> JetStreamContext.PullSubscription:
        """A consumer that begins after the last message that is committed; those that came already are passed over again."""
        from nats.js import api

        name = self._stream or await context.find_stream_name_by_subject(self._subject)
        info = await context.stream_info(name)
        generation = f"{name} {info.created.isoformat() if info.created else ''}"
        queue = info.config.retention == api.RetentionPolicy.WORK_QUEUE
        self._held.clear()  # they belong to a consumer, and perhaps a connection, that is no more
        if generation != self._generation:
            was_other, self._generation = bool(self._generation), generation
            self._last = info.state.last_seq if self._from_end and not was_other else 0
            self._committed = 0
            if self._last:
                self._take([Arrived(generation, self._last, b"", 0)])
        elif not queue and info.state.first_seq > self._last + 1:
            text = "the stream let go of messages before they were read"
            count = info.state.first_seq - self._last - 1 if info.config.subjects == [self._subject] else 0
            self._problems.add("lost", self._log_file, text, "raise the limits of the stream", count=count, unit="messages")
        config = api.ConsumerConfig(
            filter_subject=self._subject,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=120,
            max_ack_pending=UNCOMMITTED,
            deliver_policy=api.DeliverPolicy.ALL if queue else api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=None if queue else self._committed + 1,  # what is not committed must stay ours
        )
        return await self._replace(context, name, config, queue=queue)

    async def _replace(
        self, context: JetStreamContext, stream: str, config: Any, *, queue: bool
    ) -> JetStreamContext.PullSubscription:
        """Put a new consumer in place of ours: one of two names, so that the stream never lacks one that holds our place."""
        from nats.js.errors import NotFoundError

        names = [f"{self._durable}-a", f"{self._durable}-b"]
        there = [one.name for one in await context.consumers_info(stream) if one.name in names]
        new = next((name for name in names if name not in there), names[0])
        if queue:  # such a stream takes one consumer only, and keeps messages without one
            new = names[0]
        for old in [name for name in there if queue or name == new]:
            await context.delete_consumer(stream, old)
        config.durable_name = config.name = new
        await context.add_consumer(stream, config)
        for old in [name for name in there if name != new and not queue]:
            try:
                await context.delete_consumer(stream, old)
            except NotFoundError:
                continue
        self._delivered = 0
        return await context.pull_subscribe_bind(consumer=new, stream=stream)

    def _accept(self, messages: list[Msg]) -> None:
        """Take messages in order; raises _AnewError where a delivery is missing."""
        taken: list[Arrived] = []
        whole = True
        for message in messages:
            about = message.metadata
            if about.sequence.consumer != self._delivered + 1:
                whole = False
                break
            self._delivered = about.sequence.consumer
            self._held[about.sequence.stream] = message
            self.pending = about.num_pending
            if about.sequence.stream > self._last:
                self._last = about.sequence.stream
                taken.append(Arrived(self._generation, self._last, message.data, about.num_pending))
        if taken:
            self._take(taken)
        if not whole:
            raise _AnewError

    async def _tell(self) -> None:
        """Acknowledge what is committed."""
        for sequence in [one for one in self._held if one <= self._committed]:
            await self._held.pop(sequence).ack()
