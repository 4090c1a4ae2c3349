"""What a live engine has learned beside its rows: who is who, what the logs can show, what is usual. Facts only add up."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.counters import KEPT, Cell, Known, known_of, sum_of
from tidewaiter.baseline.decay import HALF_LIFE
from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.correlation.host import HostView
from tidewaiter.pipeline.live_reading import Facts
from tidewaiter.pipeline.run import ADDRESSES_KEPT

HOSTS_KEPT = 50_000
"""Hosts about which facts are kept."""


class LiveMemory:
    """A baseline.memory.Memory that grows: counters by facet, key and host, bounded like those of a scan."""

    def __init__(self, half_life: float = HALF_LIFE, *, is_history: bool = False) -> None:
        self.half_life = half_life
        self.is_history = is_history
        self.late = 0
        self.evicted: dict[str, int] = {}
        self._cells: dict[str, dict[str, dict[str, Cell]]] = {}
        self._count: dict[str, int] = {}

    def learn(self, counters: Iterable[tuple[str, str, str, float, int, int]]) -> None:
        """Add counts: facet, key, host, level, first and last day."""
        for facet, key, host, level, first, last in counters:
            hosts = self._cells.setdefault(facet, {}).setdefault(key, {})
            cell = Cell(level, first, last)
            known = hosts.get(host)
            if known is None:
                self._count[facet] = self._count.get(facet, 0) + 1
            hosts[host] = cell if known is None else sum_of(known, cell)
        for facet, count in list(self._count.items()):
            if count > 2 * KEPT:
                self._prune(facet)

    def _prune(self, facet: str) -> None:
        """Give up the weakest counters and count them."""
        cells = [(cell, key, host) for key, hosts in self._cells[facet].items() for host, cell in hosts.items()]
        cells.sort(key=lambda one: (-one[0].level, -one[0].last, one[1], one[2]))
        self.evicted[facet] = self.evicted.get(facet, 0) + len(cells) - KEPT
        kept: dict[str, dict[str, Cell]] = {}
        for cell, key, host in cells[:KEPT]:
            kept.setdefault(key, {})[host] = cell
        self._cells[facet], self._count[facet] = kept, KEPT

    def known(self, facet: str, key: str, host: str) -> Known | None:
        """What is known of a key."""
        return known_of(iter(self._cells.get(facet, {}).get(key, {}).items()), host)

    def complete(self, facet: str) -> bool:
        """Whether nothing of the facet was given up."""
        return not self.evicted.get(facet)


class LiveFacts:
    """The sum of all facts."""

    def __init__(self) -> None:
        self.kinds: dict[str, set[str]] = {}
        self.names: dict[str, str] = {}
        self.folders: dict[str, set[str]] = {}
        self.addresses: dict[str, set[str]] = {}
        self.usual = FlowBaseline()
        self.memory = LiveMemory()
        self._views: dict[str, HostView] = {}
        self.shows_more: set[str] = set()  # hosts whose logs turned out to show more than was known

    def learn(self, facts: Facts) -> None:
        """Add facts."""
        for host, kinds in facts.kinds.items():
            known = self.kinds.setdefault(host, set())
            if not known.issuperset(kinds):
                known.update(kinds)
                self.shows_more.add(host)
        for host, name in facts.names.items():
            if len(self.names) < HOSTS_KEPT or host in self.names:
                self.names[host] = min(self.names.get(host, name), name)
                self.view(host).name = self.names[host]
        for folder, hosts in facts.folders.items():
            self.folders.setdefault(folder, set()).update(hosts)
        for host, found in facts.addresses.items():
            mine = self.addresses.setdefault(host, set())
            mine.update(found[: max(0, ADDRESSES_KEPT - len(mine))])
        self.usual.merge(facts.flow_baseline())
        self.memory.learn(facts.counters)
        self.memory.late += facts.late

    def view(self, host: str) -> HostView:
        """What a host's logs can show; it grows as they are read."""
        view = self._views.get(host)
        if view is None:
            view = self._views[host] = HostView(self.kinds.setdefault(host, set()), self.names.get(host))
        return view

    def owner(self, folder: str) -> str | None:
        """The one host that the logs of a folder name."""
        hosts = self.folders.get(folder, set())
        return next(iter(hosts)) if len(hosts) == 1 else None

    def told(self) -> Facts:
        """All facts but what was counted, as `learn` takes them: the counters are in the history of the store."""
        return Facts(
            kinds={host: sorted(kinds) for host, kinds in self.kinds.items()},
            names=self.names,
            folders={folder: sorted(hosts) for folder, hosts in self.folders.items()},
            addresses={host: sorted(found) for host, found in self.addresses.items()},
            sides=[(*key, count) for key, count in self.usual.sides.items()],
            peers={peer: sorted(hosts) for peer, hosts in self.usual.peers.items()},
            talkers=sorted(self.usual.hosts),
            redirects=self.usual.redirects,
            late=self.memory.late,
        )
