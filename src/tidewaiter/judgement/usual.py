"""How usual the parts of a transfer are, by the history in a store or, without one, by the evidence at hand.

Each circumstance names a reason of knowledge/weights.toml. Those of the evidence have names of their own, small weights and
texts that say so. "Never" is only said of facets from which nothing was given up.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidewaiter.baseline import names
from tidewaiter.baseline.counters import ANY, Known
from tidewaiter.baseline.decay import DAY, rate, weight
from tidewaiter.baseline.memory import Memory, days
from tidewaiter.schema.case import Case
from tidewaiter.schema.moments import parse_time, render_time
from tidewaiter.schema.transfer import Transfer

SETTLED = 7
"""Days that a history, or the use of something, must span before it says anything."""
FLEET = 3
"""Hosts from which on it means something that only one of them does a thing."""
OFTEN = 5.0
"""Observations, faded, from which on something is frequent."""

Circumstance = tuple[str, str]
"""Reason id and detail."""


def usual(case: Case, memory: Memory) -> Iterator[Circumstance]:
    """Every circumstance that holds."""
    host = names.host_of(case.transfer.device.hostname or case.transfer.device.ip)
    fleet = memory.known("host", ANY, host)
    if fleet is None:
        return
    asked = _Asked(case, memory, host, fleet)
    if memory.is_history:
        if days(fleet) >= SETTLED:
            yield from asked.first_times()
    else:
        yield from asked.rare_here()
    yield from asked.well_known()


class _Asked:
    """The questions about one case."""

    def __init__(self, case: Case, memory: Memory, host: str, fleet: Known) -> None:
        self.case = case
        self.memory = memory
        self.host = host
        self.fleet = fleet
        self.moment = parse_time(case.transfer.time) or fleet.last if case.transfer.time else fleet.last
        self.domain = names.domain_of(case.transfer.src.hostname)
        self.by_host = case.analytic != "wire"  # the network's side names no programs

    def _known(self, facet: str, key: str) -> Known | None:
        return self.memory.known(facet, names.bounded(key), self.host)

    def _before(self, known: Known | None) -> bool:
        """Whether something was there SETTLED days before this transfer."""
        return known is not None and known.first <= self.moment - SETTLED * DAY

    def _history(self) -> str:
        return f"{days(self.fleet):.0f} days of history of {_hosts(len(self.fleet.hosts))}"

    # ------------------------------------------------------------ with a history
    def first_times(self) -> Iterator[Circumstance]:
        """What was never, or hardly ever, seen in the history."""
        utility = self.case.action.utility
        if self.by_host and utility and self.memory.complete("utility"):
            known = self._known("utility", utility)
            if known is None:
                yield "utility_first_use", f"{utility}, in {self._history()}"
            elif known.here is None and len(known.hosts) <= 1 and len(self.fleet.hosts) >= FLEET:
                yield "utility_new_on_host", f"{utility} (used on {_hosts(len(known.hosts))} before)"
        if self.domain and self.memory.complete("domain"):
            known = self._known("domain", self.domain)
            if known is None:
                yield "domain_first_seen", f"{self.domain}, in {self._history()}"
            elif len(self.fleet.hosts) >= FLEET and known.only(self.host):
                yield "domain_on_one_host", f"{self.domain}, of {_hosts(len(self.fleet.hosts))}"
        program = self.case.program
        if program and self.by_host and self.memory.complete("network_program"):
            ran = self._known("program", program)
            watched = self.memory.known("network_program", program, self.host)
            if ran is not None and watched is None and weight(ran.level, self.fleet.last, self.memory.half_life) >= OFTEN:
                yield "program_first_network", f"{program}, known since {_date(ran.first)}"

    # ---------------------------------------------------------- without a history
    def rare_here(self) -> Iterator[Circumstance]:
        """What only this host does, of all in the evidence."""
        if not self.by_host:
            return
        for facet, key in (("utility", self.case.action.utility), ("domain", self.domain)):
            known = self._known(facet, key) if key and self.memory.complete(facet) else None
            others = self._known(facet, ANY)
            if known is None or others is None or len(others.hosts) < FLEET:
                continue
            if known.only(self.host):
                yield f"{facet}_rare_in_evidence", f"{key}, of {_hosts(len(others.hosts))} that use any"

    # ----------------------------------------------------------------- lowering
    def well_known(self) -> Iterator[Circumstance]:
        """What has been usual for a while: the file on several hosts, this source for this program."""
        suffix = "" if self.memory.is_history else "_in_evidence"
        value = _digest(self.case.transfer)
        known = self._known("hash", value) if value else None
        if known is not None and self._before(known) and len(known.hosts) >= FLEET:
            yield f"file_prevalent{suffix}", f"on {_hosts(len(known.hosts))} since {_date(known.first)}"
        if self.domain is None or not self.case.program:
            return
        known = self._known("program_domain", f"{self.case.program} {self.domain}")
        if known is None or not self._before(known):
            return
        if weight(known.level, max(self.moment, known.last), self.memory.half_life) >= OFTEN:
            often = rate(known.level, max(self.moment, known.last), self.memory.half_life, days(self.fleet))
            detail = f"{self.case.program} with {self.domain} since {_date(known.first)}, {often:.1f} times a day"
            yield f"source_usual{suffix}", detail


def _digest(transfer: Transfer) -> str | None:
    """The hash by which the baseline knows the file."""
    value = transfer.file.sha256 or transfer.file.sha1 or transfer.file.md5
    return value.lower() if value else None


def _hosts(number: int) -> str:
    return f"{number:,} host" + ("" if number == 1 else "s")


def _date(moment: int) -> str:
    return (render_time(moment) or "an unknown day")[:10]
