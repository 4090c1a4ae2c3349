"""Every score can be added up by hand."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from property.worlds import JUDGE, histories, told
from tidewaiter.pipeline.rows import Row
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import SEVERITIES, STAGES, Device, File, Landing, Origin, Process, StageRecord, Transfer


def check(transfer: Transfer) -> None:
    assert sum(reason.weight for reason in transfer.reasons) == transfer.score
    assert 0 <= transfer.score <= 100
    assert 0 <= transfer.confidence <= 100
    assert transfer.severity in SEVERITIES
    assert transfer.techniques
    assert len({reason.id for reason in transfer.reasons}) == len(transfer.reasons)
    assert all(reason.text and "{detail}" not in reason.text for reason in transfer.reasons)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_the_reasons_of_a_transfer_add_up_to_its_score(rows: list[Row]) -> None:
    for transfer in told([rows]):
        check(transfer)
        for stage in transfer.stages.values():
            assert (stage.state == "seen") == bool(stage.evidence)
            assert all(index < len(transfer.evidence) for index in stage.evidence)


TEXT = st.text(max_size=30)
OF_THE_JUDGE = {"bound", "only_name"}  # it gives these itself
MARK = st.one_of(st.sampled_from(sorted(set(JUDGE.weights.reason) - OF_THE_JUDGE)), TEXT)
PLACES = (r"C:\Users\Public\a.pdf.exe", "/etc/cron.d/x", "/var/www/a.php", r"\\srv\c$\x", "%TEMP%\\a.ps1")
SPELLED = st.one_of(st.none(), TEXT, st.sampled_from(PLACES))
URL = st.one_of(
    TEXT, st.sampled_from(("http://192.0.2.1:99/a.exe", "https://pastebin.com/raw/x", "//[::1", "http://[bad/", "user@h:/x"))
)


@settings(max_examples=150, deadline=None)
@given(
    marks=st.dictionaries(MARK, TEXT, max_size=12),
    urls=st.lists(URL, max_size=3),
    dest=SPELLED,
    line=SPELLED,
    kind=st.sampled_from((ActionKind.INGRESS, ActionKind.LATERAL)),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    names=st.tuples(TEXT, st.one_of(st.none(), TEXT), st.sampled_from(("curl", "certutil", "git", "bash", "smb"))),
)
def test_no_case_breaks_the_sum(
    marks: dict[str, str], urls: list[str], dest: str | None, line: str | None, kind: ActionKind,
    flags: tuple[bool, bool, bool], names: tuple[str, str | None, str],
) -> None:  # fmt: skip
    runs, memory, failed = flags
    transfer = Transfer(
        id="x",
        time=None,
        device=Device(),
        process=Process(command_line=line),
        src=Origin(url=urls[0] if urls else None),
        dst=Landing(path=dest),
        file=File(),
        stages={stage: StageRecord(state="not_seen") for stage in STAGES},
    )
    action = Action(kind=kind, utility=names[2], urls=tuple(urls), dest=dest, runs=runs, in_memory=memory)
    case = Case(
        transfer=transfer, action=action, analytic="command_execution", urls=tuple(urls), dest=dest, program=names[0],
        original_name=names[1], ancestors=(names[0],), marks=marks, failed=failed,
    )  # fmt: skip

    check(JUDGE.one(case))
