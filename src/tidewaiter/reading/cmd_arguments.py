"""How a Windows program's command line becomes words: CommandLineToArgvW, the program's own word, and raw tails.

Some programs do not take words but the rest of their command line as it is written (cmd /c, powershell -Command, mshta
javascript:...). For them the rest stays one word, with the quotes it had.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tidewaiter.catalog import utilities

_SPACE = " \t\r\n\f\v"
_UNQUOTED_PATH = re.compile(
    r"^\s*((?:[a-z]:|\\\\[^\\\s\"]+|%[\w()]+%|\\\?\?)?\\[^\"<>|*?\r\n]*?\.(?:exe|com|bat|cmd|scr))(?=\s|$)", re.I
)
_CMD_OPTION = re.compile(r"/(?:[qdsaux]|t:?[0-9a-f]{1,2}|[efv](?::(?:on|off))?|[ckr])", re.I)
_CMD_START = re.compile(r"[\s,;=]*((?:/(?:[qdsaux]|t:?[0-9a-f]{1,2}|[efv](?::(?:on|off))?)[\s,;=]*)*)/[ckr]", re.I)
_ARGUMENTS = re.compile(r"\s[/-]\w|\s\\\\|://|\.(?:exe|com|bat|cmd)\s", re.I)
"""What stands behind a program's name and in none."""
_EXECUTABLE = re.compile(r"\.(?:exe|com|bat|cmd|vbs|js|ps1|msi|hta)$|^[\w.-]+$", re.I)
_SCRIPT_URL = re.compile(r"^[\"'\s]*(?:javascript|vbscript|about):", re.I)
_WMIC_CREATE = re.compile(r"^(.*?\bcall\s+\"?create\"?)\s*(.+)$", re.I | re.S)


def split_arguments(command_line: str) -> list[str]:
    r"""The words of a command line by the rules of CommandLineToArgvW and the C run-time.

    The first word ends at the first white space outside quotes; backslashes mean nothing in it. Behind it, 2n backslashes
    and a quote are n backslashes and a quotation mark, 2n+1 are n backslashes and a literal quote, and "" inside quotes is
    a literal quote. A missing closing quote is tolerated.
    """
    program, rest = split_program(command_line)
    return ([program] if program or command_line.strip() else []) + split_words(rest)


def split_program(command_line: str) -> tuple[str, str]:
    r"""The program and what is behind it. An unquoted path with spaces (C:\Program Files\x.exe) is one program."""
    spaced = _UNQUOTED_PATH.match(command_line)
    if spaced and " " in spaced[1] and not re.search(r"\s[-/]|\.(?:exe|com|bat|cmd)\s", spaced[1], re.I):
        return spaced[1], command_line[spaced.end() :]
    text = command_line.lstrip(_SPACE)
    quoted = False
    for index, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character in _SPACE and not quoted:
            return text[:index].replace('"', ""), text[index:]
    return text.replace('"', ""), ""


def split_words(text: str) -> list[str]:
    """The words behind the program, by the rules that `split_arguments` states."""
    words: list[str] = []
    current: list[str] = []
    started = quoted = False
    index, size = 0, len(text)
    while index < size:
        character = text[index]
        if character == "\\":
            slashes = 1
            while index + slashes < size and text[index + slashes] == "\\":
                slashes += 1
            index += slashes
            started = True
            if index < size and text[index] == '"':
                current.append("\\" * (slashes // 2))
                if slashes % 2:
                    current.append('"')
                    index += 1
            else:
                current.append("\\" * slashes)
            continue
        if character == '"':
            started = True
            if quoted and index + 1 < size and text[index + 1] == '"':
                current.append('"')
                index += 1
            else:
                quoted = not quoted
        elif character in _SPACE and not quoted:
            if started:
                words.append("".join(current))
            current, started = [], False
        else:
            started = True
            current.append(character)
        index += 1
    if started:
        words.append("".join(current))
    return words


def split_internal(text: str) -> list[str]:
    """The words as cmd's own commands see them: quotes group and vanish, backslashes mean nothing."""
    return [match[0].replace('"', "") for match in re.finditer(r'(?:"[^"]*(?:"|$)|[^\s"])+', text)]


def command_text(command_line_rest: str) -> str | None:
    """What `cmd` followed by this text would run: behind /c, /k or /r, without the quotes that cmd removes.

    Options may stand together (/q/d/c), the command may touch its option (/cdir, /c"dir"). None where nothing is run.
    """
    start = _CMD_START.match(command_line_rest)
    if start is None:
        words = re.search(r"(?:^|\s)(?:/\S*?)?/[ckr](?=[\s\"]|$)", command_line_rest, re.I)
        if words is None or '"' in command_line_rest[: words.start()]:
            return None
        return unquote_command(command_line_rest[words.end() :])
    return unquote_command(command_line_rest[start.end() :])


def unquote_command(text: str) -> str:
    """Remove the outer quotes as cmd does: kept only where exactly a program's name is quoted, else first and last go."""
    text = text.strip()
    if not text.startswith('"'):
        return text
    first = text.find('"', 1)
    inner = text[1:first] if first > 0 else text[1:]
    behind = text[first + 1 : first + 2] if first > 0 else ""
    if (
        first > 0
        and behind in ("", " ")
        and _EXECUTABLE.search(inner)
        and not _ARGUMENTS.search(inner)
        and not re.search(r"[&<>()@^|]", inner)
        and "=" not in inner
    ):
        return text
    last = text.rfind('"')
    return text[1:] if last == 0 else text[1:last] + text[last + 1 :]


def tail_words(program: str, rest: str) -> list[str] | None:
    """The words of a program that takes the rest of its line raw; None where the usual rules hold."""
    name = base_name(program)
    if name == "cmd":
        return _cmd_tail(rest)
    if name in ("powershell", "pwsh", "powershell_ise"):
        return _powershell_tail(name, rest)
    if name in ("mshta", "rundll32") and _SCRIPT_URL.match(rest):
        text = rest.strip()
        return [text[1:-1] if text[:1] == '"' == text[-1:] and len(text) > 1 else text.lstrip('"')]
    tail = _TAILS.get(name)
    return tail(rest) if tail is not None else None


def base_name(program: str) -> str:
    """The lower-case name without folder and without .exe or .com."""
    name = re.split(r"[\\/]", program.strip().strip("\"'").rstrip(". "))[-1].lower()
    return re.sub(r"\.(?:exe|com)$", "", name)


def _cmd_tail(rest: str) -> list[str] | None:
    text = command_text(rest)
    if text is None:
        return None
    head = rest[: rest.find(text)] if text and text in rest else rest
    options = [match[0] for match in _CMD_OPTION.finditer(head.split('"')[0])]
    if not options or options[-1].lower()[1:2] not in ("c", "k", "r"):
        options.append("/c")
    return [*options, text] if text else options


def _powershell_tail(name: str, rest: str) -> list[str] | None:
    """Options as words, then the script as one word.

    A script in one pair of quotes is unquoted by the usual rules. Elsewhere the quotes stay: PowerShell itself would lose
    them, but whoever wrote the line saw them, and so does a log that wrote the line down after unquoting.
    """
    catalog = utilities.load()
    utility = catalog.named(name, "windows")
    if utility is None:
        return None
    table = {spelling.lower().lstrip("-/"): option for spelling, option in catalog.options(utility).items()}
    words: list[str] = []
    position = 0
    for match in re.finditer(r'\s*((?:"(?:[^"\\]|\\.|\\$)*(?:"|$)|[^\s"])+)', rest):
        if match.start() < position:
            continue
        word = match[1].replace('"', "")
        option = table.get(re.split(r"[:=]", word.lstrip("-/–—―"))[0].lower()) if word[:1] in "-/–—―" else None
        if option is None and word[:1] in "-–—―" and re.fullmatch(r"[-–—―]\w+", word):
            words.append(word)
            position = match.end()
            continue
        if option is None:
            break
        words.append(word)
        position = match.end()
        if option.role == "command":
            break
        if option.role == "file":
            return words + split_words(rest[position:])
        if option.value == "required":
            value = re.match(r'\s*((?:"[^"]*(?:"|$)|[^\s"])+)', rest[position:])
            if value:
                words.append(value[1].replace('"', ""))
                position += value.end()
    script = rest[position:].strip()
    if not script:
        return words
    if script.startswith('"'):
        return words + split_words(script)
    return [*words, re.sub(r'\\"', '"', script)]


def _wmic_tail(rest: str) -> list[str] | None:
    match = _WMIC_CREATE.match(rest)
    if match is None:
        return None
    text = match[2].strip().lstrip("(").strip()
    if text and text[0] in "\"'":
        end = text.rfind(text[0])
        text = text[1:end] if end > 0 else text[1:]
    return [*split_words(match[1]), text.replace('\\"', '"')]


def _psexec_tail(rest: str) -> list[str]:
    """Options stand on both sides of the host; they are put before it, so that those of the started program stay with it."""
    words = split_words(rest)
    options: list[str] = []
    host: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word.startswith(("\\\\", "@")) and not host:
            host.append(word)
        elif word[:1] in "-/" and len(word) > 1:
            options.append(word)
            if word.lstrip("-/").lower() in ("u", "p", "n", "r", "w", "a", "rlo", "to", "user", "pwd"):
                options += words[index : index + 1]
                index += 1
            elif word.lstrip("-/").lower() == "i" and words[index : index + 1] and words[index].isdigit():
                options[-1] = f"{word}:{words[index]}"
                index += 1
        else:
            index -= 1
            break
    return [*options, *host, *words[index:]]


def _msiexec_tail(rest: str) -> list[str]:
    """Options may touch each other and their values: /q/i"URL"/norestart."""
    words: list[str] = []
    for word in split_words(re.sub(r'"(?=[/-][A-Za-z])', '" ', rest)):
        flag = re.match(r"^[/-][a-z]{1,12}[-+!*]?(?=/[a-z])", word, re.I)
        while flag is not None:
            words.append(flag[0])
            word = word[flag.end() :]
            flag = re.match(r"^/[a-z]{1,12}[-+!*]?(?=/[a-z])", word, re.I)
        glued = re.match(r"^([/-](?:i|p|a|package|update|y|z))[:=]?((?:[a-z]{3,5}:/|\\\\|[a-z]:\\).*)$", word, re.I | re.S)
        words += [glued[1], glued[2]] if glued else [word]
    return words


def _linux_tail(rest: str) -> list[str]:
    """The words of a Linux command on a Windows line: single quotes group too."""
    return [
        re.sub(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"", lambda m: m[1] if m[1] is not None else m[2].replace('\\"', '"'), match[0])
        for match in re.finditer(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|[^\s'\"]|['\"])+", rest)
    ]


_TAILS: dict[str, Callable[[str], list[str] | None]] = {
    "wmic": _wmic_tail,
    "psexec": _psexec_tail,
    "psexec64": _psexec_tail,
    "paexec": _psexec_tail,
    "remcom": _psexec_tail,
    "msiexec": _msiexec_tail,
    "winscp": split_internal,
    "wsl": _linux_tail,
    "bash": _linux_tail,
}
"""Programs that split their line by rules of their own."""
