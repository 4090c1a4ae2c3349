"""Each analytic: what it finds in one event, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from tidewaiter import analytic
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

ENTRIES = {entry.name: entry for entry in analytic.REGISTER}


def event(kind: EventKind, **fields: Any) -> Event:
    fields.setdefault("log_source", "windows_sysmon")
    return Event(kind=kind, time=1, log_file="x", record="1", **fields)


def found(name: str, one: Event) -> list[Finding]:
    loaded = ENTRIES[name].load()
    assert one.kind in loaded.kinds
    return list(loaded.findings(one)) if loaded.sieve([one]) == [True] else []


def share(target: str, access: int, service: str = "\\\\*\\ADMIN$") -> Event:
    path = f"C:\\Windows\\{target}"
    return event(EventKind.SHARE_ACCESS, service=service, target=target, file_path=path, access=access, src_ip="192.0.2.7")


def zone(content: str, program: str = "chrome.exe") -> Event:
    fields = {"process_path": f"C:\\Apps\\{program}", "file_path": "C:\\T\\a.exe", "target": "Zone.Identifier"}
    return event(EventKind.FILE_STREAM, content=content, **fields)


def written(program: str, path: str, **fields: Any) -> Event:
    return event(EventKind.FILE_CREATE, process_path=program, file_path=path, **fields)


def job(url: str, outcome: str = "completed") -> Event:
    return event(EventKind.JOB, log_source="windows_bits", url=url, outcome=outcome)


def connection(program: str, **fields: Any) -> Event:
    return event(EventKind.CONNECTION, process_path=program, **{"dst_ip": "198.51.100.7", "dst_port": 9001, **fields})


HIT: list[tuple[str, Event, str, tuple[str, ...]]] = [
    (
        "command_execution",
        event(EventKind.PROCESS_START, process_path="C:\\W\\curl.exe", command_line="curl.exe -o a http://192.0.2.7/a"),
        "commanded",
        ("http://192.0.2.7/a",),
    ),
    ("command_execution", event(EventKind.SCRIPT, content="iwr http://192.0.2.7/a -OutFile b"), "commanded", ("http://192.0.2.7/a",)),
    (
        "command_execution",
        event(EventKind.SHELL_COMMAND, log_source="linux_shell_history", command_line="wget http://192.0.2.7/a"),
        "commanded",
        ("http://192.0.2.7/a",),
    ),
    (
        "command_execution",
        event(EventKind.PROCESS_START, log_source="linux_auditd", process_path="/usr/bin/md5sum", argv=("md5sum", "/tmp/a")),
        "checked",
        (),
    ),
    ("share_write", share("Temp\\a.exe", 0x17019F), "landed", ()),
    ("share_write", share("setup\\a.ps1", 0x2, "\\\\*\\Software"), "landed", ()),
    ("file_from_network", zone("[ZoneTransfer]\nZoneId=3\nHostUrl=https://files.example.org/a"), "landed", ("https://files.example.org/a",)),
    ("file_from_network", zone("[ZoneTransfer]\nZoneId=3"), "landed", ()),
    ("file_from_network", zone(""), "landed", ()),
    ("file_from_network", written("System", "C:\\T\\a.exe", pid=4), "landed", ()),
    ("file_from_network", written("/usr/lib/openssh/sftp-server", "/srv/a", log_source="linux_auditd"), "landed", ()),
    ("executable_dropped", written("C:\\Users\\Public\\a.exe", "C:\\T\\b.exe"), "landed", ()),
    ("executable_dropped", written("C:\\Office\\WINWORD.EXE", "C:\\T\\b.dll"), "landed", ()),
    ("executable_dropped", written("C:\\Windows\\w3wp.exe", "C:\\inetpub\\wwwroot\\a.aspx"), "landed", ()),
    ("transfer_job", job("https://files.example.org/a"), "carried", ("https://files.example.org/a",)),
    ("transfer_job", job("\\\\srv\\share\\a", "started"), "connected", ("\\\\srv\\share\\a",)),
    (
        "download_history",
        event(EventKind.DOWNLOAD, process_name="Chrome", url="https://files.example.org/a", file_path="/home/ann/a"),
        "landed",
        ("https://files.example.org/a",),
    ),
    ("shell_connection", connection("/usr/bin/bash", log_source="linux_auditd"), "connected", ("198.51.100.7:9001",)),
    ("shell_connection", connection("/usr/bin/bash", dst_ip="2001:db8::1"), "connected", ("[2001:db8::1]:9001",)),
]  # fmt: skip

MISS: list[tuple[str, Event]] = [
    ("command_execution", event(EventKind.PROCESS_START, process_path="C:\\W\\curl.exe", command_line="curl.exe --version")),
    ("command_execution", event(EventKind.PROCESS_START, process_path="C:\\W\\whoami.exe", command_line="")),
    ("share_write", share("Temp\\a.exe", 0x120089)),
    ("share_write", share("report.docx", 0x17019F, "\\\\*\\Docs")),
    ("share_write", share("svcctl", 0x17019F, "\\\\*\\IPC$")),
    ("file_from_network", zone("[ZoneTransfer]\nZoneId=0")),
    ("file_from_network", zone("", "notepad.exe")),
    ("file_from_network", written("System", "C:\\Windows\\System32\\config\\a.dll", pid=4)),
    ("file_from_network", written("System", "C:\\T\\a.txt", pid=4)),
    ("executable_dropped", written("C:\\Program Files\\App\\app.exe", "C:\\T\\b.exe")),
    ("executable_dropped", written("C:\\Windows\\System32\\msiexec.exe", "C:\\T\\b.exe")),
    ("transfer_job", job("C:\\local\\file")),
    ("download_history", event(EventKind.DOWNLOAD, process_name="Chrome", url="blob:https://files.example.org/a")),
    ("shell_connection", connection("/usr/bin/curl")),
    ("shell_connection", connection("/usr/bin/bash", dst_port=53)),
    ("shell_connection", connection("/usr/bin/bash", outcome="refused")),
    ("shell_connection", connection("/usr/bin/bash", dst_ip="127.0.0.1")),
]


@pytest.mark.parametrize(("name", "one", "stage", "urls"), HIT, ids=[f"{hit[0]}-{place}" for place, hit in enumerate(HIT)])
def test_it_finds(name: str, one: Event, stage: str, urls: tuple[str, ...]) -> None:
    (finding,) = found(name, one)

    assert finding.analytic == name
    assert finding.stage == stage
    assert finding.action is not None
    assert finding.action.urls == urls


@pytest.mark.parametrize(("name", "one"), MISS, ids=[f"{miss[0]}-{place}" for place, miss in enumerate(MISS)])
def test_it_leaves_alone(name: str, one: Event) -> None:
    assert found(name, one) == []


def test_every_reason_that_an_analytic_gives_has_a_weight() -> None:
    from tidewaiter.catalog import weights

    known = set(weights.load().reason)

    assert {reason for name, one, _, _ in HIT for finding in found(name, one) for reason in finding.reasons} <= known


def test_a_script_with_thousands_of_fetches_is_bounded() -> None:
    text = "\n".join(f"iwr http://192.0.2.7/{number} -OutFile C:\\T\\{number}" for number in range(300))
    findings = found("command_execution", event(EventKind.SCRIPT, content=text))

    assert 1 <= len(findings) <= 24
