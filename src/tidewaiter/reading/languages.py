"""The one place that knows which module reads which language; each is imported when it is first needed."""

from __future__ import annotations

import functools
import importlib
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidewaiter.reading import sessions
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Script, Word

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners import OneLiner

SHELLS = frozenset({"bash", "cmd", "powershell", "network"})
SESSIONS = sessions.LANGUAGES
_DATA = {"one_liners": ("languages",), "powershell": ("powershell",)}
"""What a language module asks of the catalog, beside what every reading does."""


@functools.cache
def warm() -> None:
    """Load all languages and their data: for a process from which others are forked."""
    ready("windows")
    ready("linux")
    for name in _DATA:
        _load(name)


@functools.cache
def ready(platform: str) -> None:
    """Load what nearly every text of a platform needs, so that a reading's time bound is not spent on it."""
    from tidewaiter.catalog import powershell, roles, utilities, windows_environment

    for catalog in (powershell, roles, utilities, windows_environment):
        catalog.load()
    for name in ("cmd", "fold") if platform == "windows" else ("bash", "fold"):
        _load(name)


_loaded: set[str] = set()


def _load(name: str, budget: Budget | None = None) -> None:
    """Load a language module and its data where that was not done; the time goes to nobody's account."""
    if name in _loaded:
        return
    began = time.process_time()
    importlib.import_module(f"tidewaiter.reading.{name}")
    for data in _DATA.get(name, ()):
        importlib.import_module(f"tidewaiter.catalog.{data}").load()
    _loaded.add(name)
    if budget is not None:
        budget.deadline += time.process_time() - began


def parse(text: str, language: str, budget: Budget) -> Script:
    """A shell text as its invocations."""
    if language == "bash":
        _load("bash", budget)
        from tidewaiter.reading import bash, fold

        script = bash.parse(text, budget)
        fold.fold(script, budget)
        return script
    if language == "powershell":
        _load("powershell", budget)
        from tidewaiter.reading import powershell

        return powershell.parse(text, budget)
    if language == "cmd":
        _load("cmd", budget)
        from tidewaiter.reading import cmd, fold

        script = cmd.parse(text, budget)
        fold.fold(script, budget)
        return script
    return network(text)


def network(text: str) -> Script:
    """One line of a network operating system: words, no operators."""
    script = Script()
    for line in text.splitlines():
        words = [part.strip('"') for part in line.split()]
        if words:
            script.invocations.append(Invocation(argv=tuple(Word(word) for word in words), spelled=line))
    return script


def windows_process(command_line: str) -> Script:
    """A Windows command line as CreateProcess takes it: one program."""
    from tidewaiter.reading import cmd

    return cmd.from_command_line(command_line)


def argument_vector(words: Sequence[str]) -> Script:
    """An exact argument vector: one program."""
    return Script([Invocation(argv=tuple(Word(word) for word in words), spelled=" ".join(words))])


def one_liner(text: str, language: str, budget: Budget) -> OneLiner:
    """Code of a programming language given on a command line."""
    _load("one_liners", budget)
    from tidewaiter.reading import one_liners

    return one_liners.read(language, text, budget)


def session(text: str, peer: str | None, budget: Budget) -> list[sessions.Item]:
    """The script of a file-transfer session."""
    return sessions.read(text, peer, budget)


def shell_for(wanted: str, platform: str) -> str:
    """The shell language for a nested text: a language by name, a platform, or "shell" for the platform's own."""
    if wanted in SHELLS or wanted == "crontab":
        return wanted
    if wanted == "windows" or (wanted == "shell" and platform == "windows"):
        return "cmd"
    return "bash"


def parameters(text: str) -> str:
    """The shell text in parameters: JSON strings, `commands=...`, `ProxyCommand=...`, `:!...` of editors, or as it is."""
    import json

    text = re.sub(r"(?im)^\s*(?:(?:commands|commandToExecute|ProxyCommand|LocalCommand)\s*=\s*|:?!\s*|shell\s+)", "", text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found: list[str] = []
    waiting = [value]
    while waiting and len(found) < 64:
        item = waiting.pop(0)
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, list):
            waiting = [*item[:64], *waiting]
        elif isinstance(item, dict):
            waiting = [*list(item.values())[:64], *waiting]
    return "\n".join(found)


def script_text(language: str, invocation: Invocation, joined: str, budget: Budget) -> str:
    """The script that an interpreter would run: the words that its TOML names, else by its own rules (PowerShell, cmd)."""
    if language == "parameters":
        return parameters(joined)
    if joined:
        return joined
    if language == "powershell":
        _load("powershell", budget)
        from tidewaiter.reading import powershell

        return powershell.decode_command(invocation.args) or ""
    if language == "cmd":
        _load("cmd", budget)
        from tidewaiter.reading import cmd

        return cmd.command_text(" ".join(invocation.args)) or ""
    return joined
