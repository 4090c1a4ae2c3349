"""The second stage of a live engine: the cases at hand joined, spread and judged again whenever one of them changes.

It is the stage of a scan over the cases of a window. A case that a later one takes in (a file on the wire that turns out to be
a host's download) is withdrawn in favour of that one; a record whose id changes because more is known is withdrawn and told
anew.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from tidewaiter.correlation.join_index import HASH_WINDOW, URL_WINDOW, Entry, entry_of
from tidewaiter.correlation.joins import Joins, host_names
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.joining import Spread, completed
from tidewaiter.pipeline.live_folds import Change
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import Transfer

SETTLED = 2 * HASH_WINDOW
"""A finished case so much older (log time, microseconds) than the newest can gain no partner any more."""
NEAR = 2 * URL_WINDOW
"""Cases so near in log time (microseconds) to one that changed are joined anew with it: those that it may join, and those that
may join these. Farther ones by their hash only, and those that they are joined with."""
CASES_KEPT = 4_000
"""Cases of the window; beyond it finished ones leave it first, then the oldest, and are counted."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Case)


class Told(NamedTuple):
    """What is to be told: a record that is new or changed, or one that is withdrawn."""

    id: str
    transfer: Transfer | None
    superseded_by: str | None = None


class Kept(msgspec.Struct):
    """A case of the window as the store keeps it."""

    key: str
    case: bytes
    final: bool
    told: str | None = None  # id under which it was told
    digest: str = ""  # of the record as it was told


class _Held:
    """A case of the window."""

    __slots__ = ("changed", "entry", "kept", "partners", "signature", "version")

    def __init__(self, kept: Kept, entry: Entry) -> None:
        self.kept = kept
        self.entry = entry
        self.version = 0
        self.changed = True  # since it was last told
        self.partners: frozenset[str] = frozenset()  # keys of those that it was told with
        self.signature: object = None  # of everything that the told record was made from


class LiveCases:
    """The window of cases."""

    def __init__(self, judge: Judge, addresses: dict[str, set[str]]) -> None:
        self.judge = judge
        self.addresses = addresses
        self.left_early = 0
        self.changed: set[str] = set()  # keys whose kept form changed since last asked
        self._held: dict[str, _Held] = {}
        self._gone: list[tuple[str, str]] = []  # key and id of told cases that are none after all
        self._stale = False
        self._anew = True  # all are to be looked at
        self._by_hash: dict[str, set[str]] = {}
        self._learned: dict[str, set[str]] = {}  # addresses of hosts by joins

    def __len__(self) -> int:
        return len(self._held)

    # -------------------------------------------------------------------- cases
    def take(self, changes: Iterable[Change]) -> None:
        """Take in what the folds show."""
        for change in changes:
            self._stale = True
            self.changed.add(change.key)
            held = self._held.get(change.key)
            if change.case is None:
                if held is not None:
                    self._drop(change.key)
                    if held.kept.told is not None:
                        self._gone.append((change.key, held.kept.told))
                continue
            data = _ENCODER.encode(change.case)
            if held is None:
                self._add(_Held(Kept(change.key, data, change.final), entry_of(0, change.case)))
                continue
            held.kept.final = change.final
            if held.kept.case != data:
                held.kept.case = data
                self._drop(change.key)
                held.entry = entry_of(0, change.case)
                self._add(held)
                held.version += 1
                held.changed = True

    def _add(self, held: _Held) -> None:
        self._held[held.kept.key] = held
        if held.entry.sha256:
            self._by_hash.setdefault(held.entry.sha256, set()).add(held.kept.key)

    def _drop(self, key: str) -> None:
        held = self._held.pop(key)
        known = self._by_hash.get(held.entry.sha256 or "")
        if known is not None:
            known.discard(key)
            if not known:
                del self._by_hash[held.entry.sha256 or ""]

    def resume(self, kept: Kept) -> None:
        """Take up a case as it was kept. Raises msgspec.MsgspecError."""
        self._add(_Held(kept, entry_of(0, _DECODER.decode(kept.case))))
        self._stale = self._anew = True

    def unfinished(self) -> list[str]:
        """Keys of the cases that may still change."""
        return [key for key, one in self._held.items() if not one.kept.final]

    def kept(self, key: str) -> Kept | None:
        """The kept form of a case; None where it has left the window."""
        held = self._held.get(key)
        return held.kept if held is not None else None

    def judge_anew(self) -> None:
        """Judge every case of the window again: what is usual is known better."""
        self._stale = self._anew = True
        for held in self._held.values():
            held.signature = None

    # ------------------------------------------------------------------ telling
    @property
    def stale(self) -> bool:
        """Whether something changed since it was last told."""
        return self._stale

    @property
    def crowded(self) -> bool:
        """Whether there are far more cases than the window may hold: they must be told before they can leave it.

        A full window is a little above its bound whenever something new came: that alone is no hurry.
        """
        return len(self._held) > CASES_KEPT * 5 // 4

    def _looked_at(self) -> list[str]:
        """Keys of the cases to join and judge: those that changed, and all that may have to do with them."""
        if self._anew:
            return sorted(self._held)
        changed = {key for key, one in self._held.items() if one.changed}
        times = [self._held[key].entry.time for key in changed]
        first, last = min(times, default=0) - NEAR, max(times, default=0) + NEAR
        found = {key for key, one in self._held.items() if first <= one.entry.time <= last}
        for key in changed:
            found |= self._by_hash.get(self._held[key].entry.sha256 or "", set())
        for key in list(found):
            found |= self._held[key].partners & self._held.keys()
        return sorted(found | changed)

    def tell(self) -> Iterator[Told]:
        """Join and judge what changed; what differs from what was told before is told."""
        order = self._looked_at()
        if self._anew:
            self._learned = {}
        self._stale = self._anew = False
        held = [self._held[key] for key in order]
        joins = Joins(self.addresses)
        for host, found in self._learned.items():
            joins.addresses.setdefault(host, set()).update(found)
        for number, one in enumerate(held):
            entry = copy.copy(one.entry)
            entry.number = number
            joins.entries.append(entry)
        partners = joins.partners()
        names = host_names(joins.addresses)
        spread = Spread(joins, partners, names)
        taken = {other: number for number, pairs in partners.items() for other, _ in pairs}
        withdrawn: list[tuple[str, int | None]] = [(identity, None) for _, identity in self._gone]
        self._gone = []
        seen: dict[str, int] = {}
        told: list[Told] = []
        for host, known in joins.addresses.items():
            self._learned.setdefault(host, set()).update(known)
        for number, one in enumerate(held):
            one.changed = False
            one.partners = frozenset(held[other].kept.key for other, _ in partners.get(number, ()))
            if number in taken:
                one.partners = frozenset((held[taken[number]].kept.key,))
                if one.kept.told is not None:
                    withdrawn.append((one.kept.told, taken[number]))
                    self._set_told(one, None, "")
                one.signature = None
                continue
            signature = self._signature(number, held, partners, spread, names)
            if signature == one.signature and one.kept.told is not None:
                seen[one.kept.told] = seen.get(one.kept.told, 0) + 1
                continue
            one.signature = signature
            transfer = self._transfer(number, held, partners, spread, names)
            seen[transfer.id] = seen.get(transfer.id, 0) + 1
            if seen[transfer.id] > 1:
                transfer.id = f"{transfer.id}-{seen[transfer.id]}"
            digest = hashlib.sha256(msgspec.json.encode(transfer)).hexdigest()
            if one.kept.told is not None and one.kept.told != transfer.id:
                withdrawn.append((one.kept.told, number))
            elif one.kept.digest == digest:
                continue
            self._set_told(one, transfer.id, digest)
            told.append(Told(transfer.id, transfer))
        alive = {one.kept.told for one in held}
        for identity, by in withdrawn:
            if identity not in alive:
                yield Told(identity, None, held[by].kept.told if by is not None else None)
        yield from told

    def _set_told(self, one: _Held, identity: str | None, digest: str) -> None:
        one.kept.told, one.kept.digest = identity, digest
        self.changed.add(one.kept.key)

    @staticmethod
    def _signature(
        number: int,
        held: list[_Held],
        partners: dict[int, list[tuple[int, str]]],
        spread: Spread,
        names: dict[str, str],
    ) -> object:
        def mark(other: int) -> tuple[str, int]:
            return held[other].kept.key, held[other].version

        entry = held[number].entry
        return (
            held[number].version,
            [(mark(other), key) for other, key in partners.get(number, ())],
            [mark(other) for other in spread.others(number)],
            spread.sources.get(number),
            names.get(entry.sender or ""),
            names.get(entry.receiver or ""),
        )

    def _transfer(
        self,
        number: int,
        held: list[_Held],
        partners: dict[int, list[tuple[int, str]]],
        spread: Spread,
        names: dict[str, str],
    ) -> Transfer:
        def case_of(other: int) -> Case:
            return _DECODER.decode(held[other].kept.case)

        case = case_of(number)
        wires = [(case_of(other), key) for other, key in partners.get(number, ())]
        return self.judge.one(completed(case, number, wires, spread, names, case_of))

    # ------------------------------------------------------------------- window
    def prune(self, latest: int) -> None:
        """Let finished cases that nothing can join any more leave the window, and keep it within its bound.

        What was not told as it is now stays until it is.
        """
        told = [(key, one) for key, one in self._held.items() if not one.changed]
        old = [key for key, one in told if one.kept.final and one.entry.time + SETTLED < latest]
        for key in old:
            self._leave(key)
        over = len(self._held) - CASES_KEPT
        if over > 0:
            left = [one for one in self._held.values() if not one.changed]
            ranked = sorted(left, key=lambda one: (not one.kept.final, one.entry.time, one.kept.key))
            self.left_early += min(over, len(ranked))
            for one in ranked[:over]:
                self._leave(one.kept.key)

    def _leave(self, key: str) -> None:
        self._drop(key)
        self.changed.add(key)
