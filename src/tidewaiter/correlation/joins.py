"""Host and wire in one record: cases that the logs of a host gave, joined with the files that a sensor saw cross.

A second keyed stage over cases. Each join names its key; a wrong join is worse than none, so where two files on the wire fit
equally and nothing tells the receivers apart, none is taken. Addresses of hosts are learned from their own logs and from
joins that were certain.
"""

from __future__ import annotations

import functools
import ipaddress
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tidewaiter.correlation.wire_cases import ANALYTIC as WIRE
from tidewaiter.reading import paths
from tidewaiter.schema import moments
from tidewaiter.schema.case import Case

SECOND = 1_000_000
URL_WINDOW = 180 * SECOND
"""The same URL asked for on a host and seen on the wire, at most so far apart."""
ENDPOINT_WINDOW = 2 * SECOND
"""A connection to an endpoint and a file from there; sensors' clocks may differ a little."""
HASH_WINDOW = 3_600 * SECOND
RECEIVE_WINDOW = 30 * SECOND

_CONFIDENCE = {"sha256": 95, "url": 85, "redirect": 80, "below": 80, "session": 75, "name": 70, "endpoint": 65}

_SPLIT_PROTOCOLS = frozenset({"tftp"})
"""Protocols whose request and content are told as separate flows."""


@dataclass(slots=True)
class Entry:
    """What of a case decides a join; the case itself is elsewhere."""

    number: int
    on_wire: bool
    time: int
    host: str | None
    receiver: str | None
    sender: str | None
    port: int | None
    urls: frozenset[str]
    redirected: frozenset[str]  # URLs whose answer sent here
    redirects: frozenset[str]  # URLs that the answer sends to
    protocol: str | None
    sha256: str | None
    name: str
    times: tuple[int, ...]
    connected: int  # when it connected, else when it was asked for
    received: bool  # written by a receiving program: the other side's command is elsewhere
    whole: bool
    sent: tuple[tuple[int, str, str | None], ...]  # when, base name, host that it was sent on to
    partners: list[tuple[int, str]] = field(default_factory=list)


def entry_of(number: int, case: Case) -> Entry:
    """The entry of a case."""
    transfer = case.transfer
    on_wire = case.analytic == WIRE
    time = moments.parse_time(transfer.time) if transfer.time else None
    times = [moments.parse_time(row.time) or 0 for row in transfer.evidence[:8] if row.time]
    redirected, _, place = case.marks.get("redirected", "").partition(" ")
    name = transfer.file.name or transfer.dst.path or ""
    return Entry(
        number=number,
        on_wire=on_wire,
        time=time or 0,
        host=(transfer.device.hostname or "").lower().split(".")[0] or None,
        receiver=_address(transfer.device.ip),
        sender=_address(transfer.src.ip),
        port=transfer.src.port,
        urls=paths.url_keys([*case.urls, *([transfer.src.url] if transfer.src.url else [])]),
        redirected=paths.url_keys([place]) if redirected == "from" else frozenset(),
        redirects=paths.url_keys([place]) if redirected == "to" else frozenset(),
        protocol=transfer.protocol,
        sha256=transfer.file.sha256,
        name=paths.base_key(name),
        times=tuple(sorted({time or 0, *times})),
        connected=moments.parse_time(connected) or 0 if (connected := transfer.stages["connected"].time) else time or 0,
        received=case.analytic in ("file_from_network", "share_write"),
        whole=transfer.outcome == "completed",
        sent=case.sent,
    )


@functools.lru_cache(maxsize=8_192)
def _address(text: str | None) -> str | None:
    """An address in its shortest spelling."""
    try:
        return str(ipaddress.ip_address(text)) if text else None
    except ValueError:
        return text


class Joins:
    """Finds partners among the entries of all cases."""

    def __init__(self, addresses: Mapping[str, set[str]] | None = None) -> None:
        self.addresses: dict[str, set[str]] = {host: set(found) for host, found in (addresses or {}).items()}
        self.entries: list[Entry] = []
        self._index = _Index(())

    def add(self, case: Case) -> int:
        """Note a case; returns its number."""
        self.entries.append(entry_of(len(self.entries), case))
        return len(self.entries) - 1

    def partners(self) -> dict[int, list[tuple[int, str]]]:
        """Number of a host's case -> the wire cases that are the same transfer, each with the key that joined them."""
        hosts = [entry for entry in self.entries if not entry.on_wire]
        if not hosts or len(hosts) == len(self.entries):
            return {}
        index = self._index = _Index(entry for entry in self.entries if entry.on_wire)
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
        known = self.addresses.get(entry.host or "", set())
        votes = learned.get(entry.host or "")
        if not known and votes and votes.most_common(1)[0][1] >= 2:
            known = {votes.most_common(1)[0][0]}
        others = {address for host, found in self.addresses.items() if host != entry.host for address in found}
        allowed = [(wire, key) for wire, key in candidates if wire.receiver not in others - known]
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
        chosen.sort(key=lambda pair: _distance(entry, pair[0]))
        if chosen[0][1] == "below":
            pass  # every file of a repository
        elif not chosen[0][0].whole or chosen[0][0].name in {wire.name for wire, _ in chosen[1:]}:
            near = [pair for pair in chosen if pair[0].urls & chosen[0][0].urls and _distance(entry, pair[0]) <= URL_WINDOW]
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


def _distance(left: Entry, right: Entry) -> int:
    return min(abs(one - other) for one in left.times for other in right.times)


def _below(entry: Entry, wire: Entry) -> bool:
    """The file lies below the URL that was asked for, as the objects of a repository do."""
    if _distance(entry, wire) > URL_WINDOW:
        return False
    return any(other.startswith(url + "/") for url in entry.urls if url.count("/") > 2 for other in wire.urls)


class _Index:
    """Wire entries by the keys that join."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.by_url: dict[str, list[Entry]] = defaultdict(list)
        self.by_redirect: dict[str, list[Entry]] = defaultdict(list)
        self.by_hash: dict[str, list[Entry]] = defaultdict(list)
        self.by_endpoint: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        self.by_sender_only: dict[str, list[Entry]] = defaultdict(list)
        self.by_session: dict[str, list[Entry]] = defaultdict(list)
        self.by_sender: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in entries:
            for url in entry.urls:
                self.by_url[url].append(entry)
            for url in entry.redirected:
                self.by_redirect[url].append(entry)
            if entry.sha256:
                self.by_hash[entry.sha256].append(entry)
            if entry.sender and entry.protocol in _SPLIT_PROTOCOLS:
                self.by_sender_only[entry.sender].append(entry)
            if entry.sender and not entry.name:
                self.by_session[entry.sender].append(entry)
            if entry.sender and entry.port:
                self.by_endpoint[entry.sender, entry.port].append(entry)
            if entry.sender and entry.name:
                self.by_sender[entry.sender, entry.name].append(entry)

    def siblings(self, wire: Entry) -> list[tuple[Entry, str]]:
        """What else a sensor told of the same act: the request beside the content, the data connection beside both."""
        found = []
        for other in self.by_sender_only.get(wire.sender or "", ()):
            same_ends = other is not wire and other.receiver == wire.receiver and other.protocol == wire.protocol
            one_act = _distance(wire, other) <= ENDPOINT_WINDOW and not (wire.sha256 and other.sha256)
            if same_ends and one_act and other.name in ("", wire.name):
                found.append((other, "name"))
        return found if wire.protocol in _SPLIT_PROTOCOLS else []

    def followed(self, wire: Entry) -> list[tuple[Entry, str]]:
        """What the answer of a wire entry sent its receiver to."""
        return [
            (other, "redirect")
            for url in wire.redirects
            for other in self.by_url.get(url, ())
            if other is not wire and other.receiver == wire.receiver and _distance(wire, other) <= ENDPOINT_WINDOW
        ][:1]

    def candidates(self, entry: Entry) -> list[tuple[Entry, str]]:
        """Those that may be the same transfer, the surest key first; only the best key that has any is used."""
        if entry.sha256:
            same = [wire for wire in self.by_hash.get(entry.sha256, ()) if _distance(entry, wire) <= HASH_WINDOW]
            if same:
                return [(wire, "sha256") for wire in same]
        for key, table in (("url", self.by_url), ("redirect", self.by_redirect)):
            near = {
                wire.number: wire for url in entry.urls for wire in table.get(url, ()) if _distance(entry, wire) <= URL_WINDOW
            }
            if near:
                return [(wire, key) for wire in near.values()]
        below = [wire for wire in self.by_endpoint.get((entry.sender or "", entry.port or 0), ()) if _below(entry, wire)]
        if below:
            return [(wire, "below") for wire in below]
        if entry.received and entry.sender:
            sessions = [
                wire
                for wire in self.by_session.get(entry.sender, ())
                if _distance(entry, wire) <= RECEIVE_WINDOW and wire.protocol == entry.protocol
            ]
            if len(sessions) == 1:
                return [(sessions[0], "session")]
        if entry.sender and entry.name:
            near = {
                wire.number: wire
                for wire in self.by_sender.get((entry.sender, entry.name), ())
                if _distance(entry, wire) <= (RECEIVE_WINDOW if entry.received else URL_WINDOW)
            }
            if near:
                return [(wire, "name") for wire in near.values()]
        if entry.sender and entry.port and not entry.received:
            close = [
                wire
                for wire in self.by_endpoint.get((entry.sender, entry.port), ())
                if min(abs(entry.connected - one) for one in wire.times) <= ENDPOINT_WINDOW
            ]
            if len(close) == 1:
                return [(close[0], "endpoint")]
        return []


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
