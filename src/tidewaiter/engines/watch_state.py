"""What a watch keeps and how it goes on: ticks as they came, and now and then the state that they amount to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tidewaiter.baseline.counters import KEPT, Counters
from tidewaiter.errors import StateError
from tidewaiter.pipeline.live_cases import Kept, LiveCases
from tidewaiter.pipeline.live_folds import LiveFolds, Rule
from tidewaiter.pipeline.live_reading import Facts, LiveRow
from tidewaiter.store.live import LiveStore

VERSION = 1
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


class State:
    """The state of a watch, in memory."""

    def __init__(self, folds: LiveFolds, cases: LiveCases) -> None:
        self.folds, self.cases = folds, cases
        self.tick = 0
        self.unkept = 0  # rows since the states were last kept
        self.counted = Counters()  # what was counted since then

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
        self.folds.apply(tick.rule)
        if tick.sweep is not None:
            self.folds.sweep(tick.sweep)
        self.unkept += came
        return came

    # -------------------------------------------------------------------- keeping
    def keep(self, live: LiveStore) -> None:
        """Keep the state that all ticks amount to. Raises StoreError: then it is as if it had not been tried."""
        dirty = set(self.folds.dirty)
        live.keep_states(self.tick, self._told(dirty), self.counted)
        self.folds.dirty -= dirty
        self.unkept, self.counted = 0, Counters()

    def _told(self, groups: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Name and JSON of every state, each made when it is its turn."""
        for group in groups:
            yield f"{_FOLD}{group}", self.folds.state_of(group)
        yield "facts", msgspec.json.encode(self.folds.facts.told())
        yield "pending", msgspec.json.encode(self.folds.pending)
        yield "meta", msgspec.json.encode(Meta(tick=self.tick, latest=self.folds.latest))

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
            self.folds.resume(group, data)


def tick_of(rule: Rule, sweep: int | None, pieces: Iterable[tuple[bytes, bytes]]) -> Tick:
    """A tick of facts and rows that are JSON already."""
    return Tick(rule=rule, sweep=sweep, pieces=[TickPiece(msgspec.Raw(facts), msgspec.Raw(rows)) for facts, rows in pieces])
