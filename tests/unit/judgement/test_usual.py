"""How usual the parts of a transfer are, with a history and without."""

from __future__ import annotations

import pytest

from tidewaiter.baseline.counters import ANY, Cell, Counters
from tidewaiter.baseline.decay import DAY, level_of
from tidewaiter.baseline.memory import Evidence
from tidewaiter.catalog import weights
from tidewaiter.judgement.judge import Judge
from tidewaiter.judgement.usual import usual
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import STAGES, Device, File, Landing, Origin, Process, StageRecord, Transfer

TODAY = 20_000


def case(
    *, utility: str = "curl", program: str = "curl", host: str = "WS01.example.com", analytic: str = "command_execution"
) -> Case:
    transfer = Transfer(
        id="a",
        time=render_time(TODAY * DAY + 5),
        device=Device(hostname=host),
        utility=utility,
        process=Process(),
        src=Origin(hostname="files.example.com"),
        dst=Landing(),
        file=File(sha256="AB" * 32),
        stages={name: StageRecord(state="not_seen") for name in STAGES},
    )
    action = Action(kind=ActionKind.INGRESS, utility=utility, urls=("http://files.example.com/a",))
    return Case(transfer=transfer, action=action, analytic=analytic, program=program, urls=action.urls)


class Written(Evidence):
    """Counters written down, as the history of a store or as the evidence at hand."""

    def __init__(self, *rows: tuple[str, str, str, int, int], history: bool) -> None:
        cells: dict[str, dict[tuple[str, str], Cell]] = {}
        for facet, key, host, first, count in rows:
            level = level_of(count, TODAY, 30.0)
            cells.setdefault(facet, {})[key, host] = Cell(level, first * DAY, TODAY * DAY)
        self.counters = Counters(cells=cells)
        super().__init__(self.counters)
        self.history = history

    @property
    def is_history(self) -> bool:  # type: ignore[override]  # a stand-in that can be both
        return self.history


FLEET = [("host", ANY, host, TODAY - 60, 100) for host in ("ws01", "ws02", "ws03", "ws04")]
OTHERS = [("utility", ANY, host, TODAY - 60, 10) for host in ("ws01", "ws02", "ws03")]
SPOKEN = [("domain", ANY, host, TODAY - 60, 10) for host in ("ws01", "ws02", "ws03")]


def reasons(memory: Written, one: Case | None = None) -> set[str]:
    return {reason for reason, _ in usual(one or case(), memory)}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], {"utility_first_use", "domain_first_seen"}),
        ([("utility", "curl", "ws02", TODAY - 9, 3)], {"utility_new_on_host", "domain_first_seen"}),
        ([("utility", "curl", "ws02", TODAY - 9, 3), ("utility", "curl", "ws03", TODAY - 9, 3)], {"domain_first_seen"}),
        ([("utility", "curl", "ws01", TODAY - 9, 3)], {"domain_first_seen"}),
        (
            [("utility", "curl", "ws01", TODAY, 3), ("domain", "example.com", "ws01", TODAY - 9, 3)],
            {"domain_on_one_host"},
        ),
        (
            [("utility", "curl", "ws01", TODAY, 3), ("domain", "example.com", "", TODAY - 9, 3)],
            set(),
        ),
        (
            [("utility", "curl", "ws01", TODAY, 3), ("domain", "example.com", "ws02", TODAY - 9, 3)],
            set(),
        ),
    ],
)
def test_first_times_are_told_by_a_history(rows: list[tuple[str, str, str, int, int]], expected: set[str]) -> None:
    assert reasons(Written(*FLEET, *rows, history=True)) == expected


def test_a_young_history_knows_no_first_times() -> None:
    young = [("host", ANY, host, TODAY - 2, 100) for host in ("ws01", "ws02", "ws03")]

    assert reasons(Written(*young, history=True)) == set()


def test_what_was_given_up_may_have_been_seen() -> None:
    memory = Written(*FLEET, history=True)
    memory._evicted = {"utility": 1, "domain": 1}

    assert reasons(memory) == set()


@pytest.mark.parametrize(("count", "network", "expected"), [(50, 0, True), (2, 0, False), (50, 1, False)])
def test_a_program_that_never_used_the_network(count: int, network: int, expected: bool) -> None:
    rows = [("program", "notepad", "ws02", TODAY - 30, count)]
    rows += [("network_program", "notepad", "ws03", TODAY - 30, 1)] if network else []
    rows += [("network_program", "chrome", "ws03", TODAY - 30, 9)]

    found = reasons(Written(*FLEET, *rows, history=True), case(program="notepad"))
    assert ("program_first_network" in found) is expected


USED = [("program_domain", "curl example.com", "ws01", TODAY - 20, 40)]
THERE = [("hash", "ab" * 32, host, TODAY - 20, 1) for host in ("ws02", "ws03", "ws04")]


@pytest.mark.parametrize(("history", "suffix"), [(True, ""), (False, "_in_evidence")])
def test_what_has_been_usual_for_a_while_lowers(history: bool, suffix: str) -> None:
    found = reasons(Written(*FLEET, *USED, *THERE, history=history))

    assert {f"source_usual{suffix}", f"file_prevalent{suffix}"} <= found


@pytest.mark.parametrize("history", [True, False])
def test_what_spreads_today_is_not_usual(history: bool) -> None:
    today = [(facet, key, host, TODAY - 1, 50) for facet, key, host, _, _ in (*USED, *THERE)]
    found = reasons(Written(*FLEET, *today, history=history))

    assert not any(name.startswith(("source_usual", "file_prevalent")) for name in found)


def test_without_a_history_only_what_one_host_alone_does_is_rare() -> None:
    mine = [("utility", "curl", "ws01", TODAY, 1), ("domain", "example.com", "ws01", TODAY, 1)]
    theirs = [("utility", "curl", "ws02", TODAY, 1), ("domain", "example.com", "ws02", TODAY, 1)]

    assert reasons(Written(*FLEET, *OTHERS, *SPOKEN, *mine, history=False)) == {
        "utility_rare_in_evidence",
        "domain_rare_in_evidence",
    }
    assert reasons(Written(*FLEET, *OTHERS, *SPOKEN, *mine, *theirs, history=False)) == set()
    assert reasons(Written(*FLEET, *mine, history=False)) == set()


def test_without_a_history_every_text_says_that_it_rests_on_the_evidence() -> None:
    known = weights.load().reason
    rare = [name for name in known if name.endswith("_in_evidence")]

    assert len(rare) == 4
    assert all("evidence at hand" in known[name].text and abs(known[name].weight) <= 4 for name in rare)


def test_nothing_is_known_of_an_empty_history() -> None:
    assert reasons(Written(history=True)) == set()
    assert reasons(Written(history=False)) == set()


def test_the_network_side_names_no_programs() -> None:
    assert reasons(Written(*FLEET, history=True), case(analytic="wire", program="")) == {"domain_first_seen"}


def test_the_judge_adds_them_to_the_score() -> None:
    plain, weighed = Judge().one(case()), Judge(Written(*FLEET, history=True)).one(case())
    added = {reason.id: reason.weight for reason in weighed.reasons if reason.id in ("utility_first_use", "domain_first_seen")}

    assert set(added) == {"utility_first_use", "domain_first_seen"}
    before = sum(reason.weight for reason in plain.reasons if reason.id != "bound")
    assert weighed.score == before + sum(added.values())
    assert sum(reason.weight for reason in weighed.reasons) == weighed.score


def test_texts_hold_what_was_counted() -> None:
    texts = dict(usual(case(), Written(*FLEET, *USED, history=True)))

    assert texts["utility_first_use"] == "curl, in 60 days of history of 4 hosts"
    assert texts["source_usual"].startswith("curl with example.com since 2024-09-")
