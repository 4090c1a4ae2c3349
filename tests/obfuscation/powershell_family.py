"""Ways to write PowerShell so that its words are not found by looking for them."""

from __future__ import annotations

import base64
import gzip
import re
import zlib

from obfuscation.text import Command, Family, command, holds, mixed, pieces, shuffled

ALIASES = {
    "invoke-webrequest": "iwr",
    "invoke-restmethod": "irm",
    "invoke-expression": "iex",
    "copy-item": "cpi",
    "get-content": "gc",
    "start-process": "saps",
    "import-module": "ipmo",
    "invoke-command": "icm",
    "invoke-item": "ii",
    "new-psdrive": "ndr",
    "foreach-object": "%",
    "start-bitstransfer": "Start-BitsTransfer",
}
SPECIAL_BEHIND_BACKTICK = "0abefnrtuv"


def quoted(text: str) -> str:
    """A single-quoted string."""
    return "'" + text.replace("'", "''") + "'"


def listed(parts: list[str]) -> str:
    return ",".join(quoted(part) for part in parts)


def named(line: str) -> Command | None:
    """A script that starts with the bare name of a cmdlet or program."""
    found = command(line)
    return found if found and not holds(found.name, ".") else None


def wide(line: str) -> str:
    return base64.b64encode(line.encode("utf-16-le")).decode()


def encoded(line: str) -> str | None:
    return f"powershell -enc {wide(line)}"


def encoded_short(line: str) -> str | None:
    return f"powershell.exe -NoP -w hidden -e {wide(line)}"


def encoded_prefix(line: str) -> str | None:
    return f"PoWeRsHeLl /nOnI /eNcOdEdC {wide(line)}"


def encoded_twice(line: str) -> str | None:
    return f"powershell -ec {wide(f'powershell -enc {wide(line)}')}"


def run_text(line: str) -> str | None:
    return f"iex {quoted(line)}"


def sum_of_text(line: str) -> str | None:
    return f"IeX ({'+'.join(quoted(part) for part in pieces(line))})"


def formatted(line: str) -> str | None:
    places, parts = shuffled(pieces(line, 9))
    return f"iex ('{''.join(f'{{{place}}}' for place in places)}' -f {listed(parts)})"


def joined(line: str) -> str | None:
    return f"({listed(pieces(line))} -join '') | iex"


def joined_by_class(line: str) -> str | None:
    return f"iex ([string]::Join('', @({listed(pieces(line))})))"


def filled(line: str, filling: str) -> str:
    """The line with something behind many letters that is taken out again."""
    return re.sub("[aeiot]", lambda found: found[0] + filling, line)


def replaced(line: str) -> str | None:
    return f"iex ({quoted(filled(line, '~#'))}.Replace('~#',''))" if "~#" not in line else None


def replaced_by_operator(line: str) -> str | None:
    return f"iex ({quoted(filled(line, 'QXZ'))} -replace 'QXZ')" if "QXZ" not in line else None


def characters(line: str) -> str | None:
    return f"iex (({','.join(str(ord(letter)) for letter in line)} | % {{ [char]$_ }}) -join '')"


def characters_added(line: str) -> str | None:
    return f"iex ({'+'.join(f'[char]{ord(letter)}' for letter in line)})" if len(line) < 200 else None


def cast_characters(line: str) -> str | None:
    return f"iex (-join [char[]]({','.join(str(ord(letter)) for letter in line)}))"


def hexadecimal(line: str) -> str | None:
    text = " ".join(f"{ord(letter):02x}" for letter in line)
    return f"iex (-join ('{text}' -split ' ' | ForEach-Object {{ [char][convert]::ToInt32($_, 16) }}))"


def reversed_text(line: str) -> str | None:
    return f"iex (-join {quoted(line[::-1])}[{len(line) - 1}..0])"


def reversed_array(line: str) -> str | None:
    return f"$r={quoted(line[::-1])}.ToCharArray();[array]::Reverse($r);iex ($r -join '')"


def from_base64(line: str) -> str | None:
    return f"iex ([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('{wide(line)}')))"


def from_base64_ascii(line: str) -> str | None:
    text = base64.b64encode(line.encode()).decode()
    return f"[System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String('{text}')) | Invoke-Expression"


def variables(line: str) -> str | None:
    parts = pieces(line, 24)
    return ";".join(f"$v{number}={quoted(part)}" for number, part in enumerate(parts)) + (
        f";iex ({'+'.join(f'$v{number}' for number in range(len(parts)))})"
    )


def one_growing_variable(line: str) -> str | None:
    first, *others = pieces(line, 24)
    return f"$s={quoted(first)};" + "".join(f"$s+={quoted(part)};" for part in others) + "iex $s"


def unpacked(line: str) -> str | None:
    data = base64.b64encode(gzip.compress(line.encode(), mtime=0)).decode()
    return (
        f"$m=New-Object IO.MemoryStream(,[Convert]::FromBase64String('{data}'));"
        "iex (New-Object IO.StreamReader((New-Object IO.Compression.GzipStream($m,"
        "[IO.Compression.CompressionMode]::Decompress)))).ReadToEnd()"
    )


def inflated(line: str) -> str | None:
    packer = zlib.compressobj(wbits=-15)
    data = base64.b64encode(packer.compress(line.encode()) + packer.flush()).decode()
    return (
        "iex (New-Object IO.StreamReader((New-Object IO.Compression.DeflateStream([IO.MemoryStream]"
        f"[Convert]::FromBase64String('{data}'),[IO.Compression.CompressionMode]::Decompress)),"
        "[Text.Encoding]::ASCII)).ReadToEnd()"
    )


def exclusive_or(line: str) -> str | None:
    return f"iex (-join (({','.join(str(ord(letter) ^ 42) for letter in line)}) | % {{ [char]($_ -bxor 42) }}))"


def mixed_case(line: str) -> str | None:
    found = named(line)
    return mixed(found.name) + found.rest if found else None


def here_string(line: str) -> str | None:
    return f"iex @'\n{line}\n'@"


def call_operator(line: str) -> str | None:
    found = named(line)
    return f"&({quoted(found.halves[0])}+{quoted(found.halves[1])}){found.rest}" if found else None


def dot_operator(line: str) -> str | None:
    found = named(line)
    return f".('{{1}}{{0}}' -f {quoted(found.halves[1])},{quoted(found.halves[0])}){found.rest}" if found else None


def called_variable(line: str) -> str | None:
    found = named(line)
    return f"$c={quoted(found.name)};& $c{found.rest}" if found else None


def backticks(line: str) -> str | None:
    found = named(line)
    if found is None:
        return None
    return "".join(letter if letter in SPECIAL_BEHIND_BACKTICK or letter == "-" else f"`{letter}" for letter in found.name) + (
        found.rest
    )


def alias(line: str) -> str | None:
    found = named(line)
    short = ALIASES.get(found.name.lower()) if found else None
    return short + found.rest if found and short else None


def new_alias(line: str) -> str | None:
    found = named(line)
    return f"sal zz {found.name};zz{found.rest}" if found else None


def block(line: str) -> str | None:
    return f"& {{ {line} }}"


def script_block(line: str) -> str | None:
    return f".([scriptblock]::Create({quoted(line)}))"


def invoked_block(line: str) -> str | None:
    return f"Invoke-Command -ScriptBlock {{{line}}}"


def invoked_script(line: str) -> str | None:
    return f"$ExecutionContext.InvokeCommand.InvokeScript({quoted(line)})"


def shell_and_block(line: str) -> str | None:
    return f'powershell -nop -ep bypass -c "& {{{line}}}"' if not holds(line, '"%^') else None


def iex_by_letters(line: str) -> str | None:
    return f"& ($ShellId[1]+$ShellId[13]+'x') {quoted(line)}"


def iex_by_environment(line: str) -> str | None:
    return f".($env:ComSpec[4,24,25] -join '') {quoted(line)}"


def other_type_names(line: str) -> str | None:
    changed = re.sub(r"(?i)\b(?:system\.)?net\.webclient\b", "sYsTeM.nEt.wEbClIeNt", line)
    return changed if changed != line else None


def constructor(line: str) -> str | None:
    changed = re.sub(r"(?i)\(new-object (?:system\.)?net\.webclient\)", "([Net.WebClient]::new())", line)
    return changed if changed != line else None


def quoted_member(line: str) -> str | None:
    changed = re.sub(r"(?i)\.(download|upload|open)(\w+)\(", r".('\1'+'\2').Invoke(", line)
    return changed if changed != line else None


def splatted(line: str) -> str | None:
    """Parameters in a table: only where all are plain words by name."""
    found = re.fullmatch(r"([A-Za-z]+-[A-Za-z]+)((?:\s+-[A-Za-z]+\s+[^\s'\"$(;|&{},-][^\s'\"$(;|&{},]*)+)", line)
    if found is None:
        return None
    pairs = re.findall(r"-([A-Za-z]+)\s+(\S+)", found[2])
    return f"$p=@{{{';'.join(f'{name}={quoted(value)}' for name, value in pairs)}}};{found[1]} @p"


FAMILY: Family = {
    function.__name__.replace("_", " "): function
    for function in (
        encoded, encoded_short, encoded_prefix, encoded_twice, run_text, sum_of_text, formatted, joined,
        joined_by_class, replaced, replaced_by_operator, characters, characters_added, cast_characters, hexadecimal,
        reversed_text, reversed_array, from_base64, from_base64_ascii, variables, one_growing_variable, unpacked,
        inflated, exclusive_or, mixed_case, here_string, call_operator, dot_operator, called_variable, backticks,
        alias, new_alias, block, script_block, invoked_block, invoked_script, shell_and_block, iex_by_letters,
        iex_by_environment, other_type_names, constructor, quoted_member, splatted,
    )
}  # fmt: skip
