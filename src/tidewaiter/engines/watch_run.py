"""A watch from its settings to its end: feeds, reading processes, store, sinks and signals are put together here."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import IO, TextIO

from tidewaiter import feed as feeds
from tidewaiter import sink as sinks
from tidewaiter.catalog import wire as wire_knowledge
from tidewaiter.engines.couriers import Courier, Couriers
from tidewaiter.engines.memory import give_back, keep_little
from tidewaiter.engines.watch import Report, Watch
from tidewaiter.engines.watch_config import WatchOptions
from tidewaiter.engines.watch_readers import Readers
from tidewaiter.engines.watch_state import State
from tidewaiter.errors import UsageError
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.live_cases import LiveCases
from tidewaiter.pipeline.live_facts import LiveFacts
from tidewaiter.pipeline.live_folds import LiveFolds
from tidewaiter.policy.policy import Policy
from tidewaiter.policy.policy import load as load_policy
from tidewaiter.sink import Delivery, Outlet
from tidewaiter.store.live import LiveStore
from tidewaiter.store.store import Store, open_store

TIDIED_EVERY = 60.0
"""Seconds between two times that delivered rows leave the outbox, and memory that is free goes back.

A transfer that was given up and its process know each other: such rubbish stays until it is looked for, which takes a quarter
of a second where there are thousands of transfers."""


class Outbox:
    """The outbox as couriers see it: each of their threads has a connection of its own; the policy is applied as they read."""

    def __init__(self, place: str, policy: Policy) -> None:
        self._place, self._policy = place, policy
        self._local = threading.local()

    def _live(self) -> LiveStore:
        live: LiveStore | None = getattr(self._local, "live", None)
        if live is None:
            live = self._local.live = LiveStore(open_store(self._place))
        return live

    def after(self, sequence: int, limit: int) -> list[Delivery]:
        """The next rows, judged by the policy."""
        rows = self._live().after(sequence, limit)
        for row in rows:
            if row.transfer is not None:
                self._policy.applied(row.transfer)
        return rows

    def cursor(self, name: str) -> int:
        """How far a sink is."""
        return self._live().cursor(name)

    def acknowledge(self, name: str, sequence: int) -> None:
        """A sink has everything up to this."""
        self._live().acknowledge(name, sequence)


@contextlib.contextmanager
def opened(
    options: WatchOptions,
    state: Path,
    *,
    base: Path,
    report: Report,
    stream: TextIO | None = None,
    stopping: threading.Event | None = None,
) -> Iterator[Running]:
    """A watch that is ready to run until `stopping` is set, and is ended in good order.

    Raises UsageError, StoreError, StateError.
    """
    keep_little()
    with contextlib.ExitStack() as held:
        held.enter_context(_alone(state))
        place = options.store or str(state / "watch.db")
        policy = load_policy(tuple(options.policies))
        found = _feeds(options, state, base)
        try:
            outlets = [
                sinks.opened(table, f"sink {number}", base=base, state=state, stream=stream)
                for number, table in enumerate(options.sink, 1)
            ]
            names = [outlet.name for outlet in outlets]
            if len(set(names)) < len(names):
                raise UsageError(f"two sinks are called {max(names, key=names.count)}: give each a name of its own")
            store = held.enter_context(open_store(place))
            running = Running(options, found, outlets, store, Outbox(place, policy), policy, state, report)
            running.stopping = stopping or running.stopping
        except BaseException:  # raised again: only what was begun is undone first
            for one in found:
                one.close()
            raise
        try:
            running.start()
            yield running
        finally:
            running.close()


def _feeds(options: WatchOptions, state: Path, base: Path) -> list[feeds.Feed]:
    found: list[feeds.Feed] = []
    try:
        for number, table in enumerate(options.input, 1):
            folder = state / f"input-{number}"
            folder.mkdir(mode=0o700, exist_ok=True)
            found.append(feeds.open_feed(table, feeds.Surroundings(folder, base)))
        _refuse_twice(options, found)
    except BaseException:  # raised again: only what was begun is undone first
        for one in found:
            one.close()
        raise
    return found


def _refuse_twice(options: WatchOptions, found: Sequence[feeds.Feed]) -> None:
    """Raise UsageError where two inputs follow one file: its lines would be read twice, with the settings of each."""
    for (first, one), (second, other) in combinations(enumerate(found, 1), 2):
        clash = getattr(one, "clash", None)
        shared = clash(other) if clash is not None else None
        if shared is not None:
            named = [
                f"input {number} ({', '.join(map(str, options.input[number - 1].get('paths', ())))[:200]})"
                for number in (first, second)
            ]
            raise UsageError(f"{' and '.join(named)} both follow {shared}: name it in one of them only")


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the state folder for one watch. Raises UsageError where another one has it."""
    lock: IO[bytes] = (state / "lock").open("ab")
    try:
        try:
            import fcntl
        except ImportError:  # no such locks here
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"another watch uses {state}: stop it, or give this one a state folder of its own") from None
        yield
    finally:
        lock.close()


class Running:
    """A watch with all that belongs to it."""

    def __init__(
        self,
        options: WatchOptions,
        found: Sequence[feeds.Feed],
        outlets: Sequence[Outlet],
        store: Store,
        outbox: Outbox,
        policy: Policy,
        state: Path,
        report: Report,
    ) -> None:
        self.options, self.report, self.folder = options, report, state
        facts = LiveFacts()
        facts.memory.half_life = store.history.begin(None)
        internal = tuple(options.internal)
        if policy.networks:
            internal = (*(internal or wire_knowledge.load().inside), *policy.networks)
        store.database.checkpoint_aside()
        self.live = LiveStore(store)
        self.state = State(LiveFolds(facts, internal), LiveCases(Judge(facts.memory), facts.addresses))
        self.outlets = list(outlets)
        self.couriers = Couriers(
            Courier(
                outlet, outbox, report=lambda event, fields: report("info" if event == "sink_up" else "warning", event, fields)
            )
            for outlet in outlets
        )
        self._work = state / "work"
        shutil.rmtree(self._work, ignore_errors=True)  # of a watch that was killed
        self._work.mkdir(mode=0o700)
        self.readers = Readers(self._work, options.readers, facts.memory.half_life)
        self.watch = Watch(
            list(found), self.readers, self.state, self.live, settle=options.settle, report=report, woken=self.couriers
        )
        from tidewaiter.engines.watch_health import Health

        self.health = Health(self, options.metrics)
        self.stopping = threading.Event()
        self._tidied = time.monotonic()

    def start(self) -> None:
        """Take up the state and wake the sinks."""
        for outlet in self.outlets:
            self.live.cursor(outlet.name)  # a new sink is told what comes from now on
        named = [str(path) for table in self.options.input for path in table.get("paths", [table.get("type", "files")])]
        sinks_named = [one.name for one in self.outlets]
        self.report("info", "started", {"inputs": named, "sinks": sinks_named, "state": str(self.folder)})
        self.watch.resume()
        self.couriers.start()
        self.couriers.wake(self.live.newest())
        self.health.start()

    def run(self, *, once: bool = False) -> None:
        """Turn until stopped; with `once` until everything that there is has been read and told."""
        while not self.stopping.is_set():
            self.watch.turn()
            self.health.look()
            if time.monotonic() - self._tidied > TIDIED_EVERY:
                self._tidy()
            if once and self.watch.finished:
                break
            if not self.readers.waiting and not self.watch.pressed:
                self.stopping.wait(0.05)

    def _tidy(self) -> None:
        from tidewaiter.errors import StoreError

        give_back()
        self._tidied = time.monotonic()
        with contextlib.suppress(StoreError):  # another time
            lost = self.live.prune(outlet.name for outlet in self.outlets)
            if lost:
                self.report("error", "outbox_full", {"given_up": lost})

    def close(self) -> None:
        """End it: what was read is used and committed, sinks get some seconds more."""
        self.watch.close()
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline and any(one.lag and one.down_since is None for one in self.couriers.status()):
            time.sleep(0.05)
        self.couriers.stop()
        self.health.look(now_at_once=True)
        self.health.stop()
        shutil.rmtree(self._work, ignore_errors=True)
