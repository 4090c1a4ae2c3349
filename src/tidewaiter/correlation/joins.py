"""Host and wire in one record: cases that the logs of a host gave, joined with the files that a sensor saw cross.

A second keyed stage over cases. Each join names its key; a wrong join is worse than none, so where two files on the wire fit
equally and nothing tells the receivers apart, none is taken. Addresses of hosts are learned from their own logs and from
joins that were certain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tidewaiter.correlation.join_index import URL_WINDOW, Entry, Index, distance, entry_of
from tidewaiter.schema.case import Case

_CONFIDENCE = {"sha256": 95, "url": 85, "redirect": 80, "below": 80, "session": 75, "name": 70, "endpoint": 65}


_NOBODY: frozenset[str | None] = frozenset()


class Joins:
    """Finds partners among the entries of all cases."""

    def __init__(self, addresses: Mapping[str, set[str]] | None = None) -> None:
        self.addresses: dict[str, set[str]] = {host: set(found) for host, found in (addresses or {}).items()}
        self.entries: list[Entry] = []
        self._index = Index(())
        self._owners: dict[str, set[str | None]] = {}  # address -> the hosts that have it

    def add(self, case: Case) -> int:
        """Note a case; returns its number."""
        self.entries.append(entry_of(len(self.entries), case))
        return len(self.entries) - 1

    def partners(self) -> dict[int, list[tuple[int, str]]]:
        """Number of a host's case -> the wire cases that are the same transfer, each with the key that joined them."""
        hosts = [entry for entry in self.entries if not entry.on_wire]
        if not hosts or len(hosts) == len(self.entries):
            return {}
        index = self._index = Index(entry for entry in self.entries if entry.on_wire)
        self._owners = {}
        for host, addresses in self.addresses.items():
            for address in addresses:
                self._owners.setdefault(address, set()).add(host)
        taken: set[int] = set()
        found: dict[int, list[tuple[int, str]]] = {}
        learned: dict[str, Counter[str]] = defaultdict(Counter)
        waiting = []
        for entry in sorted(hosts, key=lambda one: one.time):
            candidates = self._allowed(entry, index.candidates(entry), learned)
            receivers = {wire.receiver for wire, _ in candidates}
            if candidates and len(receivers) == 1 and candidates[0][1] in ("sha256", "url", "redirect"):
                self._take(entry, candidates, taken, found, learned)
            elif candidates:
                waiting.append(entry)
        for entry in waiting:
            candidates = self._allowed(entry, index.candidates(entry), learned)
            if len({wire.receiver for wire, _ in candidates}) == 1:
                self._take(entry, candidates, taken, found, learned)
        for number, pairs in found.items():
            self._complete(self.entries[number], [self.entries[other] for other, _ in pairs])
        for host, votes in learned.items():
            address, count = votes.most_common(1)[0]
            if count >= 2 or len(votes) == 1:
                self.addresses.setdefault(host, set()).add(address)
        return found

    def _complete(self, entry: Entry, wires: list[Entry]) -> None:
        """What the wire adds to a host's entry, for the stages after this one."""
        contents = [wire for wire in wires if not wire.redirects]  # what a redirect says is not the file
        if len(contents) == 1 and contents[0].whole:
            entry.sha256 = entry.sha256 or contents[0].sha256
        entry.sender = entry.sender or wires[0].sender
        entry.receiver = entry.receiver or wires[0].receiver

    def _allowed(
        self, entry: Entry, candidates: list[tuple[Entry, str]], learned: Mapping[str, Counter[str]]
    ) -> list[tuple[Entry, str]]:
        """Without those whose receiver is known to be another host."""
        if not candidates:
            return candidates
        known = self.addresses.get(entry.host or "", set())
        votes = learned.get(entry.host or "")
        if not known and votes and votes.most_common(1)[0][1] >= 2:
            known = {votes.most_common(1)[0][0]}
        allowed = [
            (wire, key)
            for wire, key in candidates
            if wire.receiver in known or not self._owners.get(wire.receiver or "", _NOBODY) - {entry.host}
        ]
        inside = [(wire, key) for wire, key in allowed if wire.receiver in known]
        if inside or not known:
            return inside or allowed
        families = {":" in address for address in known}
        return [(wire, key) for wire, key in allowed if wire.receiver and (":" in wire.receiver) not in families]

    def _take(
        self,
        entry: Entry,
        candidates: list[tuple[Entry, str]],
        taken: set[int],
        found: dict[int, list[tuple[int, str]]],
        learned: dict[str, Counter[str]],
    ) -> None:
        free = [(wire, key) for wire, key in candidates if wire.number not in taken]
        if not free:
            return
        best = _CONFIDENCE[free[0][1]]
        chosen = [(wire, key) for wire, key in free if _CONFIDENCE[key] == best]
        chosen.sort(key=lambda pair: distance(entry, pair[0]))
        if chosen[0][1] == "below":
            pass  # every file of a repository
        elif not chosen[0][0].whole or chosen[0][0].name in {wire.name for wire, _ in chosen[1:]}:
            near = [pair for pair in chosen if pair[0].urls & chosen[0][0].urls and distance(entry, pair[0]) <= URL_WINDOW]
            pieces = [pair for pair in near if not pair[0].whole]
            chosen = pieces if not chosen[0][0].whole and len(pieces) > 1 else chosen[:1]
        else:
            chosen = chosen[:1]
        chosen += [pair for pair in self._index.siblings(chosen[0][0]) if pair[0].number not in taken and pair not in chosen]
        chosen += [pair for wire, _ in list(chosen) for pair in self._index.followed(wire) if pair[0].number not in taken]
        for wire, key in chosen:
            taken.add(wire.number)
            found.setdefault(entry.number, []).append((wire.number, key))
        if entry.host and chosen[0][0].receiver and chosen[0][1] != "endpoint":
            learned[entry.host][chosen[0][0].receiver] += 1


def merge(case: Case, wires: Iterable[tuple[Case, str]], names: Mapping[str, str]) -> Case:
    """The host's case with what the wire showed: carried, addresses, size and hash, and what the server answered."""
    transfer = case.transfer
    joined = list(wires)
    contents = [wire for wire, _ in joined if not wire.marks.get("redirected", "").startswith("to ")]
    for wire, key in joined:
        offset = len(transfer.evidence)
        transfer.evidence.extend(wire.transfer.evidence)
        for stage in ("carried", "connected"):
            seen = wire.transfer.stages[stage]
            if seen.state != "seen":
                continue
            record = transfer.stages[stage]
            record.time = min(filter(None, (record.time, seen.time)), default=None)
            record.state = "seen"
            record.evidence = [*record.evidence, *(offset + index for index in seen.evidence)]
        _fill(case, wire, alone=len(joined) == 1 or (len(contents) == 1 and contents[0] is wire))
        case.marks.setdefault("joined", f"{key}, {_CONFIDENCE[key]} % sure")
        for mark, detail in wire.marks.items():
            case.marks.setdefault(mark, detail)
    origin = transfer.src
    if origin.hostname is None and origin.ip is not None and origin.ip in names:
        origin.hostname = names[origin.ip]
    return case


def _fill(case: Case, wire: Case, alone: bool) -> None:
    transfer, seen = case.transfer, wire.transfer
    transfer.device.ip = transfer.device.ip or seen.device.ip
    transfer.protocol = seen.protocol or transfer.protocol
    transfer.src.ip = transfer.src.ip or seen.src.ip
    transfer.src.port = transfer.src.port or seen.src.port
    transfer.src.hostname = transfer.src.hostname or seen.src.hostname
    transfer.src.url = transfer.src.url or seen.src.url
    if alone and seen.outcome == "completed":
        file = transfer.file
        if file.sha256 is None:
            file.sha256, file.sha1, file.md5 = seen.file.sha256, file.sha1 or seen.file.sha1, seen.file.md5
        file.size = seen.file.size if file.size is None else file.size
        file.type = file.type or seen.file.type
    if seen.outcome == "partial" and alone and transfer.outcome == "completed":
        transfer.outcome = "partial"
    if seen.outcome == "failed" and transfer.stages["landed"].state != "seen":
        transfer.outcome, case.failed = "failed", True
    if seen.direction == "lateral":
        transfer.direction = "lateral"


def host_names(addresses: Mapping[str, set[str]]) -> dict[str, str]:
    """Address -> host, where only one host has it."""
    owners: dict[str, set[str]] = defaultdict(set)
    for host, found in addresses.items():
        for address in found:
            owners[address].add(host)
    return {address: next(iter(hosts)) for address, hosts in owners.items() if len(hosts) == 1}


def joined(cases: Iterable[Case], joins: Joins) -> Iterator[Case]:
    """All cases in memory, joined: the form for tests and for few cases; the pipeline keeps them on disk."""
    held = list(cases)
    for case in held:
        joins.add(case)
    partners = joins.partners()
    names = host_names(joins.addresses)
    gone = {number for pairs in partners.values() for number, _ in pairs}
    for number, case in enumerate(held):
        if number in gone:
            continue
        if number in partners:
            case = merge(case, [(held[other], key) for other, key in partners[number]], names)
        yield case
