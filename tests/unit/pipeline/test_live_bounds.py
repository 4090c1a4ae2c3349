"""What a live engine holds of hosts stays within its bounds, however many hosts there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.correlation.glimpse import glimpse_of
from tidewaiter.pipeline import live_folds
from tidewaiter.pipeline.live_facts import LiveFacts
from tidewaiter.pipeline.live_folds import LiveFolds, LiveHostFold, Rule, even_share
from tidewaiter.pipeline.live_reading import LiveRow
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

START, SECOND = 1_767_348_000_000_000, 1_000_000
ALL = Rule(before=START * 2, arrived=0)


def rows_of(host: str, count: int, *, start: int, fetches: bool = False) -> list[LiveRow]:
    """So many programs that start on a host, one a second; each fetches a file where wanted."""
    found = []
    for number in range(count):
        time = START + (start + number) * SECOND
        line = f"curl -o /tmp/{number} http://files.example.org/{host}/{number}"
        event = Event(
            kind=EventKind.PROCESS_START, time=time, log_source="linux_auditd", log_file=f"{host}.log",
            record=str(start + number), host=host, pid=1_000 + start + number, process_path="/usr/bin/curl", command_line=line,
        )  # fmt: skip
        action = Action(
            kind=ActionKind.INGRESS, utility="curl", form="download", urls=(line.split()[-1],), dest=f"/tmp/{number}"
        )
        findings = (Finding(analytic="command_execution", stage="commanded", action=action),) if fetches else ()
        found.append(LiveRow(host, time, f"{start + number:09}", None, glimpse_of(event, findings)))
    return found


def held(folds: LiveFolds) -> dict[str, tuple[int, int]]:
    """Processes and unfinished transfers by host."""
    hosts = {group: fold for group, fold in folds.groups.items() if isinstance(fold, LiveHostFold)}
    return {group: (len(fold.processes), len(fold.drafts)) for group, fold in hosts.items()}


def take(folds: LiveFolds, rows: list[LiveRow]) -> None:
    folds.add(0, rows)
    folds.apply(ALL)


def test_one_host_gives_up_what_was_quiet_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_folds, "DRAFTS_KEPT", 50)
    folds = LiveFolds(LiveFacts())
    take(folds, rows_of("web1", 40, start=0, fetches=True))
    assert held(folds)["web1"][1] == 40
    assert folds.evicted == 0
    take(folds, rows_of("web1", 20, start=40, fetches=True))
    kept = [draft.time for draft in folds.groups["web1"].drafts]  # type: ignore[union-attr]
    assert len(kept) == 50
    assert kept == sorted(kept)[-50:]
    assert min(kept) == START + 10 * SECOND
    assert folds.evicted == 10
    changes = list(folds.changes(all_now=True))
    assert sum(change.final for change in changes) == 10
    assert len(changes) == 60


def test_all_hosts_together_keep_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_folds, "PROCESSES_IN_ALL", 100)
    monkeypatch.setattr(live_folds, "DRAFTS_IN_ALL", 30)
    folds = LiveFolds(LiveFacts())
    for host, count in (("web1", 80), ("web2", 45), ("web3", 10)):
        take(folds, rows_of(host, count, start=0, fetches=True))
    folds.sweep(START + 100 * SECOND)
    now = held(folds)
    assert now["web3"] == (10, 10)  # who holds little gives up nothing
    assert now["web1"][0] == now["web2"][0] == 45
    assert sum(drafts for _, drafts in now.values()) <= 30
    assert folds.evicted == 135 - sum(drafts for _, drafts in now.values())
    assert {change.key.split("#")[0] for change in folds.changes(all_now=True) if change.final} == {"web1", "web2"}
    assert {"web1", "web2"} <= folds.dirty


def test_what_is_within_the_bounds_stays() -> None:
    folds = LiveFolds(LiveFacts())
    take(folds, rows_of("web1", 30, start=0, fetches=True))
    folds.sweep(START + 100 * SECOND)
    assert held(folds)["web1"] == (30, 30)
    assert folds.evicted == 0


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(1, 200))
def test_shares_are_within_the_bound_and_as_large_as_may_be(sizes: list[int], most: int) -> None:
    share = even_share(sizes, most)
    assert sum(min(size, share) for size in sizes) <= most
    if any(size > share for size in sizes):
        assert sum(min(size, share + 1) for size in sizes) > most
