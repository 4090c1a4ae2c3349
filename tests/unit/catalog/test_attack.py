"""What ATT&CK says around a transfer, and what is wrong in a file of it."""

from __future__ import annotations

from importlib import resources

import msgspec
import pytest

from tidewaiter.catalog import attack, roles, utilities, weights
from tidewaiter.errors import KnowledgeError
from tidewaiter.schema.transfer import STAGES, Device, EvidenceRow, File, Landing, Origin, Process, StageRecord, Transfer


def transfer(utility: str = "certutil", techniques: list[str] | None = None, source: str = "windows_sysmon") -> Transfer:
    return Transfer(
        id="x",
        time=None,
        device=Device(),
        utility=utility,
        process=Process(),
        src=Origin(hostname="files.example.org"),
        dst=Landing(),
        file=File(name="a.exe"),
        stages={stage: StageRecord(state="seen" if stage in ("commanded", "landed") else "not_seen") for stage in STAGES},
        techniques=techniques or ["T1105"],
        evidence=[EvidenceRow(log_file="a", record="1", time=None, log_source=source, summary="")],
    )


def test_the_context_names_techniques_analytics_components_and_who_else_did_so() -> None:
    found = attack.context(transfer(techniques=["T1105", "T1036.003"]))

    assert [(one.id, one.name) for one in found.techniques] == [
        ("T1105", "Ingress Tool Transfer"),
        ("T1036.003", "Masquerading: Rename Legitimate Utilities"),
    ]
    assert found.strategy is not None
    assert found.strategy.id == "DET0060"
    assert [one.id for one in found.analytics] == ["AN0165"]
    assert [one.id for one in found.components] == ["DC0032", "DC0064", "DC0039"]
    assert [(one.procedure, one.by[0].id, one.by[0].kind) for one in found.documented] == [
        ("fetching with certutil", "G0027", "group")
    ]


@pytest.mark.parametrize(
    ("source", "analytics"),
    [("linux_auditd", ["AN0166"]), ("macos_quarantine", ["AN0167"]), ("esxi_shell", ["AN0168"]), ("zeek", [])],
)
def test_the_analytics_are_those_of_the_platform_that_gave_evidence(source: str, analytics: list[str]) -> None:
    assert [one.id for one in attack.context(transfer(source=source)).analytics] == analytics


def test_the_strategy_for_ingress_is_not_claimed_for_lateral_transfers() -> None:
    found = attack.context(transfer("unheard-of", ["T1570"]))

    assert (found.strategy, found.analytics, found.documented) == (None, (), ())


@pytest.mark.parametrize(
    ("change", "procedure"),
    [
        ({"techniques": ["T1105", "T1059.001"]}, "fetching with PowerShell"),
        ({"protocol": "ftp"}, "fetching over FTP"),
        ({"src": Origin(hostname="cdn.discordapp.com")}, "files kept at Discord"),
        ({"file": File(name="a.vbs")}, "scripts in Visual Basic that are fetched"),
    ],
)
def test_a_procedure_is_known_by_any_of_its_signs(change: dict[str, object], procedure: str) -> None:
    one = msgspec.structs.replace(transfer("unheard-of"), **change)

    assert [item.procedure for item in attack.context(one).documented] == [procedure]


def test_techniques_that_are_not_in_the_file_are_shown_without_a_name() -> None:
    assert attack.context(transfer(techniques=["T1105", "T9999"])).techniques[1] == attack.Named("T9999", "")


def test_every_technique_that_a_utility_names_has_a_name() -> None:
    named = {one for utility in utilities.load().utilities for form in utility.form for one in form.techniques}

    assert named - set(attack.load().techniques) == set()


def test_the_file_names_only_what_the_other_files_know() -> None:
    known = attack.load()
    kinds = roles.load()

    assert {reason for one in known.shows for reason in one.reasons} - set(weights.load().reason) == set()
    assert {stage for one in known.shows for stage in one.stages} - set(STAGES) == set()
    assert {kind for one in known.shows for kind in one.types} - kinds.script_types - {"bash", "pyc"} == set()
    assert {by for one in known.procedure for by in one.by} == set(known.names)


SHIPPED = (resources.files("tidewaiter") / "knowledge" / "attack.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('technique = "T1218.001"', 'technique = "T0000"', "T0000"),
        ('by = ["G0129"]', 'by = ["G9999"]', "G9999"),
        ('components = ["DC0078", "DC0039"]', 'components = ["DC9999"]', "DC9999"),
        ("[strategy]", "[strategy]\nauthor = 1", "author"),
        ("[strategy]", "[strategy", "attack.toml: file"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(before: str, after: str, says: str) -> None:
    with pytest.raises(KnowledgeError, match=says):
        attack.parse(SHIPPED.replace(before, after, 1), "attack.toml")
