"""A wrong join of host and wire is worse than none: what joins, what does not, and what the later stage says of spread."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.correlation.joins import Joins, joined
from tidewaiter.correlation.spread import links
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import STAGES, Device, EvidenceRow, File, Landing, Origin, Process, StageRecord, Transfer

START = 1_767_348_000_000_000
SECOND = 1_000_000
SUM = "a" * 64


def case(
    *,
    wire: bool = False,
    host: str | None = None,
    ip: str | None = None,
    url: str | None = "http://192.0.2.7/kit",
    sender: str | None = "192.0.2.7",
    port: int | None = 80,
    at: int = 0,
    name: str = "kit",
    sha256: str | None = None,
    outcome: str = "completed",
    analytic: str = "command_execution",
    sent: tuple[tuple[int, str, str | None], ...] = (),
) -> Case:
    moment = render_time(START + at * SECOND)
    stages = {stage: StageRecord(state="not_seen") for stage in STAGES}
    stages["carried" if wire else "commanded"] = StageRecord(state="seen", time=moment, evidence=[0])
    transfer = Transfer(
        id=f"{host}{ip}{at}{wire}",
        time=moment,
        device=Device(hostname=host, ip=ip),
        process=Process(),
        src=Origin(url=url, ip=sender, port=port),
        dst=Landing(path=None if wire else f"/tmp/{name}"),
        file=File(name=name, sha256=sha256, size=9 if wire else None),
        stages=stages,
        outcome=outcome,  # type: ignore[arg-type]  # told as text
        evidence=[EvidenceRow(log_file="log", record="1", time=moment, log_source="any", summary="")],
    )
    action = Action(kind=ActionKind.INGRESS, utility="curl", urls=(url,) if url else ())
    return Case(
        transfer=transfer,
        action=action,
        analytic="wire" if wire else analytic,
        urls=(url,) if url else (),
        dest=None,
        sent=sent,
    )


def test_the_same_url_at_the_same_time_is_one_record() -> None:
    (one,) = joined([case(host="web1"), case(wire=True, ip="198.51.100.9", at=1, sha256=SUM)], Joins())

    assert (
        one.transfer.stages["carried"].state,
        one.transfer.file.sha256,
        one.transfer.file.size,
        one.transfer.device.ip,
    ) == ("seen", SUM, 9, "198.51.100.9")


def test_two_receivers_and_nothing_to_tell_them_apart_join_nothing() -> None:
    wires = [case(wire=True, ip=f"198.51.100.{number}", at=1, sha256=SUM) for number in (8, 9)]

    assert len(list(joined([case(host="web1"), *wires], Joins()))) == 3


def test_the_hosts_own_address_tells_them_apart() -> None:
    wires = [case(wire=True, ip=f"198.51.100.{number}", at=1, sha256=str(number) * 64) for number in (8, 9)]
    out = list(joined([case(host="web1"), *wires], Joins({"web1": {"198.51.100.9"}})))

    assert [one.transfer.file.sha256 for one in out if one.transfer.device.hostname == "web1"] == ["9" * 64]


def test_a_decoy_of_the_same_name_from_elsewhere_does_not_join() -> None:
    decoy = case(wire=True, ip="198.51.100.9", url="http://203.0.113.4/kit", sender="203.0.113.4", sha256=SUM)

    assert [one.transfer.file.sha256 for one in joined([case(host="web1"), decoy], Joins())] == [None, SUM]


def test_the_same_url_an_hour_later_does_not_join() -> None:
    late = case(wire=True, ip="198.51.100.9", at=3_600, sha256=SUM)

    assert len(list(joined([case(host="web1"), late], Joins()))) == 2


def test_the_hash_of_a_redirected_file_is_that_of_the_file_and_not_of_the_answer_that_sent_there() -> None:
    answer = case(wire=True, ip="198.51.100.9", at=1, sha256="b" * 64)
    answer.marks["redirected"] = "to http://203.0.113.4/kit"
    content = case(wire=True, ip="198.51.100.9", at=2, url="http://203.0.113.4/kit", sender="203.0.113.4", sha256=SUM)
    content.marks["redirected"] = "from http://192.0.2.7/kit"
    (one,) = joined([case(host="web1"), answer, content], Joins())

    assert (one.transfer.stages["carried"].state, one.transfer.file.sha256, one.transfer.file.size) == ("seen", SUM, 9)


def test_a_failed_answer_makes_the_attempt_a_failure() -> None:
    (one,) = joined([case(host="web1", outcome="attempted"), case(wire=True, ip="198.51.100.9", outcome="failed")], Joins())

    assert one.transfer.outcome == "failed"


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_the_cases_does_not_matter(order: list[int]) -> None:
    hosts = [case(host=f"web{number}", at=number * 400, url=f"http://192.0.2.7/{number}") for number in range(3)]
    wires = [
        case(
            wire=True, ip=f"198.51.100.{number}", at=number * 400 + 1, url=f"http://192.0.2.7/{number}", sha256=str(number) * 64
        )
        for number in range(3)
    ]
    cases = [*hosts, *wires]
    out = joined([cases[number] for number in order], Joins())

    assert {(f"web{number}", str(number) * 64) for number in range(3)} == {
        (one.transfer.device.hostname, one.transfer.file.sha256) for one in out
    }


def test_a_file_sent_on_is_linked_to_the_host_that_had_it_first() -> None:
    first = case(host="web1", sent=((START + 60 * SECOND, "kit", "web2"),))
    second = case(host="web2", url=None, sender="198.51.100.9", port=None, at=61, analytic="file_from_network")
    joins = Joins()
    for one in (first, second):
        joins.add(one)

    assert [(link.first_host, link.key) for link in links(joins.entries, {"198.51.100.9": "web1"})] == [("web1", "sent")]


def test_two_hosts_that_fetched_the_same_file_outside_are_no_spread() -> None:
    joins = Joins()
    for number in (1, 2):
        joins.add(case(host=f"web{number}", at=number * 60, sha256=SUM))

    assert links(joins.entries, {"198.51.100.9": "web1"}) == []
