"""The reader: any command line or script in, what it does out. Constants are evaluated; nothing is ever executed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidewaiter.catalog import powershell, utilities
from tidewaiter.reading import languages
from tidewaiter.reading.budget import Budget, BudgetExceeded
from tidewaiter.reading.follow import Follower
from tidewaiter.reading.recall import program_name
from tidewaiter.schema.action import Action, Reading

_POWERSHELL_START = re.compile(
    r"^\s*(?:[\w-]*`\w|[\[($&.]\s*[\w\[($'\"{]|\$|@[{('\"]|[a-z]+-[a-z]+\b|(?:iwr|irm|iex|gc|saps|sal|nal|foreach|function|param|try|if\s*\(|while\s*\()(?:\b|\())",
    re.I,
)
_EXECUTABLE_START = re.compile(
    r"^\s*(?:[\"']?(?:[a-z]:|%|\\\\)[^|&<>]*?\.(?:exe|com|bat|cmd)\b|[\w.-]+\.(?:exe|com|bat|cmd)\b)", re.I
)
_CMD_START = re.compile(
    r"^\s*(?:@\s*\w|@?\(+\s*(?:echo|set|call|copy|type|rem|cd|del|md|ver|start|for|if)\s+[^(]"
    r"|for\s+(?:/\w\s|%)|if\s+(?:not\s|exist\s|defined\s))",
    re.I,
)
_PROGRAM_WITH_DASH = frozenset({"apt-get", "ssh-keygen", "lwp-download", "ssh-copy-id", "git-remote"})
_UNQUOTED_BRACES = re.compile(r"^(\s*\S*sh\s+-c)\s+(\{echo,[^'\s]+\|\S+)\s*$")
"""`bash -c {echo,...}|{base64,-d}|{bash,-i}` as logs show it where a program passed the text as one argument."""
LONGEST = 262_144
"""Characters of a command that are read; the rest is named in `Reading.limits`."""


def read(
    command: str,
    platform: str = "linux",
    *,
    argv: Sequence[str] | None = None,
    exact: bool = False,
    original_name: str | None = None,
    language: str | None = None,
    cpu_seconds: float = 0.04,
) -> Reading:
    """What a command line does.

    `platform` is windows, linux, macos, esxi or network. `argv` is the exact argument vector where a sensor gives it; `exact`
    says that `command` is what started ONE process (no shell saw it, so `&` and `|` are plain text). `original_name` is the
    program's PE OriginalFileName, which finds renamed copies. `language` reads the text as a script of that language instead.
    Never raises.
    """
    languages.ready(platform)
    budget = Budget(cpu_seconds=cpu_seconds)
    follower = Follower(platform, budget, original_name)
    if len(command) > LONGEST:
        command = command[:LONGEST]
        budget.limits.append(f"only the first {LONGEST} characters were read")
    try:
        if argv:
            follower.read_argv(argv)
        elif language is not None:
            follower.read_text(command, language)
        elif exact and platform == "windows":
            follower.read_process(command)
        else:
            if platform != "windows":
                command = _UNQUOTED_BRACES.sub(r"\1 '\2'", command)
            follower.read_text(command, shell_of(command, platform))
    except BudgetExceeded:
        pass  # the bound is in budget.limits; what was found before it stands
    except RecursionError:
        budget.limits.append("nested too deeply")
    except Exception as problem:  # noqa: BLE001 - whatever a text does to a module of ours, its other findings stand
        budget.limits.append(f"could not be read to its end: {type(problem).__name__}")
    actions = follower.conclude()
    if budget.limits:
        actions = [_less_sure(action) for action in actions]
    return Reading(actions=tuple(actions), steps=tuple(budget.steps), limits=tuple(dict.fromkeys(budget.limits)))


def shell_of(command: str, platform: str) -> str:
    """The shell whose language a bare line of a platform is most likely written in."""
    if platform == "network":
        return _network_shell(command)
    if platform != "windows":
        return "bash"
    if _EXECUTABLE_START.match(command) or _CMD_START.match(command):
        return "cmd"
    first = re.split(r"[\s;|(]", command.lstrip(), maxsplit=1)[0].lower()
    if first in _PROGRAM_WITH_DASH:
        return "cmd"
    if _POWERSHELL_START.match(command) or _is_alias(first):
        return "powershell"
    return "cmd"


def _is_alias(name: str) -> bool:
    """Whether a name means something to PowerShell only: the alias of a cmdlet that carries, and no program."""
    known = utilities.load().by_name
    return name not in known and powershell.load().aliases.get(name, "") in known


def _network_shell(command: str) -> str:
    """A vendor's command line, unless it holds the operators of a shell or starts with a program of no vendor's."""
    first = program_name(command.split(maxsplit=1)[0]) if command.strip() else ""
    if re.search(r"[;`]|&&|\|\||\$\(|\|\s*(?:ba|a|da)?sh\b", command) and not command.lstrip().startswith(("/", ":")):
        return "bash"
    known = utilities.load().by_name.get(first)
    return "network" if not known or any("network" in utility.platforms for utility in known) else "bash"


def _less_sure(action: Action) -> Action:
    import msgspec

    return msgspec.structs.replace(action, confidence=min(action.confidence, 50))
