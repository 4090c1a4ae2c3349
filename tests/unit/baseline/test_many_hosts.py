"""A key that many hosts show is added up once, and says the same of each host as adding it up for that host does."""

from __future__ import annotations

import pytest

from tidewaiter.baseline import memory
from tidewaiter.baseline.counters import Cell, Counters, known_of
from tidewaiter.baseline.decay import DAY
from tidewaiter.baseline.memory import FEW_HOSTS, Evidence

HOSTS = [f"ws{number}" for number in range(3 * FEW_HOSTS)]


def counted() -> Counters:
    cells = {("", host): Cell(float(place), place * DAY, (place + 3) * DAY) for place, host in enumerate(HOSTS)}
    few = {("curl", host): cells["", host] for host in HOSTS[:3]}
    return Counters(cells={"host": {**cells, ("", ""): Cell(1.0, DAY, DAY)}, "utility": few})


@pytest.mark.parametrize("kept", [memory.HOSTS_SUMMED, 1])
def test_says_of_each_host_what_its_own_counters_say(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(memory, "HOSTS_SUMMED", kept)
    evidence, cells = Evidence(counted()), counted().cells
    for host in (*HOSTS, "", "elsewhere"):
        for facet, key in (("host", ""), ("utility", "curl"), ("utility", "wget")):
            rows = [(name, cell) for (known, name), cell in cells[facet].items() if known == key]
            assert evidence.known(facet, key, host) == known_of(iter(rows), host)


def test_what_is_added_later_counts() -> None:
    evidence = Evidence(counted())
    assert evidence.known("host", "", HOSTS[0])
    evidence.add(Counters(cells={"host": {("", "late"): Cell(2.0, 500 * DAY, 500 * DAY)}}))
    known = evidence.known("host", "", "late")
    assert known is not None
    assert known.last == 500 * DAY
    assert known.here == Cell(2.0, 500 * DAY, 500 * DAY)
