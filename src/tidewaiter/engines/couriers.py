"""Couriers carry rows of the outbox to the sinks: one thread per sink, each at its own pace, in order, each row at least once.

The outbox keeps every row until all sinks acknowledged it, so a sink that is down costs nothing but its own delay. A row is
acknowledged after the sink has it, or after it was written to the sink's dead letters because the sink can never be told.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any, Protocol

import msgspec

from tidewaiter.errors import SinkError, TidewaiterError
from tidewaiter.output import printable
from tidewaiter.sink import Delivery, Outlet

PULL = 256
"""Rows that are taken from the outbox at a time."""

IDLE = 1.0
"""Seconds after which an idle courier looks for rows even if nobody woke it: another process may have written them."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds between tries: doubled from the first to the longest, of which a random half to the whole is waited."""

LONGEST_ASKED = 3_600.0
"""Seconds of waiting that a receiver may ask for."""


class Outbox(Protocol):
    """The queue of changes in the store. Its methods are called from the threads of all couriers; they raise StoreError."""

    def after(self, sequence: int, limit: int) -> list[Delivery]:
        """The next rows after this number, oldest first, at most `limit`."""
        ...

    def cursor(self, name: str) -> int:
        """The number up to which the sink of that name has acknowledged; 0 for a new one."""
        ...

    def acknowledge(self, name: str, sequence: int) -> None:
        """The sink of that name has everything up to and with this number: durable on return."""
        ...


class CourierStatus(msgspec.Struct, kw_only=True):
    """How a sink is doing. Texts are escaped for a terminal; times are microseconds since 1970 UTC."""

    name: str
    delivered: int = 0  # rows that the sink has, counted again where they went again
    passed_over: int = 0  # rows below the sink's min_severity
    failed: int = 0  # tries that failed
    retries: int = 0  # tries after a failed one
    dead: int = 0  # rows in the dead letters
    cursor: int = 0  # acknowledged up to here
    lag: int = 0  # rows of the outbox behind the newest that is known, at most
    down_since: int | None = None
    last_error: str | None = None  # the newest, also after it is over
    last_success: int | None = None


class Courier:
    """Carries rows to one sink, in a thread of its own. `start` it once, `wake` it for new rows, `stop` it once."""

    def __init__(
        self,
        outlet: Outlet,
        outbox: Outbox,
        *,
        first_wait: float = FIRST_WAIT,
        longest_wait: float = LONGEST_WAIT,
        idle: float = IDLE,
        clock: Callable[[], float] = time.time,
        report: Callable[[str, dict[str, Any]], None] | None = None,
    ) -> None:
        """`report` is told of sink_down, sink_up, dead_letter and sink_fault with their fields, in the courier's thread."""
        self.outlet, self.outbox = outlet, outbox
        self._first_wait, self._longest_wait, self._idle = first_wait, longest_wait, idle
        self._clock, self._report = clock, report or _nobody
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._status = CourierStatus(name=outlet.name)
        self._newest = 0
        self._position: int | None = None  # the sink has everything up to here
        self._acknowledged = 0  # and the outbox knows it up to here
        self._tries = 0  # failed ones in a row
        self._outbox_failed = False
        self._thread = threading.Thread(target=self._run, name=f"sink-{outlet.name}", daemon=True)

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def wake(self, newest: int | None = None) -> None:
        """There are new rows, up to the number `newest` where that is known. Cheap, never blocks, from any thread."""
        with self._lock:
            self._newest = max(self._newest, newest or 0)
        self._awake.set()

    def ask_to_stop(self) -> None:
        """Stop at the next chance, at once where it waits. What is not acknowledged goes again after the next start."""
        self._stopping.set()
        self._awake.set()

    def stop(self, timeout: float = 10.0) -> bool:
        """Ask to stop and wait up to `timeout` seconds. False: the sink holds on to the thread, which ends with the process."""
        self.ask_to_stop()
        if self._thread.ident is None:
            self._close()
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def status(self) -> CourierStatus:
        """A copy of the counters."""
        with self._lock:
            now = msgspec.structs.replace(self._status)
            now.lag = max(0, self._newest - now.cursor)
        return now

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._awake.clear()
                try:
                    carried = self._round()
                except Exception as error:  # noqa: BLE001 - whatever ails the outbox, the thread must be there when it is over
                    self._outbox_failed = True
                    self._failure(error)
                    continue
                if self._outbox_failed:
                    self._outbox_failed = False
                    self._recovered()
                if not carried:
                    self._awake.wait(self._idle)
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self.outlet.sink.close()
        except Exception as error:  # noqa: BLE001 - a sink that breaks its promise must not take the watch with it
            self._report("sink_fault", {"sink": self.outlet.name, "reason": _said(error)})

    def _round(self) -> bool:
        """Carry what the outbox has for us next. False where it has nothing. Raises what the outbox raises."""
        if self._position is None:
            self._position = self._acknowledged = self.outbox.cursor(self.outlet.name)
        if self._acknowledged < self._position:  # the sink has it already, only the outbox could not be told
            self._acknowledge(self._position)
        rows = self.outbox.after(self._position, PULL)
        with self._lock:
            self._status.cursor = self._acknowledged
            self._newest = max(self._newest, self._position, rows[-1].sequence if rows else 0)
        wanted: list[Delivery] = []
        for row in rows:
            if self.outlet.wants(row):
                wanted.append(row)
            else:
                self._count(passed_over=1)
            if len(wanted) >= max(1, self.outlet.sink.batch) or row is rows[-1]:
                if not self._carry(wanted):
                    return True
                self._position = row.sequence
                self._acknowledge(row.sequence)
                wanted = []
        return bool(rows)

    def _acknowledge(self, sequence: int) -> None:
        self.outbox.acknowledge(self.outlet.name, sequence)
        self._acknowledged = sequence
        with self._lock:
            self._status.cursor = sequence

    def _carry(self, batch: Sequence[Delivery]) -> bool:
        """Deliver a batch, in parts where it holds what can never be told. False: stopped before all were delivered."""
        while batch:
            if self._stopping.is_set():
                return False
            try:
                self.outlet.sink.deliver(batch)
            except SinkError as error:
                if error.retry:
                    self._failure(error)
                    continue
                problem: Exception = error
            except OSError as error:
                self._failure(error)
                continue
            except Exception as error:  # noqa: BLE001 - one record that a sink trips over must not hold up all others
                problem = error
            else:
                self._success(len(batch))
                return True
            self._count(failed=1)
            if len(batch) == 1:
                return self._bury(batch[0], problem)
            half = len(batch) // 2
            return self._carry(batch[:half]) and self._carry(batch[half:])
        return True

    def _bury(self, delivery: Delivery, problem: Exception) -> bool:
        """Write a dead letter, as often as it takes. False: stopped before it was written."""
        reason = _said(problem)
        while not self._stopping.is_set():
            try:
                self.outlet.dead_letters.add(delivery, reason)
            except (TidewaiterError, OSError) as error:
                self._failure(error)
                continue
            self._count(dead=1)
            with self._lock:
                self._status.last_error = reason
            self._recovered()  # it did answer
            self._report("dead_letter", {"sink": self.outlet.name, "id": delivery.id, "reason": reason})
            return True
        return False

    def _success(self, rows: int) -> None:
        with self._lock:
            self._status.delivered += rows
            self._status.last_success = int(self._clock() * 1_000_000)
        self._recovered()

    def _recovered(self) -> None:
        """What failed before works again."""
        now = int(self._clock() * 1_000_000)
        with self._lock:
            was_down, self._status.down_since = self._status.down_since, None
            self._tries = 0
        if was_down is not None:
            self._report("sink_up", {"sink": self.outlet.name, "down_for": round(max(0, now - was_down) / 1e6, 3)})

    def _failure(self, error: Exception) -> None:
        """Note a try that may be repeated, and wait before that, or until stopped."""
        reason = _said(error)
        with self._lock:
            first = self._status.down_since is None
            self._status.failed += 1
            self._status.last_error = reason
            if first:
                self._status.down_since = int(self._clock() * 1_000_000)
            self._tries += 1
        if first:
            self._report("sink_down", {"sink": self.outlet.name, "reason": reason})
        if not self._stopping.wait(self._pause(getattr(error, "after", None))):
            self._count(retries=1)

    def _pause(self, asked: float | None) -> float:
        """Seconds to wait: doubled with every try, with jitter so that many watches do not come back at once."""
        longest = min(self._longest_wait, self._first_wait * 2 ** min(self._tries - 1, 30))
        pause: float = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        return max(pause, min(asked or 0.0, LONGEST_ASKED))

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                setattr(self._status, name, getattr(self._status, name) + number)


def _said(error: Exception) -> str:
    """What an error says, on one line, without more than a person wants to read."""
    if isinstance(error, TidewaiterError):
        return printable(str(error))[:500]
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror)
    # texts of other exceptions may quote what they tripped over, secrets too: say where, not what
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{where}"


def _nobody(event: str, fields: dict[str, Any]) -> None:
    """The report that nobody reads."""


class Couriers:
    """The couriers of all sinks of a watch."""

    def __init__(self, couriers: Iterable[Courier]) -> None:
        self._all = tuple(couriers)

    def start(self) -> None:
        """Start them all."""
        for courier in self._all:
            courier.start()

    def wake(self, newest: int | None = None) -> None:
        """There are new rows, up to the number `newest` where that is known."""
        for courier in self._all:
            courier.wake(newest)

    def stop(self, timeout: float = 10.0) -> bool:
        """Stop them all within `timeout` seconds together. False where a sink did not let go in time."""
        for courier in self._all:
            courier.ask_to_stop()
        end = time.monotonic() + timeout
        ended = [courier.stop(max(0.0, end - time.monotonic())) for courier in self._all]  # each must be waited for
        return all(ended)

    def status(self) -> list[CourierStatus]:
        """How each of them is doing, in the order of the settings."""
        return [courier.status() for courier in self._all]
