"""Cases that come, change and go one by one are told as they would be if all of them were joined at once."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.live_cases import LiveCases
from tidewaiter.pipeline.live_facts import LiveFacts
from tidewaiter.pipeline.live_folds import Change
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import STAGES, Device, EvidenceRow, File, Landing, Origin, Process, StageRecord, Transfer

START = 1_767_348_000_000_000
SECOND = 1_000_000
HOSTS = {"web1": "192.0.2.20", "web2": "192.0.2.30"}
SENDERS = ("198.51.100.7", "203.0.113.4", "192.0.2.20")
NAMES = ("kit", "tool.exe", "")
URLS = ("http://198.51.100.7/kit", "http://203.0.113.4/r/tool.exe", "http://203.0.113.4/r", None)
SUMS = (None, None, "a" * 64, "b" * 64)
PROTOCOLS = ("http", "tftp", "ssh")
ANALYTICS = ("command_execution", "command_execution", "file_from_network")


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    wire = draw(st.booleans())
    host = draw(st.sampled_from(sorted(HOSTS)))
    at = draw(st.sampled_from((0, 1, 2, 30, 100, 200, 350, 500, 900)))
    url, name, sha256 = draw(st.sampled_from(URLS)), draw(st.sampled_from(NAMES)), draw(st.sampled_from(SUMS))
    moment = render_time(START + at * SECOND)
    stages = {stage: StageRecord(state="not_seen") for stage in STAGES}
    stages["carried" if wire else "commanded"] = StageRecord(state="seen", time=moment, evidence=[0])
    sent = draw(st.sampled_from(((), (), ((START + (at + 20) * SECOND, "kit", "web2"),))))
    marks = draw(st.sampled_from(({}, {}, {"redirected": f"to {URLS[1]}"}, {"redirected": f"from {URLS[0]}"})))
    outcome: Any = draw(st.sampled_from(("completed", "completed", "partial")))
    transfer = Transfer(
        id="",
        time=moment,
        device=Device(hostname=None if wire else host, ip=HOSTS[host] if wire or draw(st.booleans()) else None),
        process=Process(),
        protocol=draw(st.sampled_from(PROTOCOLS)) if wire or draw(st.booleans()) else None,
        src=Origin(url=url, ip=draw(st.sampled_from(SENDERS)), port=draw(st.sampled_from((80, 443, None)))),
        dst=Landing(path=None if wire else f"/tmp/{name}"),
        file=File(name=name or None, sha256=sha256, size=9 if wire else None),
        stages=stages,
        outcome=outcome,
        evidence=[EvidenceRow(log_file="log", record="1", time=moment, log_source="any", summary="")],
    )
    return Case(
        transfer=transfer,
        action=Action(kind=ActionKind.INGRESS, utility="curl", urls=(url,) if url else ()),
        analytic="wire" if wire else draw(st.sampled_from(ANALYTICS)),
        urls=(url,) if url else (),
        marks=dict(marks) if wire else {},
        sent=() if wire else sent,
    )


SLOTS = st.integers(0, 13).map(lambda number: f"key{number:02}")
ACTS = st.lists(st.tuples(SLOTS, st.one_of(_cases(), _cases(), _cases(), st.none()), st.booleans()), max_size=40)


def _new() -> LiveCases:
    facts = LiveFacts()
    for host, ip in HOSTS.items():
        facts.addresses[host] = {ip}
    cases = LiveCases(Judge(facts.memory), facts.addresses)
    list(cases.tell())  # what it looks at is no longer all there is
    return cases


def _tell(cases: LiveCases, told: dict[str, Any]) -> None:
    while cases.stale:
        for one in cases.tell():
            if one.transfer is None:
                told.pop(one.id, None)
            else:
                told[one.id] = msgspec.to_builtins(one.transfer)


def _case(*, wire: bool, at: int = 0) -> Case:
    """Both sides of one download."""
    moment, url = render_time(START + at * SECOND), URLS[0]
    stages = {stage: StageRecord(state="not_seen") for stage in STAGES}
    stages["carried" if wire else "commanded"] = StageRecord(state="seen", time=moment, evidence=[0])
    transfer = Transfer(
        id=f"of {wire} {at}",
        time=moment,
        device=Device(hostname=None if wire else "web1", ip=HOSTS["web1"] if wire else None),
        process=Process(),
        src=Origin(url=url),
        dst=Landing(path=None if wire else "/tmp/kit"),
        file=File(name="kit"),
        stages=stages,
        evidence=[EvidenceRow(log_file="log", record="1", time=moment, log_source="any", summary="")],
    )
    action = Action(kind=ActionKind.INGRESS, utility="curl", urls=(url or "",))
    return Case(transfer=transfer, action=action, analytic="wire" if wire else "command_execution", urls=action.urls)


def test_a_file_on_the_wire_stays_with_the_transfer_that_it_was_joined_with() -> None:
    cases, told = _new(), dict[str, Any]()
    host = _case(wire=False)
    cases.take([Change("host", host, False), Change("wire", _case(wire=True, at=1), True)])
    _tell(cases, told)
    assert told["of False 0"]["stages"]["carried"]["state"] == "seen"
    cases.prune(START + 20 * 3_600 * SECOND)
    assert len(cases) == 2
    host.transfer.stages["run"] = StageRecord(state="seen")
    cases.take([Change("host", host, True)])  # it was run hours later, and is over
    _tell(cases, told)
    assert (told["of False 0"]["stages"]["carried"]["state"], told["of False 0"]["stages"]["run"]["state"]) == ("seen", "seen")
    cases.prune(START + 30 * 3_600 * SECOND)
    assert len(cases) == 0


@settings(max_examples=300, deadline=None)
@given(ACTS)
def test_one_by_one_is_as_all_at_once(acts: list[tuple[str, Case | None, bool]]) -> None:
    cases, told = _new(), dict[str, Any]()
    last: dict[str, Case] = {}
    for key, case, tell in acts:
        if case is None:
            last.pop(key, None)
        else:
            case.transfer.id = f"of {key}"
            last[key] = case
        cases.take([Change(key, case, False)])
        if tell:
            _tell(cases, told)
    _tell(cases, told)
    whole, wanted = _new(), dict[str, Any]()
    whole.take([Change(key, case, False) for key, case in last.items()])
    whole.judge_anew()
    _tell(whole, wanted)
    assert told == wanted


@given(_cases(), st.booleans())
def test_copies_of_one_event_have_ids_of_their_own(case: Case, apart: bool) -> None:
    cases, told = _new(), dict[str, Any]()
    case.transfer.id = "one"
    for key in ("key00", "key01", "key02"):
        cases.take([Change(key, case, False)])
        if apart:
            _tell(cases, told)
    _tell(cases, told)
    kept = [one for key in ("key00", "key01", "key02") if (one := cases.kept(key)) is not None]
    assert told.keys() == {one.told for one in kept if one.told is not None}
    assert len(told) == len([one for one in kept if one.told is not None]) >= 1
