"""What a watch keeps and how it goes on: ticks as they came, and now and then the state that they amount to."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tidewaiter.baseline.counters import KEPT, Counters
from tidewaiter.errors import StateError
from tidewaiter.pipeline.live_cases import Kept, LiveCases
from tidewaiter.pipeline.live_folds import LiveFolds, Rule
from tidewaiter.pipeline.live_reading import Facts, LiveRow
from tidewaiter.store.live import LiveStore

VERSION = 2
_FOLD = "fold:"


class TickPiece(msgspec.Struct, array_like=True):
    """What one piece of a log gave."""

    facts: msgspec.Raw
    rows: msgspec.Raw


class Tick(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One turn of the engine: done again, it does the same."""

    version: int = VERSION
    rule: Rule = Rule(0, -1)
    sweep: int | None = None  # log time that the folds were swept to
    pieces: list[TickPiece] = []


class Meta(msgspec.Struct, kw_only=True):
    """What is kept of the engine itself."""

    version: int = VERSION
    tick: int = 0
    latest: int = 0


_ROWS = msgspec.json.Decoder(list[LiveRow])
_FACTS = msgspec.json.Decoder(Facts)
_PENDING = msgspec.json.Decoder(dict[int, list[LiveRow]])


@dataclass
class _Round:
    """States being kept, some at a time: what stood when it began, and what is left to do."""

    tick: int
    fixed: list[tuple[str, bytes]]  # what is kept last, as it was at that tick
    counted: Counters
    left: list[str]  # groups


class State:
    """The state of a watch, in memory."""

    def __init__(self, folds: LiveFolds, cases: LiveCases) -> None:
        self.folds, self.cases = folds, cases
        self.tick = 0
        self.unkept = 0  # rows since the states were last kept, or began to be
        self.counted = Counters()  # what was counted since then
        self._round: _Round | None = None
        self._ended: dict[str, int] = {}  # group -> tick at which it was kept that it had ended

    def apply(self, number: int, tick: Tick) -> int:
        """Do a tick; returns how many rows came in."""
        self.tick = number
        came = 0
        for piece in tick.pieces:
            facts, rows = _FACTS.decode(piece.facts), _ROWS.decode(piece.rows)
            self.folds.learn(facts)
            self.counted.merge(facts.counted())
            self.folds.add(number, rows)
            came += len(rows)
        self.folds.apply(tick.rule, number)
        if tick.sweep is not None:
            self.folds.sweep(tick.sweep, number)
        self.unkept += came
        return came

    # -------------------------------------------------------------------- keeping
    @property
    def keeping(self) -> bool:
        """Whether states are being kept."""
        return self._round is not None

    def keep(self, live: LiveStore) -> None:
        """Keep the state that all ticks amount to, at once. Raises StoreError."""
        if self._round is not None:  # begun anew; what of it was kept may stay
            self.counted, counted = self._round.counted, self.counted
            self.counted.merge(counted)
            self.folds.dirty.update(self._round.left)
            self._round = None
        while not self.keep_some(live):
            pass

    def keep_some(self, live: LiveStore, seconds: float = math.inf) -> bool:
        """Keep some of the states, for about so long: the large ones of busy hosts would hold a watch up together.

        Each says up to which tick it holds everything. What the others amount to is what it was when this began, and is kept
        last; the ticks since then stay. True: all is kept. Raises StoreError: then it goes on where it was.
        """
        if self._round is None:
            self._begin()
        held = self._round
        assert held is not None
        end = time.monotonic() + seconds
        while held.left:
            some: list[str] = []
            live.put_states(self._frozen(held.left, some, end))
            del held.left[: len(some)]
            for group in some:
                self.folds.dirty.discard(group)
                if group not in self.folds.groups:
                    self._ended[group] = self.tick
            if time.monotonic() >= end:
                return False
        over = [group for group, number in self._ended.items() if number <= held.tick]
        live.keep_states(held.tick, [*held.fixed, *((f"{_FOLD}{group}", None) for group in over)], held.counted)
        for group in over:
            del self._ended[group]
        self._round = None
        return True

    def _begin(self) -> None:
        fixed = [
            ("facts", msgspec.json.encode(self.folds.facts.told())),
            ("pending", msgspec.json.encode(self.folds.pending)),
            ("meta", msgspec.json.encode(Meta(tick=self.tick, latest=self.folds.latest))),
        ]
        self._round = _Round(self.tick, fixed, self.counted, sorted(self.folds.dirty))
        self.unkept, self.counted = 0, Counters()

    def _frozen(self, groups: Sequence[str], done: list[str], end: float) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Name and JSON of states, each made when it is its turn, until the time is over."""
        for group in groups:
            done.append(group)
            self._ended.pop(group, None)
            yield f"{_FOLD}{group}", self.folds.state_of(group, self.tick)
            if time.monotonic() >= end:
                return

    def resume(self, live: LiveStore) -> int:
        """Go on from what is kept; returns how many ticks were done again. Raises StateError."""
        try:
            self._states(live)
            for _, data in live.cases():
                self.cases.resume(msgspec.json.decode(data, type=Kept))
            self.folds.resume_shown(self.cases.unfinished())
            again = 0
            for number, data in live.ticks(self.tick):
                tick = msgspec.json.decode(data, type=Tick)
                if tick.version != VERSION:
                    raise StateError(f"a tick of version {tick.version} is kept, this program knows {VERSION}")
                self.apply(number, tick)
                again += 1
        except msgspec.MsgspecError as error:
            raise StateError(f"what the store keeps of the watch cannot be read: {error}") from error
        self.folds.upto.clear()
        return again

    def _states(self, live: LiveStore) -> None:
        self.folds.facts.memory.learn(live.counters(KEPT))
        later: list[tuple[str, bytes]] = []
        for name, data in live.states():
            if name == "meta":
                meta = msgspec.json.decode(data, type=Meta)
                if meta.version != VERSION:
                    raise StateError(f"a state of version {meta.version} is kept, this program knows {VERSION}")
                self.tick, self.folds.latest = meta.tick, meta.latest
            elif name == "facts":
                self.folds.learn(_FACTS.decode(data))
            elif name == "pending":
                self.folds.pending = _PENDING.decode(data)
            else:
                later.append((name.removeprefix(_FOLD), data))
        for group, data in later:
            if not self.folds.resume(group, data):
                self._ended[group] = self.folds.upto[group]


def tick_of(rule: Rule, sweep: int | None, pieces: Iterable[tuple[bytes, bytes]]) -> Tick:
    """A tick of facts and rows that are JSON already."""
    return Tick(rule=rule, sweep=sweep, pieces=[TickPiece(msgspec.Raw(facts), msgspec.Raw(rows)) for facts, rows in pieces])
