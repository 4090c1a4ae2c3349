"""What joins: keys of hosts, words of command lines."""

from __future__ import annotations

import pytest

from tidewaiter.correlation import keys, words
from tidewaiter.schema.event import Event, EventKind


def event(**fields: str | None) -> Event:
    return Event(kind=EventKind.SHELL_COMMAND, time=0, log_source="x", log_file="a/b.log", record="1", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "address", "key"),
    [
        ("WS01.example.com", None, "ws01"),
        (" ws01. ", None, "ws01"),
        ("192.0.2.7", None, "192.0.2.7"),
        ("2001:db8::7", None, "2001:db8::7"),
        (None, "192.0.2.7", "192.0.2.7"),
        (None, None, "file:a/b.log"),
    ],
)
def test_a_host_has_one_key(host: str | None, address: str | None, key: str) -> None:
    assert keys.host_key(event(host=host, host_ip=address)) == key


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("bash /tmp/l.sh", [["bash", "/tmp/l.sh"]]),
        ("cd /tmp && sudo ./a -x; echo 'a b' | tee c", [["cd", "/tmp"], ["./a", "-x"], ["echo", "a b"], ["tee", "c"]]),
        ("X=1 nohup /tmp/a &", [["/tmp/a"]]),
        ("# bash /tmp/a", []),
        ("", []),
        ("sudo", []),
    ],
)
def test_the_commands_of_a_typed_line(line: str, commands: list[list[str]]) -> None:
    assert words.commands(line) == commands


@pytest.mark.parametrize(
    ("program", "line", "found"),
    [
        ("bash", "bash -x /tmp/a.sh one", "/tmp/a.sh"),
        ("python3", "python3 -u /tmp/a.py", "/tmp/a.py"),
        ("java", "java -jar /tmp/a.jar", "/tmp/a.jar"),
        ("rundll32", r"rundll32 C:\ProgramData\x.dll,Start", r"C:\ProgramData\x.dll"),
        ("regsvr32", r"regsvr32 /s /i:C:\T\a.sct scrobj.dll", r"C:\T\a.sct"),
        ("powershell", r"powershell -ep bypass -File C:\T\a.ps1", r"C:\T\a.ps1"),
        ("cmd", r"cmd /c C:\T\a.bat", r"C:\T\a.bat"),
    ],
)
def test_the_words_that_a_runner_runs(program: str, line: str, found: str) -> None:
    assert found in words.run_by(program, words.split(line))


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("bash", "bash -c /tmp/a.sh"),
        ("python3", "python3 -m http.server"),
        ("cmd", r"cmd /c del C:\T\a.bat"),
        ("bash", "bash"),
    ],
)
def test_what_is_code_or_deleted_is_not_run_as_a_file(program: str, line: str) -> None:
    assert words.run_by(program, words.split(line)) == []
