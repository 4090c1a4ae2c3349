"""`tidewaiter doctor`: the whole page of a small folder, and the same as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from log_writer import Audit, Windows
from tidewaiter.cli.main import run

PAGE = """\
2 inputs recognised
  1 Windows events (JSON)
  1 linux_auditd
1 input not read
  FOLDER/notes.txt: no log source knows this content
No host of these platforms is in the logs: macos, esxi
No log of the network is there: no host can show what was carried

Stages that the logs of each host can show
host                  platform  from              to                commanded  connected  carried  landed  checked  run  spread
web1                  linux     2026-01-02 10:00  2026-01-02 10:00  yes        yes        no       yes     yes      yes  yes
ws01\\x1b.example.com  windows   2026-01-02 10:00  2026-01-02 10:00  no         no         no       no      no       yes  no
all together                                                        part       part       no       part    part     yes  part

What is there
of                log source        events by kind
linux (1 host)    linux_auditd      connection 1, file_create 1, process_start 1 (all with command line)
windows (1 host)  windows_security  process_start 2 (none with command line)
"""
REST = PAGE.splitlines()[5:]


@pytest.fixture
def evidence(tmp_path: Path) -> str:
    windows, audit = Windows("ws01\x1b.example.com"), Audit()
    windows.start_4688(0, 4100, "C:\\Windows\\System32\\certutil.exe", "")
    windows.start_4688(1, 4200, "C:\\Windows\\System32\\cmd.exe", "")
    audit.run(0, 610, "curl", "-O", "http://files.example.org/a")
    audit.connect(1, 610, "198.51.100.7", 80)
    audit.create(2, 610, "/home/ann/a")
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "events.json").write_text(windows.text(), encoding="utf-8")
    (folder / "audit.log").write_text(audit.text(), encoding="utf-8")
    (folder / "notes.txt").write_text("remember the milk", encoding="utf-8")
    return str(folder)


def test_the_page_says_what_is_there_what_is_not_and_what_would_help(evidence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", evidence]) == 0
    told = capsys.readouterr().out
    lines = [line.rstrip() for line in told.splitlines()]

    assert "".join(lines[:5]).replace(evidence, "FOLDER") == "".join(PAGE.splitlines()[:5])  # a long path takes several lines
    assert lines[lines.index("No host of these platforms is in the logs: macos, esxi") :][: len(REST)] == REST
    assert "\x1b" not in told
    settings = lines[lines.index("Settings that would show more") :]
    assert "  Sysmon: event 1, process creation (windows on 1 host)" in settings
    assert "  Windows auditing: event 4688 with the command line (windows on 1 host)" in settings
    assert [
        line for line in lines if line.startswith("windows   programs that are started with arguments") and "1 host" in line
    ]
    assert [line.split()[:3] for line in lines if line.startswith("AN01")] == [
        ["AN0165", "windows", "part"],
        ["AN0166", "linux", "part"],
        ["AN0167", "macos", "no"],
        ["AN0168", "esxi", "no"],
        ["AN0169", "network", "no"],
    ]


def test_the_same_as_json_in_a_file(evidence: str, tmp_path: Path) -> None:
    target = tmp_path / "diagnosis.json"
    assert run(["doctor", evidence, "--format", "json", "--output", str(target)]) == 0
    told = json.loads(target.read_text(encoding="utf-8"))

    assert {host["host"]: host["stages"]["commanded"] for host in told["hosts"]} == {
        "web1": "visible",
        "ws01\x1b.example.com": "not_visible",
    }
    assert told["strategy"] == "DET0060"
    advised = {advice["id"]: advice["hosts"] for advice in told["settings"]}
    assert advised["sysmon-1"] == advised["security-4688-command-line"] == 1


def test_nothing_readable_has_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("nothing", encoding="utf-8")

    assert run(["doctor", str(tmp_path)]) == 3
    assert "nothing readable" in capsys.readouterr().err
