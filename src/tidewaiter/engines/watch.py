"""The live engine: the pipeline of a scan, a few rows at a time. It adds no logic to it.

A turn polls the feeds, gives pieces of logs to the reading processes, and hears what became of earlier ones. Some turns end
in a tick: the rows that came in, the positions they came from, the transfers that they change and what the sinks are to be told
are committed in one transaction. Whatever is killed when, the next start goes on from the last tick. What cannot be committed
is held and tried again, and nothing more is read meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tidewaiter.engines import watch_state
from tidewaiter.engines.health import Level
from tidewaiter.engines.watch_order import Log, Order, Position
from tidewaiter.engines.watch_readers import Done, Readers
from tidewaiter.engines.watch_state import State
from tidewaiter.errors import StoreError
from tidewaiter.feed import Feed
from tidewaiter.pipeline.live_cases import Kept
from tidewaiter.pipeline.live_reading import Read
from tidewaiter.schema.transfer import Transfer
from tidewaiter.sink import Delivery
from tidewaiter.store.live import Commit, LiveStore, Withdrawn

SECOND = 1_000_000
TICK = 0.2
"""Seconds between two ticks while rows come in."""
ROWS_A_TICK = 20_000
ROWS_WAITING = 100_000
"""Rows that may wait for those of other logs; beyond them they go on as they are."""
QUEUED = 8_000_000
"""Bytes that may wait between feeds and readers; beyond them nothing is polled."""
POLL = 0.1
"""Seconds between two looks for new lines, where none are known to be waiting."""
POLLED = 4_000_000
"""Bytes that one poll brings: what comes in within several turns, so that a turn which takes long leaves no log behind."""
KEEP_EVERY = 180.0
"""Seconds between two times that the states are kept, where there is something to keep."""
KEEP_ROWS = 500_000
KEEP_AT_ONCE, KEEP_AT_MOST = 0.05, 0.2
"""Seconds that one turn may keep states for (that of one host takes what it takes), and the share of the time in all."""
FRESH = 2.0
"""Seconds for which nothing but what had just come in must have waited, for a watch that begins to be up to date."""
SWEEP_EVERY, PRUNE_EVERY = 30.0, 1.0
"""Seconds between two times that folds are swept, and that the window of cases is looked through."""
LONGEST_PAUSE = 30.0
"""Seconds between two tries to commit."""
TELL_AT_MOST = 0.25
"""Share of the time that joining and judging the window may take; beyond it they wait."""

Report = Callable[[Level, str, dict[str, Any]], None]
"""Is told of an event: level, name, fields."""


class Numbers(msgspec.Struct, kw_only=True):
    """What a watch counts since it was started."""

    bytes: int = 0
    lines: int = 0
    rows: int = 0
    ticks: int = 0
    again: int = 0  # ticks that were done again after the start
    late: int = 0  # rows that came after later ones were used
    future: int = 0  # events whose time cannot be right
    unread: int = 0  # bytes that no log source knew
    crashed: int = 0  # pieces that a reading process did not survive
    early: int = 0  # rows, folds and cases that were let go before their time
    told: int = 0
    commit_failures: int = 0
    delays: list[float] = []  # seconds from reading the last line of a tick to its commit, the newest


class Woken(Protocol):
    """Who wants to know that there is something new for the sinks."""

    def wake(self, newest: int | None = None) -> None:
        """There are deliveries up to this one."""
        ...


class Watch:
    """One watch. `turn` is called again and again; `close` ends it in good order."""

    def __init__(
        self,
        feeds: list[Feed],
        readers: Readers,
        state: State,
        live: LiveStore,
        *,
        settle: float,
        report: Report,
        woken: Woken | None = None,
    ) -> None:
        self.feeds, self.readers, self.state, self.live = feeds, readers, state, live
        self.order = Order(settle)
        self.report, self.woken = report, woken
        self.numbers = Numbers()
        self.failing: str | None = None  # why nothing can be committed now
        self._arrived: list[Done] = []
        self._rows = 0
        self._moved: dict[str, Position] = {}
        self._received = 0  # when the newest line of the commit came in
        self._came, self._more, self._polled = 1, True, 0.0
        self._commit: Commit | None = None  # made, and not yet in the store
        self._pause = 0.0
        self._try_at = 0.0
        now = time.monotonic()
        self._ticked, self._kept, self._swept, self._tell_at, self._may_keep = now, now, now, 0.0, 0.0
        self._prune_at = 0.0
        self._latest_at = self._fresh_since = now
        self._was_behind = True
        self._idle_turns = 0
        self._moving = True  # whether the last turn brought anything on

    # -------------------------------------------------------------------- starting
    def resume(self) -> None:
        """Go on from what the store holds. Raises StateError, StoreError."""
        kept = {name: msgspec.json.decode(data, type=Position) for name, data in self.live.positions().items()}
        self.numbers.again = self.state.resume(self.live)
        for name, held in kept.items():
            log = self.order.logs[name] = Log(name, 0)
            log.resume(held)
        for feed in self.feeds:
            feed.resume({name: held.position for name, held in kept.items()})
        if self.numbers.again or kept:
            fields = {"ticks": self.numbers.again, "logs": len(kept), "transfers": len(self.state.cases)}
            self.report("info", "resumed", fields)

    # ----------------------------------------------------------------------- turns
    def turn(self, *, stopping: bool = False) -> bool:
        """One turn, of at most a tenth of a second where nothing holds it up. False: there was nothing to do."""
        now = time.monotonic()
        if self._commit is not None:
            return self._commit_now(now)
        if stopping:
            self._came = 0
        elif self._more or now - self._polled >= POLL:
            self._polled = now
            self._came = self._poll()
        crowded = self.state.folds.waiting + self._rows > ROWS_WAITING // 4
        given = 0
        for piece in self.order.next(now, self.readers.free, crowded=crowded):
            given += 1
            if piece.data:
                self.readers.give(piece)
            else:  # only its position moved on
                self._done(Done(piece.log_file, Read(), b"[]", b"{}"))
        heard = self.readers.hear(POLL / 2 if self.readers.waiting else 0.0)
        for done in heard:
            self._done(done)
        self._moving = bool(self._came or given or heard)
        due = now - self._ticked >= (TICK / 4 if crowded else TICK) or self._rows >= ROWS_A_TICK
        if due:
            self._tick(now)
            if self._commit is None:  # what is in memory is what is committed
                self._keep_some(now)
        busy = bool(self._came or heard or self._arrived or self.state.folds.pending or not self.order.idle)
        self._idle_turns = 0 if busy else self._idle_turns + 1
        return busy

    @property
    def pressed(self) -> bool:
        """Whether there is more to read at once."""
        return self._moving and (self._more or self.order.queued > 0) and self._commit is None

    @property
    def finished(self) -> bool:
        """Whether all that there is was read, used and told, for some turns now."""
        return self._idle_turns > 5 and not self.state.cases.stale and self._commit is None and self._was_behind is False

    def _poll(self) -> int:
        came, self._more = 0, False
        queued = self.order.queued  # bounded also for feeds that cannot choose and bring more than was asked for
        starved = self.order.starved if QUEUED <= queued < 2 * QUEUED else None
        for number, feed in enumerate(self.feeds):
            if self.order.queued >= QUEUED:
                self._more = True
                chunks = feed.poll_of(starved.log_file, POLLED) if starved is not None and starved.feed == number else []
            else:
                chunks = feed.poll(POLLED)
            self._more |= self.order.add(number, chunks)
            came += sum(len(chunk.data) or 1 for chunk in chunks)
            for problem in feed.problems():
                self.report("warning", "input", msgspec.to_builtins(problem))
        self.numbers.bytes += came
        return came

    def _done(self, done: Done) -> None:
        """What became of a piece."""
        log, read = self.order.logs[done.log_file], done.read
        if read.problem is not None and read.recognised_as is None and log.at is not None:
            self._not_read(log, read.problem)
        log.done(read, time.monotonic())
        self._moved[done.log_file] = log.position
        self._received = max(self._received, log.received)
        self._arrived.append(done)
        if read.account is not None:
            self.numbers.lines += read.account.read
            for damage in read.account.damage:
                self.report("warning", "damaged", {"log_file": log.log_file, "place": damage.place, "problem": damage.problem})
        if read.future:
            self.numbers.future += read.future
            self.report("warning", "future", {"log_file": log.log_file, "events": read.future})
        self._rows += done.rows.count(b'"kind"')

    def _not_read(self, log: Log, problem: str) -> None:
        if "no log source" in problem:
            self.numbers.unread += len(log.at.data) if log.at is not None else 0
        else:
            self.numbers.crashed += 1
        self.report("warning", "not_read", {"log_file": log.log_file, "problem": problem})

    # ----------------------------------------------------------------------- ticks
    def _tick(self, now: float) -> None:
        """Use what came in, and make what is to be committed."""
        arrived, self._arrived = self._arrived, []
        self._ticked, self._rows = now, 0
        number = self.state.tick + 1
        if arrived:
            self.order.arrived(number, now)
        crowded = self.state.folds.waiting > ROWS_WAITING
        rule, sweep = self.order.rule(now, more=self._more or bool(arrived), crowded=crowded), self._sweep(now)
        data = None
        if arrived or sweep is not None or self.state.folds.would_take(rule):
            tick = watch_state.tick_of(rule, sweep, ((done.facts, done.rows) for done in arrived))
            data = msgspec.json.encode(tick)
            before = self.state.folds.latest
            self.numbers.rows += self.state.apply(number, tick)
            self.numbers.ticks += 1
            self.numbers.late = self.state.folds.late
            if self.state.folds.latest > before:
                self._latest_at = now
        self._caught_up(now)
        folds, cases = self.state.folds, self.state.cases
        cases.take(folds.changes(all_now=not arrived and self.order.idle))
        transfers: list[Transfer] = []
        withdrawn: list[Withdrawn] = []
        if cases.stale and (now >= self._tell_at or cases.crowded):
            began = time.thread_time()  # what others took of the processor must not hold up the next time too
            for told in cases.tell():
                if told.transfer is None:
                    withdrawn.append(Withdrawn(told.id, told.superseded_by))
                else:
                    transfers.append(told.transfer)
            took = time.thread_time() - began
            self._tell_at = time.monotonic() + min(10.0, took * (1 / TELL_AT_MOST - 1))
        if now >= self._prune_at or cases.crowded:
            self._prune_at = now + PRUNE_EVERY
            cases.prune(folds.latest)
        self.numbers.early = folds.evicted + cases.left_early
        if data is None and not self._moved and not cases.changed and not transfers and not withdrawn:
            return
        changed, cases.changed = cases.changed, set()
        self._commit = Commit(
            tick=number,
            data=data,
            positions={name: msgspec.json.encode(position) for name, position in self._moved.items()},
            cases={key: _json(cases.kept(key)) for key in changed},
            transfers=transfers,
            withdrawn=withdrawn,
        )
        self._commit_now(now)

    def _sweep(self, now: float) -> int | None:
        """Now and then, the log time that it must be by now."""
        if now - self._swept < SWEEP_EVERY or not self.state.folds.latest or self._was_behind:
            return None
        self._swept = now
        return self.state.folds.latest + int((now - self._latest_at) * SECOND)

    def _caught_up(self, now: float) -> None:
        """When all that was there at the start has been read, everything is judged by what is known now.

        Where logs grow all the time, that is when for a while nothing but what had just come in was waiting.
        """
        if not self._was_behind:
            return
        if self._more or self.order.behind:
            self._fresh_since = now
        idle = self.order.idle and not (self._came or self._arrived or self.state.folds.pending)
        if idle or now - self._fresh_since > FRESH:
            self.state.folds.touch_all()
            self.state.cases.judge_anew()
            self._was_behind = self.order.starting = False

    # ------------------------------------------------------------------ committing
    def _commit_now(self, now: float) -> bool:
        """Commit what is made; where that fails, again later. False while it waits."""
        commit = self._commit
        if commit is None or now < self._try_at:
            return False
        try:
            deliveries = self.live.commit(commit)
        except StoreError as error:
            self._failed(str(error), now)
            return False
        self._commit = None
        self._recovered()
        self._after(commit, deliveries)
        return True

    def _failed(self, problem: str, now: float) -> None:
        self.numbers.commit_failures += 1
        if self.failing is None:
            self.report("error", "store_down", {"problem": problem})
        self.failing = problem
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or 0.25)
        self._try_at = now + self._pause

    def _recovered(self) -> None:
        if self.failing is not None:
            self.report("info", "store_up", {})
        self.failing, self._pause, self._try_at = None, 0.0, 0.0

    def _after(self, commit: Commit, deliveries: list[Delivery]) -> None:
        if commit.data is None and not deliveries:
            pass
        elif self._received:
            delay = time.time_ns() / 1e9 - self._received / 1e6
            self.numbers.delays = [*self.numbers.delays[-999:], round(delay, 3)]
        self.numbers.told += len(deliveries)
        for number, feed in enumerate(self.feeds):
            mine = {name: held.position for name, held in self._moved.items() if self.order.logs[name].feed == number}
            if mine:
                feed.committed(mine)
        self._moved, self._received = {}, 0
        if deliveries and self.woken is not None:
            self.woken.wake(deliveries[-1].sequence)

    def _keep_some(self, now: float) -> None:
        """Keep some of the states where it is time, so that there is less to do again after a start."""
        state = self.state
        due = state.unkept and (now - self._kept > KEEP_EVERY or state.unkept > KEEP_ROWS)
        if state.keeping or due:
            self._keep(lambda: state.keep_some(self.live, KEEP_AT_ONCE))

    def _keep(self, keep: Callable[[], object]) -> None:
        """Keep, where it is not too early to; a failure is tried again later."""
        try:
            began = time.monotonic()
            if self._may_keep <= began:
                self._may_keep = 0.0
                keep()
                self._kept = time.monotonic()
                self._may_keep = self._kept + (self._kept - began) * (1 / KEEP_AT_MOST - 1)
        except StoreError as error:
            self._may_keep = time.monotonic() + LONGEST_PAUSE
            self.report("error", "store_down", {"problem": str(error)})

    # --------------------------------------------------------------------- ending
    def close(self, patience: float = 10.0) -> None:
        """Use what was read, commit, keep the states, and let go of feeds and reading processes."""
        end = time.monotonic() + patience
        while time.monotonic() < end and self.turn(stopping=True):
            pass
        if self._commit is None and time.monotonic() < end:
            self._may_keep = 0.0
            self._keep(lambda: self.state.keep(self.live))
        for feed in self.feeds:
            feed.close()
        self.readers.close()


def _json(kept: Kept | None) -> bytes | None:
    return None if kept is None else msgspec.json.encode(kept)
