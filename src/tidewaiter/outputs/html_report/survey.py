"""The first pass over the transfers: everything that the page says of all of them together, in bounded memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tidewaiter.schema.moments import parse_time
from tidewaiter.schema.transfer import SEVERITIES, STAGES, Transfer

CARDS = 2000
"""Cards on the page at most: the highest scores of those of medium severity and higher."""

ROWS = 20_000
"""Rows of the compact table at most: the highest scores of the rest."""

FIRST = 8
"""How many transfers are named to be looked at first."""

HOSTS = 1000
CELLS = 4000
NAMES = 5000
FILES = 20_000
EDGES = 5000

CARD_FROM = SEVERITIES.index("medium")


def host_of(transfer: Transfer) -> str:
    """What the page calls the host that a transfer reached."""
    return transfer.device.hostname or transfer.device.ip or "host not named"


def rank_of(transfer: Transfer) -> int:
    """The place of its severity, lowest first."""
    return SEVERITIES.index(transfer.severity) if transfer.severity in SEVERITIES else 0


@dataclass(slots=True)
class Host:
    """One host that transfers reached."""

    number: int
    name: str
    transfers: int = 0
    worst: int = 0
    lateral: int = 0
    not_visible: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Cell:
    """The transfers of one host and severity within one cell of time."""

    count: int = 0
    first: int = 0  # number of the first transfer


@dataclass(slots=True)
class Lead:
    """A transfer to look at first."""

    number: int
    transfer: Transfer
    host: str


@dataclass(slots=True)
class Edge:
    """Files that went from one host to another."""

    origin: str
    target: str
    transfers: int = 0
    worst: int = 0
    first: str | None = None
    number: int = 0  # number of the first transfer
    utilities: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class SharedFile:
    """One content and the hosts it reached, each with the time of the first."""

    name: str | None
    hosts: dict[str, tuple[str, int]] = field(default_factory=dict)


class Survey:
    """Counts over all transfers. `add` them in the order in which they will be written."""

    def __init__(self) -> None:
        self.total = 0
        self.severities: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.utilities: Counter[str] = Counter()
        self.techniques: Counter[str] = Counter()
        self.hosts: dict[str, Host] = {}
        self.first: str | None = None
        self.last: str | None = None
        self.undated = 0
        self.cells: dict[tuple[int, int, int], Cell] = {}  # host number, severity, time // width
        self.width = 1_000_000  # microseconds of a cell
        self.edges: dict[tuple[str, str], Edge] = {}
        self.origin_unknown = 0
        self.addresses: dict[str, str] = {}  # address of a host -> its name
        self.files: dict[str, SharedFile] = {}
        self.left_out: Counter[str] = Counter()
        self._scores: tuple[Counter[int], Counter[int]] = (Counter(), Counter())  # of rows, of cards
        self._leads: list[tuple[int, int, int, Lead]] = []

    @classmethod
    def of(cls, transfers: Iterable[Transfer]) -> Survey:
        """The survey of them all."""
        survey = cls()
        for transfer in transfers:
            survey.add(transfer)
        return survey

    def add(self, transfer: Transfer) -> None:
        """Count one transfer."""
        rank = rank_of(transfer)
        self.severities[rank] += 1
        self.outcomes[transfer.outcome] += 1
        self._name(self.utilities, transfer.utility or transfer.process.name or "not known")
        for technique in transfer.techniques[:50]:
            self._name(self.techniques, technique)
        self._scores[rank >= CARD_FROM][transfer.score] += 1
        host = self._host(host_of(transfer))
        host.transfers += 1
        host.worst = max(host.worst, rank)
        host.lateral += transfer.direction == "lateral"
        host.not_visible.update(name for name in STAGES if _state(transfer, name) == "not_visible")
        self._date(transfer, host, rank)
        self._lead(transfer, rank)
        self._spread(transfer, rank, host)
        self.total += 1

    def host_number(self, transfer: Transfer) -> int:
        """The number of a transfer's host, by which the page filters."""
        host = self.hosts.get(host_of(transfer).casefold())
        return host.number if host else HOSTS

    def leads(self) -> list[Lead]:
        """What to look at first, the highest score first."""
        return [lead for *_, lead in sorted(self._leads, key=lambda item: (-item[0], -item[1], -item[2]))]

    def cut(self, *, cards: bool) -> Cut:
        """Which of the cards, or of the rows, the page has room for."""
        return Cut(self._scores[cards], CARDS if cards else ROWS)

    def _name(self, counter: Counter[str], name: str) -> None:
        name = name[:200]
        if name in counter or len(counter) < NAMES:
            counter[name] += 1
        else:
            self.left_out["names"] += 1

    def _host(self, name: str) -> Host:
        key = name.casefold()
        host = self.hosts.get(key)
        if host is None:
            if len(self.hosts) >= HOSTS:
                key, name = "", "all other hosts"
                host = self.hosts.get(key)
            if host is None:
                host = self.hosts[key] = Host(len(self.hosts), name[:300])
        return host

    def _date(self, transfer: Transfer, host: Host, rank: int) -> None:
        moment = parse_time(transfer.time) if transfer.time else None
        if moment is None:
            self.undated += 1
            return
        self.first, self.last = self.first or transfer.time, transfer.time
        cell = self.cells.setdefault((host.number, rank, moment // self.width), Cell(0, self.total))
        cell.count += 1
        while len(self.cells) > CELLS:
            self._widen()

    def _widen(self) -> None:
        """Halve the resolution of time."""
        before, self.cells, self.width = self.cells, {}, self.width * 2
        for (host, rank, place), cell in before.items():
            wide = self.cells.setdefault((host, rank, place // 2), Cell(0, cell.first))
            wide.count += cell.count
            wide.first = min(wide.first, cell.first)

    def _lead(self, transfer: Transfer, rank: int) -> None:
        if rank < CARD_FROM:
            return
        item = (transfer.score, transfer.confidence, -self.total, Lead(self.total, transfer, host_of(transfer)))
        if len(self._leads) < FIRST:
            heapq.heappush(self._leads, item)
        elif item[:3] > self._leads[0][:3]:
            heapq.heapreplace(self._leads, item)

    def _spread(self, transfer: Transfer, rank: int, host: Host) -> None:
        target = host.name if host is not self.hosts.get("") else host_of(transfer)[:300]
        if transfer.device.hostname and transfer.device.ip and len(self.addresses) < NAMES:
            self.addresses.setdefault(transfer.device.ip, transfer.device.hostname[:300])
        if transfer.direction == "lateral":
            origin = (transfer.src.hostname or transfer.src.ip or "")[:300]
            if origin:
                self._edge(origin, target, transfer, rank)
            else:
                self.origin_unknown += 1
        digest = (transfer.file.sha256 or "").lower()[:64]
        if digest and (transfer.device.hostname or transfer.device.ip):
            self._file(digest, target, transfer)

    def _edge(self, origin: str, target: str, transfer: Transfer, rank: int) -> None:
        key = (origin, target)
        edge = self.edges.get(key)
        if edge is None:
            if len(self.edges) >= EDGES:
                self.left_out["ways between hosts"] += 1
                return
            edge = self.edges[key] = Edge(origin, target, first=transfer.time, number=self.total)
        edge.transfers += 1
        edge.worst = max(edge.worst, rank)
        if len(edge.utilities) < 20:
            edge.utilities[(transfer.utility or transfer.protocol or "not known")[:100]] += 1

    def _file(self, digest: str, host: str, transfer: Transfer) -> None:
        shared = self.files.get(digest)
        if shared is None:
            if len(self.files) >= FILES:
                self.left_out["files"] += 1
                return
            shared = self.files[digest] = SharedFile((transfer.file.name or "")[:300] or None)
        if host not in shared.hosts and len(shared.hosts) < 200:
            shared.hosts[host] = (transfer.time or "", self.total)


def _state(transfer: Transfer, stage: str) -> str:
    record = transfer.stages.get(stage)
    return record.state if record else "not_visible"


class Cut:
    """Room for the highest scores: `takes` says of each transfer, in order, whether it is among them."""

    def __init__(self, scores: Counter[int], room: int) -> None:
        self.total = sum(scores.values())
        self.lowest: int | None = None  # the lowest score that gets in
        self._last = 0  # how many of exactly that score get in
        for score in sorted(scores, reverse=True):
            if room <= 0:
                break
            self.lowest, self._last = score, min(room, scores[score])
            room -= self._last
        self.shown = sum(count for score, count in scores.items() if self.lowest is not None and score > self.lowest)
        self.shown += self._last

    def takes(self, score: int) -> bool:
        """Whether the next transfer gets in."""
        if self.lowest is None or score < self.lowest:
            return False
        if score > self.lowest:
            return True
        self._last -= 1
        return self._last >= 0
