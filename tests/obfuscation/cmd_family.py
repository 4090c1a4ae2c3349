"""Ways to write a line for cmd.exe so that its words are not found by looking for them."""

from __future__ import annotations

import re

from obfuscation.text import Command, Family, command, holds, mixed

INTERNAL = frozenset(
    [
        "call",
        "cd",
        "copy",
        "del",
        "dir",
        "echo",
        "for",
        "if",
        "md",
        "mklink",
        "move",
        "path",
        "ren",
        "set",
        "start",
        "type",
        "popd",
        "pushd",
        "rem",
    ]
)
COMSPEC = "C:\\Windows\\system32\\cmd.exe"
PUBLIC = "C:\\Users\\Public"
OPERATORS = "&|<>()"


def program(line: str) -> Command | None:
    """A line that starts a program: no command of cmd itself."""
    found = command(line)
    return found if found and found.name.lower() not in INTERNAL and not holds(line, "^%!\n") else None


def plain(line: str) -> Command | None:
    """The same without operators."""
    found = program(line)
    return found if found and not holds(line, OPERATORS) else None


def carets(line: str) -> str | None:
    found = command(line)
    if found is None or holds(line, "^%!\n"):
        return None
    return "^".join(found.name) + found.rest


def carets_everywhere(line: str) -> str | None:
    if command(line) is None or holds(line, '"^%!\n'):
        return None
    return re.sub(r"([A-Za-z0-9/:.])", r"^\1", line)


def quotes_inside(line: str) -> str | None:
    found = program(line)
    return f'{found.name[0]}"{found.name[1:-1]}"{found.name[-1]}{found.rest}' if found else None


def empty_quotes(line: str) -> str | None:
    found = program(line)
    return '""'.join(found.halves) + found.rest if found else None


def substrings(line: str) -> str | None:
    """Letters from variables that every Windows has."""
    found = program(line)
    if found is None:
        return None
    out = ""
    for letter in found.name:
        for variable, value in (("ComSpec", COMSPEC), ("PUBLIC", PUBLIC)):
            place = value.find(letter)
            if place > 0:
                out += f"%{variable}:~{place},1%"
                break
        else:
            out += letter
    return out + found.rest if "%" in out else None


def set_and_call(line: str) -> str | None:
    found = plain(line)
    return f"set a={found.halves[0]}&set b={found.halves[1]}&call %a%%b%{found.rest}" if found else None


def set_without(line: str) -> str | None:
    found = plain(line)
    return f"set a={'QX'.join(found.name)}&call %a:QX=%{found.rest}" if found else None


def set_whole_line(line: str) -> str | None:
    found = plain(line)
    if found is None or '"' in line:
        return None
    third = len(line) // 3
    one, two, three = line[:third], line[third : 2 * third], line[2 * third :]
    if any(part != part.strip() for part in (one, two, three)):
        return None
    return f"set p={two}&&set q={three}&&set o={one}&&call %o%%p%%q%"


def mixed_case(line: str) -> str | None:
    found = command(line)
    return mixed(found.name) + found.rest if found else None


def for_loop(line: str) -> str | None:
    found = program(line)
    return f"for %i in ({found.name}) do %i{found.rest}" if found else None


def for_two_loops(line: str) -> str | None:
    found = plain(line)
    return f"for %a in ({found.halves[0]}) do for %b in ({found.halves[1]}) do %a%b{found.rest}" if found else None


def for_string(line: str) -> str | None:
    found = plain(line)
    if found is None or holds(line, "\"'"):
        return None
    return f"for /f \"tokens=*\" %i in ('echo {line}') do %i"


def spaces(line: str) -> str | None:
    found = command(line)
    return f"  ,;  {found.name} \t  {found.rest.lstrip()}" if found else None


def at_sign(line: str) -> str | None:
    return f"@{line}" if command(line) else None


def delayed(line: str) -> str | None:
    found = plain(line)
    return f'cmd /v:on /c "set x={found.name}&&!x!{found.rest}"' if found else None


def delayed_parts(line: str) -> str | None:
    found = plain(line)
    return f'cmd.exe /V/C "set q={found.halves[1]}&&set p={found.halves[0]}&&!p!!q!{found.rest}"' if found else None


def nested(line: str) -> str | None:
    return f'cmd /c "cmd.exe /c {line}"' if command(line) and not holds(line, "^%!\n") else None


def glued(line: str) -> str | None:
    return f'cmd /q/c"{line}"' if command(line) and not holds(line, "^%!\n") else None


def comspec(line: str) -> str | None:
    return f"%ComSpec% /d /c {line}" if plain(line) else None


def started(line: str) -> str | None:
    return f'start "" /b {line}' if plain(line) else None


def with_path(line: str) -> str | None:
    found = program(line)
    if found is None:
        return None
    name = found.name if "." in found.name else f"{found.name}.exe"
    return f"C:\\Windows\\System32\\..\\System32\\{name}{found.rest}"


def with_suffix(line: str) -> str | None:
    found = program(line)
    return f"{found.name}.exe{found.rest}" if found and "." not in found.name else None


def echoed(line: str) -> str | None:
    return f"echo {line}|cmd" if plain(line) else None


def broken_line(line: str) -> str | None:
    found = program(line)
    return f"{found.name} ^\n{found.rest.lstrip()}" if found else None


def parentheses(line: str) -> str | None:
    return f"(({line}))" if plain(line) else None


def behind_others(line: str) -> str | None:
    return f"ver>nul&&(if 1==1 {line})" if plain(line) else None


FAMILY: Family = {
    function.__name__.replace("_", " "): function
    for function in (
        carets, carets_everywhere, quotes_inside, empty_quotes, substrings, set_and_call, set_without, set_whole_line,
        mixed_case, for_loop, for_two_loops, for_string, spaces, at_sign, delayed, delayed_parts, nested, glued,
        comspec, started, with_path, with_suffix, echoed, broken_line, parentheses, behind_others,
    )
}  # fmt: skip
