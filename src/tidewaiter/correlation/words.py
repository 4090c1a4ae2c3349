"""The words of a start event, and which of them a runner runs."""

from __future__ import annotations

import re

from tidewaiter.schema.event import Event

_WORD = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
_SEPARATOR = re.compile(r"&&|\|\||[;\n|&]")
_WRAPPERS = frozenset({"sudo", "nohup", "time", "exec", "env", "setsid", "doas", "then", "do", "("})
_CODE_OPTIONS = frozenset({"-c", "-e", "-command", "-encodedcommand", "-enc", "-ec", "-m", "--eval", "-r"})
_VALUE_OPTIONS = frozenset(
    {"-w", "-windowstyle", "-ep", "-ex", "-exec", "-executionpolicy", "-version", "-o", "--rcfile", "-jar"}
)
_DLL_RUNNERS = frozenset(
    {"rundll32", "regsvr32", "regasm", "regsvcs", "installutil", "msbuild", "odbcconf", "control", "cmstp"}
)


def split(text: str) -> list[str]:
    """A command line in words, quotes removed. Good enough to look words up; the reader does the real parsing."""
    return [first or second or third for first, second, third in _WORD.findall(text[:16_384])]


def commands(line: str) -> list[list[str]]:
    """The simple commands of a typed line, each as its words without wrappers such as sudo. Text after a `#` is none."""
    found: list[list[str]] = []
    for part in _SEPARATOR.split(line[:16_384])[:200]:
        several = split(part)
        while several and (several[0] in _WRAPPERS or "=" in several[0].split("/")[0]):
            del several[0]
        if several and not several[0].startswith("#"):
            found.append(several)
    return found


def arguments(event: Event) -> list[str]:
    """The words of a start event: exact where the sensor gives them."""
    if event.argv:
        return list(event.argv)
    return split(event.command_line or "")


def run_by(program: str, words: list[str]) -> list[str]:
    """The words that a runner runs: its script argument, or every word for programs that load libraries and for cmd."""
    rest = words[1:]
    if program in _DLL_RUNNERS or program in (
        "msiexec",
        "cmd",
        "start",
        "explorer",
        "powershell",
        "pwsh",
        "mshta",
        "wscript",
        "cscript",
        "hh",
    ):
        found: list[str] = []
        for word in rest[:40]:
            found.append(word)
            found.extend(part for part in re.split(r"[,;&|=()]|(?<=[/-]i):", word) if part and part != word)
        if program == "cmd":
            return [
                word
                for word in found
                if not re.search(r"(?i)\b(?:del|copy|type|move|certutil|echo|dir|attrib|icacls)\b", " ".join(words[:6]))
            ]
        return [re.sub(r"^[.&]?[\\/]*(?=\w:)", "", word) for word in found]
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word.lower() in _CODE_OPTIONS:
            return []
        elif word == "-jar" or word.startswith(("-", "+")) or "=" in word.split("/")[0]:
            skip = word.lower() in _VALUE_OPTIONS and word != "-jar"
        else:
            return [word]
    return []
