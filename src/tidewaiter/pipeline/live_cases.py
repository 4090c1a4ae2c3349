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

from tidewaiter.correlation.join_index import HASH_WINDOW, Entry, entry_of
from tidewaiter.correlation.join_reach import Reach
from tidewaiter.correlation.joins import Joins, host_names
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.joining import Spread, completed
from tidewaiter.pipeline.live_folds import Change
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import Transfer

SETTLED = 2 * HASH_WINDOW
"""A finished case so much older (log time, microseconds) than the newest can gain no partner any more."""
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

    __slots__ = ("changed", "entry", "kept", "linked", "partners", "signature", "version")

    def __init__(self, kept: Kept, entry: Entry) -> None:
        self.kept = kept
        self.entry = entry
        self.version = 0
        self.changed = True  # since it was last told
        self.partners: frozenset[str] = frozenset()  # keys of those that it was told with
        self.linked: frozenset[str] = frozenset()  # of those that its file came from or went to
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
        self._reach = Reach()
        self._keys: dict[int, str] = {}  # number of an entry -> key of its case
        self._numbered = 0
        self._left: list[Entry] = []  # entries of cases that were told and are no more, or are others now
        self._learned: dict[str, set[str]] = {}  # addresses of hosts by joins
        self._known: dict[str, set[str]] = {}  # addresses of hosts, as they were when it was last told

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
                    self._left.append(self._drop(change.key))
                    if held.kept.told is not None:
                        self._gone.append((change.key, held.kept.told))
                continue
            data = _ENCODER.encode(change.case)
            if held is None:
                self._add(_Held(Kept(change.key, data, change.final), self._entry(change.case)))
                continue
            held.kept.final = change.final
            if held.kept.case != data:
                held.kept.case = data
                self._left.append(self._drop(change.key))
                held.entry = self._entry(change.case)
                self._add(held)
                held.version += 1
                held.changed = True

    def _entry(self, case: Case) -> Entry:
        self._numbered += 1
        return entry_of(self._numbered, case)

    def _add(self, held: _Held) -> None:
        self._held[held.kept.key] = held
        self._keys[held.entry.number] = held.kept.key
        self._reach.add(held.entry)

    def _drop(self, key: str) -> Entry:
        held = self._held.pop(key)
        del self._keys[held.entry.number]
        self._reach.remove(held.entry)
        return held.entry

    def resume(self, kept: Kept) -> None:
        """Take up a case as it was kept. Raises msgspec.MsgspecError."""
        self._add(_Held(kept, self._entry(_DECODER.decode(kept.case))))
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

    def _looked_at(self, known: dict[str, set[str]]) -> list[str]:
        """Keys of the cases to join and judge: those that changed, and all that may have to do with them."""
        left, self._left = self._left, []
        if self._anew:
            return sorted(self._held)
        changed = [one.entry for one in self._held.values() if one.changed]
        changed += self._elsewhere(known)
        found = self._reach.reached(changed, left, self._joined, host_names(known))
        return sorted(self._keys[entry.number] for entry in found)

    def _joined(self, entry: Entry) -> Iterator[Entry]:
        """The entries that one was last told with, joined or as others to which its file went."""
        one = self._held[self._keys[entry.number]]
        for key in one.partners | one.linked:
            held = self._held.get(key)
            if held is not None:
                yield held.entry

    def _known_now(self) -> dict[str, set[str]]:
        """Addresses of hosts, by their logs and by joins."""
        known = {host: set(found) for host, found in self.addresses.items()}
        for host, found in self._learned.items():
            known.setdefault(host, set()).update(found)
        return known

    def _elsewhere(self, known: dict[str, set[str]]) -> list[Entry]:
        """The entries of hosts whose addresses are others than when it was last told, and those to and from such addresses."""
        if known == self._known:
            return []
        none: set[str] = set()
        hosts = {host for host in known.keys() | self._known.keys() if known.get(host, none) != self._known.get(host, none)}
        addresses = none.union(*(known.get(host, none) ^ self._known.get(host, none) for host in hosts))
        entries = (one.entry for one in self._held.values())
        return [one for one in entries if one.host in hosts or one.sender in addresses or one.receiver in addresses]

    def tell(self) -> Iterator[Told]:
        """Join and judge what changed; what differs from what was told before is told."""
        anew = self._anew
        if anew:
            self._learned = {}
        known = self._known_now()
        order = self._looked_at(known)
        held = [self._held[key] for key in order]
        joins = Joins(known)
        for number, one in enumerate(held):
            entry = copy.copy(one.entry)
            entry.number = number
            joins.entries.append(entry)
        partners = joins.partners()
        self._known = joins.addresses if anew else known
        self._stale, self._anew = joins.addresses != self._known, False  # what was learned may change others
        names = host_names(joins.addresses)
        spread = Spread(joins, partners, names)
        taken = {other: number for number, pairs in partners.items() for other, _ in pairs}
        withdrawn: list[tuple[str, int | None]] = [(identity, None) for _, identity in self._gone]
        self._gone = []
        owners = {} if anew else {one.kept.told: one.kept.key for one in held if one.kept.told is not None}
        told: list[Told] = []
        for host, addresses in joins.addresses.items():
            self._learned.setdefault(host, set()).update(addresses)
        for number, one in enumerate(held):
            one.changed = False
            one.partners = frozenset(held[other].kept.key for other, _ in partners.get(number, ()))
            one.linked = frozenset(held[other].kept.key for other in spread.others(number))
            if number in taken:
                one.partners = frozenset((held[taken[number]].kept.key,))
                if one.kept.told is not None:
                    withdrawn.append((one.kept.told, taken[number]))
                    owners.pop(one.kept.told, None)
                    self._set_told(one, None, "")
                one.signature = None
                continue
            signature = self._signature(number, held, partners, spread, names)
            if signature == one.signature and one.kept.told is not None:
                continue
            one.signature = signature
            transfer = self._transfer(number, held, partners, spread, names)
            transfer.id = _own_id(transfer.id, one.kept, owners)
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

        What was not told as it is now stays until it is; what was joined leaves together.
        """
        old = {key for key, one in self._held.items() if self._may_leave(one) and one.entry.time + SETTLED < latest}
        while stay := {key for key in old if not (self._held[key].partners & self._held.keys()) <= old}:
            old -= stay
        for key in sorted(old):
            self._leave(key)
        over = len(self._held) - CASES_KEPT
        if over > 0:
            self._shed(over)

    @staticmethod
    def _may_leave(one: _Held) -> bool:
        return one.kept.final and not one.changed

    def _shed(self, over: int) -> None:
        """Let so many cases leave before their time: finished ones first, then the oldest."""
        left = [one for one in self._held.values() if not one.changed]
        for one in sorted(left, key=lambda one: (not self._is_over(one), one.entry.time, one.kept.key)):
            if over <= 0:
                return
            together = sorted({one.kept.key, *one.partners} & self._held.keys())
            for key in together if not any(self._held[key].changed for key in together) else ():
                over -= 1
                self.left_early += 1
                self._leave(key)

    def _is_over(self, one: _Held) -> bool:
        """Whether neither a case nor what it was joined with can change any more."""
        joined = (self._held.get(key) for key in one.partners)
        return self._may_leave(one) and all(other is None or self._may_leave(other) for other in joined)

    def _leave(self, key: str) -> None:
        self._drop(key)
        self.changed.add(key)


def _own_id(identity: str, kept: Kept, owners: dict[str, str]) -> str:
    """An id of one's own where several logs hold copies of one event: the first has it bare, and each keeps what it has."""
    mine = kept.told
    if mine is not None and owners.get(mine) == kept.key:
        if mine == identity or mine.startswith(f"{identity}-"):
            return mine
        del owners[mine]
    number, found = 1, identity
    while owners.get(found, kept.key) != kept.key:
        number += 1
        found = f"{identity}-{number}"
    owners[found] = kept.key
    return found
