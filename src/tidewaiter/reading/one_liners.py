"""Code of programming languages given on a command line: what it fetches, where that goes, and what it runs.

`read` cuts the code into tokens, follows constants and content through its expressions (`one_liners_engine`) and says it
as Actions. What a call does is data: knowledge/languages/*.toml. Nothing is executed.
"""

from __future__ import annotations

import re
import time

import msgspec

from tidewaiter.catalog import languages
from tidewaiter.reading import locations
from tidewaiter.reading.budget import Budget, BudgetExceeded
from tidewaiter.reading.one_liners_engine import Engine
from tidewaiter.reading.one_liners_values import Source
from tidewaiter.schema.action import Action, ActionKind

CODE_AT_MOST = 65_536
"""Characters of one text of code that are read."""

_SHARE = 0.8
"""Part of the time that is left which one text of code may take."""

PRINTED = "content goes to standard output"
"""The note of a benign action whose content a pipe or redirection of the shell may pick up."""

_SCRIPT_ELEMENT = re.compile(r"<script([^>]*)>(.*?)(?:</script|\Z)", re.IGNORECASE | re.DOTALL)
_JAVASCRIPT_FOR_AUTOMATION = re.compile(r"\$\.NS|ObjC\.|Application\s*\(|\bfunction\s*\(|=>|\beval\s*\(")


class OneLiner(msgspec.Struct, frozen=True):
    """What code does: its own actions, and the shell texts that it starts, each with the shell that reads them.

    The shell is "shell" for the platform's own, or "cmd", "bash" or "powershell". `printed` repeats the actions whose content
    goes to standard output.
    """

    actions: tuple[Action, ...] = ()
    shell_texts: tuple[tuple[str, str], ...] = ()
    printed: tuple[Action, ...] = ()

    def named(self, utility: str | None) -> OneLiner:
        """The same with the name of the interpreter that reads the code."""
        if utility is None:
            return self
        actions = tuple(msgspec.structs.replace(action, utility=utility) for action in self.actions)
        printed = tuple(msgspec.structs.replace(action, utility=utility) for action in self.printed)
        return OneLiner(actions, self.shell_texts, printed)


def read(language: str, code: str, budget: Budget) -> OneLiner:
    """What `code` does. `language` is the name of a language or of an interpreter ("python3", "gawk", "mshta").

    Never raises on any code: where a bound is hit, the reason is in `budget.limits` and what was found until then is returned.
    An unknown language gives an empty answer.
    """
    began = time.process_time()
    languages.load()  # read once for the whole program: not at the expense of this command
    budget.deadline += time.process_time() - began
    if len(code) > CODE_AT_MOST:
        code = code[:CODE_AT_MOST]
        _limit(budget, f"only the first {CODE_AT_MOST} characters were read")
    name, code = _language(language, code)
    found = languages.find(name)
    if found is None:
        return OneLiner()
    engine = Engine(found, budget)
    deadline, now = budget.deadline, time.process_time()
    budget.deadline = min(deadline, now + max(0.0, deadline - now) * _SHARE)
    try:
        engine.read(code)
    except BudgetExceeded:
        pass
    except RecursionError:
        _limit(budget, "nested too deeply")
    finally:
        budget.deadline = deadline
    return _answer(engine, found.utility if name == language else languages_utility(language, found.utility))


def languages_utility(language: str, default: str) -> str:
    """The name in actions: that of the interpreter as asked for, where it has one of its own."""
    named = languages.find(language)
    return named.utility if named is not None else default


def _language(language: str, code: str) -> tuple[str, str]:
    """The language that code for a host of several languages (osascript, mshta, wscript, PHP pages) is really in."""
    base = re.split(r"[\\/]", language.lower())[-1].removesuffix(".exe")
    if base in ("osascript", "applescript"):
        return ("jxa" if _JAVASCRIPT_FOR_AUTOMATION.search(code) else "applescript"), code
    if base in ("mshta", "wscript", "cscript", "rundll32", "hta", "html", "script", "about"):
        return _windows_script(code)
    if base == "php":
        return "php", re.sub(r"<\?(?:php|=)?|\?>", ";", code)
    return language, code


def _windows_script(code: str) -> tuple[str, str]:
    code = code.strip().strip('"')
    match = re.match(r"\s*(about|javascript|vbscript|jscript)\s*:", code, re.IGNORECASE)
    kind = match.group(1).lower() if match else ""
    code = code[match.end() :] if match else code
    elements = _SCRIPT_ELEMENT.findall(code)
    if elements:
        kind = "vbscript" if any("vbs" in attributes.lower() for attributes, _ in elements) else "jscript"
        code = "\n".join(body for _, body in elements)
    if not kind or kind == "about":
        kind = "jscript" if re.search(r"new\s+ActiveXObject|\bvar\s|function\s*\(|;\s*$", code) else "vbscript"
    return ("vbscript" if kind == "vbscript" else "jscript"), code


def _answer(engine: Engine, utility: str) -> OneLiner:
    actions: list[Action] = []
    printed: list[Action] = []
    for source in engine.sources:
        action = _action(source, utility)
        if action not in actions:
            actions.append(action)
        if source.printed:
            printed.append(action)
    actions += [
        Action(kind=ActionKind.LATERAL, utility=utility, form="remote events", remote=host, confidence=70)
        for host in engine.placed_on
    ]
    return OneLiner(tuple(actions), tuple(dict.fromkeys(engine.shell_texts)), tuple(printed))


def _action(source: Source, utility: str) -> Action:
    if source.landed or source.runs:
        kind = ActionKind.INGRESS
    else:
        kind = ActionKind.UPLOAD if source.sends is not None else ActionKind.BENIGN
    if source.urls and kind is ActionKind.INGRESS and all(locations.is_loopback(url) for url in source.urls):
        kind = ActionKind.BENIGN
    ingress = kind is ActionKind.INGRESS
    return Action(
        kind=kind,
        utility=utility,
        form="socket" if source.socket else "code",
        urls=tuple(source.urls),
        dest=source.dest,
        runs=source.runs and ingress,
        in_memory=ingress and source.dest is None and not source.landed,
        file=source.sends if kind is ActionKind.UPLOAD else None,
        notes=(PRINTED,) if source.printed and not ingress else (),
        confidence=85 if ingress else 70,
    )


def _limit(budget: Budget, reason: str) -> None:
    if reason not in budget.limits:
        budget.limits.append(reason)
