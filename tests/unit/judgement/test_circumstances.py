"""Each circumstance where it holds, and where something like it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter.judgement.circumstances import circumstances
from tidewaiter.judgement.judge import Judge
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import STAGES, Device, File, Landing, Origin, Process, StageRecord, Transfer

URL = "https://files.example.org/a"


def case(
    url: str = URL, dest: str | None = None, line: str = "", utility: str = "curl", program: str = "curl", **fields: Any
) -> Case:
    src = {key: fields.pop(key) for key in ("ip", "port", "hostname") if key in fields}
    action = {key: fields.pop(key) for key in ("kind", "runs", "in_memory", "form") if key in fields}
    transfer = Transfer(
        id="x",
        time="2026-01-02T10:00:00Z",
        device=Device(hostname="web1"),
        process=Process(command_line=line),
        src=Origin(url=url or None, **src),
        dst=Landing(path=dest),
        file=File(),
        stages={stage: StageRecord(state=fields.pop(stage, "not_seen")) for stage in STAGES},
        outcome=fields.pop("outcome", "completed"),
    )
    kind = action.pop("kind", ActionKind.INGRESS)
    fields.setdefault("analytic", "command_execution")
    return Case(
        transfer=transfer,
        action=Action(kind=kind, utility=utility, urls=(url,) if url else (), dest=dest, **action),
        urls=(url,) if url else (),
        dest=dest,
        program=program,
        **fields,
    )


def reasons(one: Case) -> set[str]:
    return {reason for reason, _ in circumstances(one)}


HOLDS: list[tuple[str, dict[str, Any]]] = [
    ("bare_address", {"url": "http://198.51.100.7/a"}),
    ("inside_source", {"url": "http://10.0.0.7/a"}),
    ("loopback", {"url": "http://127.0.0.1:8000/a"}),
    ("odd_port", {"url": "http://files.example.org:4444/a", "port": 4444}),
    ("cleartext", {"url": "http://files.example.org/a"}),
    ("hosting_service", {"url": "https://pastebin.com/raw/x"}),
    ("known_source", {"url": "https://www.python.org/a.tgz"}),
    ("executable_type", {"dest": "/tmp/a.elf"}),
    ("script_type", {"dest": "C:\\T\\a.ps1"}),
    ("document_type", {"dest": "C:\\T\\a.pdf"}),
    ("double_extension", {"dest": "C:\\T\\invoice.pdf.exe"}),
    ("disguised_type", {"url": "https://files.example.org/a.jpg", "dest": "C:\\T\\a.exe"}),
    ("open_folder", {"dest": "C:\\Users\\Public\\a"}),
    ("open_folder", {"dest": "/dev/shm/a"}),
    ("hidden_name", {"dest": "/home/ann/.a"}),
    ("startup_folder", {"dest": "/etc/cron.d/a"}),
    ("web_root", {"dest": "/var/www/html/a.php"}),
    ("system_folder", {"dest": "C:\\Windows\\System32\\a.dll"}),
    ("alternate_stream", {"dest": "C:\\T\\a.txt:b.exe"}),
    ("encoded_command", {"line": "powershell -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQA"}),
    ("hidden_window", {"line": "powershell -w hidden -c x"}),
    ("renamed_program", {"original_name": "curl.exe", "program": "svc", "utility": "curl"}),
    ("runs_at_once", {"runs": True}),
    ("in_memory", {"in_memory": True}),
    ("utility_unusual", {"utility": "certutil", "program": "certutil"}),
    ("package_manager", {"utility": "git", "program": "git"}),
    ("office_parent", {"ancestors": ("winword",)}),
    ("web_parent", {"ancestors": ("bash", "apache2")}),
    ("script_parent", {"ancestors": ("wscript",)}),
    ("failed", {"failed": True}),
    ("blocked", {"outcome": "blocked"}),
    ("checked_after", {"checked": "seen"}),
    ("run_after", {"marks": {"run_after": ""}}),
    ("lateral_command", {"kind": ActionKind.LATERAL}),
    ("raw_socket", {"utility": "nc", "program": "nc", "url": "198.51.100.7:4444", "dest": "/srv/a"}),
]


@pytest.mark.parametrize(("reason", "fields"), HOLDS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_circumstance_is_seen(reason: str, fields: dict[str, Any]) -> None:
    assert reason in reasons(case(**fields))
    assert reason not in reasons(case())


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("inside_source", {"url": "http://198.51.100.7/a"}),
        ("bare_address", {"url": "http://127.0.0.1/a"}),
        ("bare_address", {"kind": ActionKind.LATERAL, "url": "http://198.51.100.7/a"}),
        ("odd_port", {"url": "https://files.example.org:8443/a", "port": 8443}),
        ("double_extension", {"dest": "C:\\T\\my.tool.exe"}),
        ("disguised_type", {"url": "https://files.example.org/a.exe", "dest": "C:\\T\\b.exe"}),
        ("hosting_service", {"url": "https://notpastebin.com.example.org/raw"}),
        ("alternate_stream", {"dest": "C:\\T\\a.txt"}),
        ("web_root", {"dest": "/var/www/html/a.png"}),
        ("renamed_program", {"original_name": "curl.exe", "program": "curl"}),
        ("encoded_command", {"line": "tool -e short"}),
        ("hidden_name", {"dest": "/home/ann/.config/a"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_something_like_it_is_not(reason: str, fields: dict[str, Any]) -> None:
    assert reason not in reasons(case(**fields))


def test_an_updater_is_known_by_asker_and_source_together() -> None:
    source = "http://download.windowsupdate.com/a.exe"

    assert "known_updater" in reasons(case(source, utility="bits", program="svchost"))
    assert "known_updater" not in reasons(case(source, utility="curl", program="curl"))
    assert "known_updater" not in reasons(case(URL, utility="bits", program="svchost"))


def test_a_name_alone_is_informational() -> None:
    for utility in ("curl", "certutil", "bitsadmin", "wget", "scp"):
        transfer = Judge().one(case("", utility=utility, program=utility))
        assert transfer.severity == "informational", utility


def test_context_raises_it() -> None:
    loud = case("http://198.51.100.7:8000/a.exe", "C:\\Users\\Public\\a.exe", port=8000, marks={"run_after": ""}, runs=True)
    transfer = Judge().one(loud)

    assert transfer.severity in ("high", "critical")
    assert [abs(reason.weight) for reason in transfer.reasons] == sorted(
        (abs(reason.weight) for reason in transfer.reasons), reverse=True
    )


def test_techniques_begin_with_the_kind_of_transfer() -> None:
    assert Judge().one(case()).techniques[0] == "T1105"
    lateral = case(kind=ActionKind.LATERAL)
    lateral.transfer.direction = "lateral"

    assert Judge().one(lateral).techniques[0] == "T1570"
