"""The folds of a live engine: rows go in a few at a time, and what has changed among unfinished transfers comes out.

The folds are those of a scan. What they have not given up yet is shown before its time: a host's draft by assembling it, a
wire group by finishing a copy of it. Everything depends on the rows, their order and the rules alone, never on the clock, so
that the same ticks give the same state again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from tidewaiter.baseline.flows import Sides
from tidewaiter.correlation import freezing, wire_keys
from tidewaiter.correlation.assemble import assemble
from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.host import HostFold, HostView
from tidewaiter.errors import StateError
from tidewaiter.pipeline.live_facts import LiveFacts
from tidewaiter.pipeline.live_reading import Facts, LiveRow
from tidewaiter.pipeline.live_wire import TOGETHER, LiveWireFold, Shown, show
from tidewaiter.pipeline.run import WireCases
from tidewaiter.pipeline.years import folder_of
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.case import Case

SECOND = 1_000_000
UNSETTLED = 3 * SECOND
"""Commands on the wire whose content may still come are not shown for so long (log time)."""
PROCESSES_KEPT, PROCESSES_IN_ALL = 10_000, 100_000
"""Processes of one host, about half a day of a busy one, and of all; some 1 KB each. Beyond it the oldest are forgotten."""
DRAFTS_KEPT, DRAFTS_IN_ALL = 2_500, 6_000
"""Unfinished transfers of one host and of all, some 20 KB each; beyond it those that were quiet for longest end."""
LATE = 600 * SECOND
GROUPS_KEPT = 100_000
"""Folds that are kept; the ones idle for longest are ended before their time beyond it, and counted."""
_NOT_STATE = frozenset({"host", "view", "roles", "finals", "changed", "touched", "passed", "names"})
_UPTO = "@upto"


class Change(NamedTuple):
    """A transfer that is new or changed; `case` is None where there is none after all."""

    key: str
    case: Case | None
    final: bool


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """Which of the rows that wait are taken: those up to a time (microseconds), and those that came up to a tick."""

    before: int
    arrived: int


class LiveHostFold(HostFold):
    """The fold over a host that remembers which drafts it gave up."""

    def __init__(self, host: str, view: HostView) -> None:
        super().__init__(host, view)
        self.processes.most = PROCESSES_KEPT
        self.numbered = 0
        self.finals: list[tuple[Draft, Case]] = []
        self.changed: list[Draft] = []  # since last asked

    def begin(self, draft: Draft) -> None:
        """Take in a new transfer."""
        super().begin(draft)
        self.follow(draft)

    def follow(self, draft: Draft) -> None:
        """Notice when a transfer changes: to look at all of them for it would take too long."""
        draft.told = self.changed.append
        if draft.touched:
            self.changed.append(draft)

    def resumed(self) -> None:
        """The state was taken up."""
        for draft in self.drafts:
            self.follow(draft)

    def _release(self, before: int | None) -> list[Case]:
        held = self.drafts
        cases = super()._release(before)
        self.finals += zip([draft for draft in held if draft.released], cases, strict=True)
        return cases

    def shed(self, most: int) -> int:
        """Give up the transfers that have been quiet for longest where there are more than `most`; returns how many.

        A tenth go at least: to look for them each time that one comes would take too long.
        """
        over = len(self.drafts) - most
        if over <= 0:
            return 0
        quiet = sorted(max(draft.last, draft.time) for draft in self.drafts)
        before = len(self.finals)
        self._release(quiet[max(over - 1, len(quiet) // 10)] + 1)
        return len(self.finals) - before

    def changes(self) -> Iterator[Change]:
        """What was given up or changed since last asked."""
        changed = [draft for draft in self.changed if not draft.released]
        self.changed.clear()
        for draft in changed:
            if draft.number < 0:
                draft.number, self.numbered = self.numbered, self.numbered + 1
        for draft, case in self.finals:
            if draft.number < 0:
                draft.number, self.numbered = self.numbered, self.numbered + 1
            yield Change(f"{self.host}#{draft.number:09}", case, True)
        self.finals = []
        for draft in changed:
            draft.touched = False
            yield Change(f"{self.host}#{draft.number:09}", assemble(draft, self.view.kinds, self.view.name), False)


class LiveFolds:
    """All folds, the rows that wait for their turn, and what is known beside them."""

    def __init__(self, facts: LiveFacts, internal: tuple[str, ...] = ()) -> None:
        self.facts = facts
        self.wire = WireCases(facts.usual, internal)
        self.groups: dict[str, LiveHostFold | LiveWireFold] = {}
        self.pending: dict[int, list[LiveRow]] = {}  # tick -> rows that came with it
        self._earliest: dict[int, int] = {}  # tick -> time of the earliest of its rows that wait, once it was asked for
        self.latest = 0  # time of the latest row taken
        self.evicted = 0  # folds and transfers that were ended before their time
        self.late = 0  # rows that came later than LATE; used, where what they belong to is still known
        self._seen: dict[str, int] = {}  # group -> time of its latest row
        self._touched: dict[str, None] = {}
        self._finals: list[Change] = []
        self._shown: dict[str, Shown] = {}
        self.dirty: set[str] = set()  # changed since they were last kept
        self.upto: dict[str, int] = {}  # group -> tick up to which its kept state has everything, while ticks are done again

    # --------------------------------------------------------------------- rows
    def learn(self, facts: Facts) -> None:
        """Take facts in; hosts whose logs turn out to show more have their unfinished transfers shown anew."""
        self.facts.learn(facts)
        for host in self.facts.shows_more:
            fold = self.groups.get(host)
            if isinstance(fold, LiveHostFold):
                self._touched[host] = None
                for draft in fold.drafts:
                    draft.touch()
        self.facts.shows_more.clear()

    def add(self, tick: int, rows: list[LiveRow]) -> None:
        """Rows that came in with this tick wait for their turn."""
        if rows:
            self.pending.setdefault(tick, []).extend(rows)
            self._earliest.pop(tick, None)

    def _waits_since(self, tick: int) -> int:
        """Time of the earliest row that came with a tick and waits: thousands of them would be looked at in each tick."""
        earliest = self._earliest.get(tick)
        if earliest is None:
            earliest = self._earliest[tick] = min(row.time for row in self.pending[tick])
        return earliest

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return sum(map(len, self.pending.values()))

    def would_take(self, rule: Rule) -> bool:
        """Whether the rule lets a row through."""
        return any(tick <= rule.arrived or self._waits_since(tick) <= rule.before for tick in self.pending)

    def apply(self, rule: Rule, number: int = 0) -> int:
        """Take the rows that the rule of this tick lets through, in their order; returns how many."""
        taken: list[LiveRow] = []
        for tick, rows in list(self.pending.items()):
            if tick <= rule.arrived:
                taken += self.pending.pop(tick)
                self._earliest.pop(tick, None)
            elif self._waits_since(tick) <= rule.before:
                taken += (row for row in rows if row.time <= rule.before)
                later = [row for row in rows if row.time > rule.before]
                self._earliest.pop(tick)
                if later:
                    self.pending[tick] = later
                else:
                    del self.pending[tick]
        if not taken:
            return 0
        for row in taken:
            if row.host.startswith("file:"):
                row.host = self.facts.owner(folder_of(row.host.removeprefix("file:"))) or row.host
        taken.sort(key=_order)
        for group, rows_of in groupby(taken, key=_host):
            if not self.upto or self.upto.get(group, -1) < number:
                self._step(group, list(rows_of))
        self.latest = max(self.latest, max(row.time for row in taken))
        return len(taken)

    def _step(self, group: str, rows: list[LiveRow]) -> None:
        fold = self.groups.pop(group, None)
        if fold is None:
            fold = self._fold(group)
        self.groups[group] = fold  # the last one is the one that spoke last
        self.dirty.add(group)
        self._touched[group] = None
        seen = self._seen.get(group, 0)
        if rows[0].time < seen - LATE:
            self.late += sum(row.time < seen - LATE for row in rows)
        self._advance(fold, rows, rows[-1].time)
        self._seen[group] = max(seen, rows[-1].time)

    def _advance(self, fold: LiveHostFold | LiveWireFold, rows: Sequence[LiveRow], watermark: int) -> None:
        if isinstance(fold, LiveWireFold):
            events = [(row.event, ()) for row in rows if row.event is not None]
            for case in self.wire.cases(fold.step(events, watermark)):
                self._finals.append(Change(_wire_key(fold.host, case), case, True))
        else:
            fold.advance([row.glimpse for row in rows if row.glimpse is not None], watermark)
            self.evicted += fold.shed(DRAFTS_KEPT)

    def _fold(self, group: str) -> LiveHostFold | LiveWireFold:
        if group.startswith(wire_keys.PREFIX):
            return LiveWireFold(group, self.wire.view)
        return LiveHostFold(group, self.facts.view(group))

    def sweep(self, watermark: int, number: int = 0) -> None:
        """Let all folds give up what no event after `watermark` (log time) can change; end idle ones beyond the bound."""
        for group in list(self.groups):
            if self.upto and self.upto.get(group, -1) >= number:
                continue
            fold = self.groups[group]
            before = len(self._finals)
            self._advance(fold, (), watermark)
            if (isinstance(fold, LiveHostFold) and fold.finals) or len(self._finals) > before:
                self._touched[group] = None
                self.dirty.add(group)
        self._share(number)
        while len(self.groups) > GROUPS_KEPT:
            self.evicted += 1
            self._end(next(iter(self.groups)))

    def _share(self, number: int) -> None:
        """Keep what all hosts hold together within its bounds: those that hold the most give up their oldest."""
        hosts = {
            group: fold for group, fold in self.groups.items()
            if isinstance(fold, LiveHostFold) and self.upto.get(group, -1) < number
        }  # fmt: skip
        processes = even_share([len(fold.processes) for fold in hosts.values()], PROCESSES_IN_ALL)
        drafts = even_share([len(fold.drafts) for fold in hosts.values()], DRAFTS_IN_ALL)
        for group, fold in hosts.items():
            if len(fold.processes) > processes:
                fold.processes.forget_oldest(processes)
                self.dirty.add(group)
            if gone := fold.shed(drafts):
                self.evicted += gone
                self._touched[group] = None
                self.dirty.add(group)

    def _end(self, group: str) -> None:
        fold = self.groups.pop(group)
        self._seen.pop(group, None)
        if isinstance(fold, LiveHostFold):
            fold.finish()
            self._finals += fold.changes()
        else:
            self._finals += (Change(_wire_key(group, case), case, True) for case in self.wire.cases(fold.finish()))
        self._touched[group] = None
        self.dirty.add(group)

    # ------------------------------------------------------------------ changes
    def touch_all(self) -> None:
        """Show every unfinished transfer anew: what is usual, or what the logs can show, is known better now."""
        self.wire.view.sides = Sides(self.facts.usual)
        for group, fold in self.groups.items():
            self._touched[group] = None
            if isinstance(fold, LiveHostFold):
                for draft in fold.drafts:
                    draft.touch()
            else:
                fold.touch_all()

    def changes(self, *, all_now: bool = False) -> Iterator[Change]:
        """What changed since last asked. Wire groups that are costly to show wait for their turn unless `all_now`."""
        finals, self._finals = self._finals, []
        finished: dict[str, set[str]] = {}
        for change in finals:
            finished.setdefault(_group_of(change.key), set()).add(change.key)
            yield change
        later: dict[str, None] = {}
        for group in self._touched:
            fold = self.groups.get(group)
            if isinstance(fold, LiveWireFold):
                shown = self._shown.setdefault(group, Shown())
                if not all_now and time.monotonic() - shown.at < 20 * shown.cost:
                    later[group] = None
                    shown.finish(finished.get(group, set()))
                    continue
                yield from self._preview(fold, shown, finished.get(group, set()))
            elif fold is not None:
                yield from fold.changes()
            elif group in self._shown:
                yield from (Change(key, None, True) for key in self._shown.pop(group).keys - finished.get(group, set()))
        self._touched = later

    def _preview(self, fold: LiveWireFold, shown: Shown, finished: set[str]) -> Iterator[Change]:
        shown.at, began = time.monotonic(), time.thread_time()
        cases, gone = show(fold, shown, lambda found: self._keyed(fold.host, found), self._may_be_shown)
        for key in gone - finished:
            yield Change(key, None, True)
        for key, case in cases.items():
            if key not in finished:
                yield Change(key, case, False)
        shown.finish(finished)
        shown.cost = time.thread_time() - began
        if fold.is_empty and not shown.keys:
            del self._shown[fold.host], self.groups[fold.host]
            self._seen.pop(fold.host, None)
            self.dirty.add(fold.host)

    def _keyed(self, group: str, found: Iterable[Carried]) -> Iterator[tuple[str, Case]]:
        return ((_wire_key(group, case), case) for case in self.wire.cases(found))

    def _may_be_shown(self, case: Case) -> bool:
        return case.transfer.stages["carried"].state == "seen" or self._settled(case)

    def _settled(self, case: Case) -> bool:
        from tidewaiter.schema.moments import parse_time

        times = [parse_time(row.time) or 0 for row in case.transfer.evidence if row.time]
        return max(times, default=0) + UNSETTLED <= self.latest

    # -------------------------------------------------------------------- state
    def state_of(self, group: str, number: int) -> Iterator[bytes]:
        """The state of one fold, which holds all up to this tick, as pieces of JSON; of one that has ended that it did so."""
        fold = self.groups.get(group)
        held = {} if fold is None else {name: value for name, value in vars(fold).items() if name not in _NOT_STATE}
        return freezing.frozen({**held, _UPTO: number})

    def resume(self, group: str, data: bytes) -> bool:
        """Take up a fold where it was kept; False where it had ended. Raises StateError."""
        held = freezing.thawed(data)
        number = held.pop(_UPTO, None)
        if not isinstance(number, int):
            raise StateError(f"the kept state of {group!r} does not say up to which tick it is")
        self.upto[group] = number
        if not held:
            return False
        fold = self._fold(group)
        vars(fold).update(held)
        if isinstance(fold, LiveHostFold):
            fold.resumed()
        else:
            fold.touch_all()
        self.groups[group] = fold
        return True

    def resume_shown(self, keys: Iterable[str]) -> None:
        """The unfinished transfers that were shown before: what is not shown again is taken back."""
        for key in keys:
            group = _group_of(key)
            if group.startswith(wire_keys.PREFIX):
                self._shown.setdefault(group, Shown()).parts.setdefault(TOGETHER, set()).add(key)
                self._touched[group] = None


def even_share(sizes: Sequence[int], most: int) -> int:
    """The greatest bound such that sizes, each cut to it, are `most` together at most."""
    left = most
    for number, size in enumerate(sorted(sizes)):
        rest = len(sizes) - number
        if size * rest > left:
            return left // rest
        left -= size
    return most


def _order(row: LiveRow) -> tuple[str, int, str]:
    return row.order


def _host(row: LiveRow) -> str:
    return row.host


def _wire_key(group: str, case: Case) -> str:
    return f"{group}#{case.transfer.id}"


def _group_of(key: str) -> str:
    return key.rpartition("#")[0]
