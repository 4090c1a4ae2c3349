"""Command execution: command lines, scripts and typed lines that bring something in, send it on, or check a hash."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import msgspec

from tidewaiter.reading import locations
from tidewaiter.reading.reader import read
from tidewaiter.reading.sieve import TextSieve
from tidewaiter.schema.action import Action, ActionKind, Reading
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_START = EventKind.PROCESS_START
_WANTED = frozenset({ActionKind.INGRESS, ActionKind.LATERAL, ActionKind.VERIFY_HASH, ActionKind.UPLOAD})
_SCRIPTS = frozenset({EventKind.SCRIPT, EventKind.SCRIPT_CALL})
_STAGES = {ActionKind.VERIFY_HASH: "checked", ActionKind.UPLOAD: "spread"}
_PLAIN_STEPS = frozenset({"mapped drive", "base64", "Invoke-Expression", "renamed program"})
"""Unfolding steps that hide nothing by themselves, or that another reason weighs."""
MAX_ACTIONS = 24
"""Actions of one text that become findings; a script that fetches more is reported with these."""


class Analytic:
    """Reads what the sieve leaves over."""

    title = "Commands and scripts that transfer files"
    kinds = frozenset(
        {EventKind.PROCESS_START, EventKind.SHELL_COMMAND, EventKind.SCRIPT, EventKind.SCRIPT_CALL, EventKind.MALWARE_DETECTED}
    )
    data_component = "DC0032 Process Creation, DC0064 Command Execution, DC0029 Script Execution"

    def __init__(self) -> None:
        self._texts = TextSieve()

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """Multi-pattern pass over the texts; a superset of what the reader can understand."""
        return self._texts.candidates([_sieved(event) for event in events])

    def findings(self, event: Event) -> Iterable[Finding]:
        """One finding per action of interest."""
        reading = _reading(event)
        hiding = list(dict.fromkeys(step.what for step in reading.steps if step.what not in _PLAIN_STEPS))
        text = (_text(event) or "").lower()
        seen = 0
        for action in reading.actions:
            if action.kind not in _WANTED and not _undecided(event, action):
                continue
            seen += 1
            if seen > MAX_ACTIONS:
                return
            hides = [*(["the source is not spelled out"] if _hides_source(action, text) else []), *hiding]
            yield Finding(
                analytic="command_execution",
                stage=_STAGES.get(action.kind, "commanded"),
                action=_bounded(action),
                reasons=("unfolded",) if hides else (),
                note=", ".join(hides)[:120],
            )


def _hides_source(action: Action, text: str) -> bool:
    """No host that the action fetches from stands in the text as it was logged."""
    hosts = [host for host in map(locations.host_of, action.urls) if host]
    return bool(hosts) and action.kind is ActionKind.INGRESS and not any(host in text for host in hosts)


def _undecided(event: Event, action: Action) -> bool:
    """A fetch to standard output by one process: the shell around it may have redirected or piped it."""
    return event.kind is EventKind.PROCESS_START and action.kind is ActionKind.BENIGN and action.in_memory


def _text(event: Event) -> str:
    if event.kind in _SCRIPTS:
        return event.content or ""
    return event.command_line or (" ".join(event.argv) if event.argv else "")


def _sieved(event: Event) -> str:
    """The text, and what the reader knows a program by although its command line calls it something else, a line each."""
    if event.kind is not _START:
        return _text(event)
    line, path, original = event.command_line or "", event.process_path, event.original_name
    text = line or (" ".join(event.argv) if event.argv else "")
    if path:
        name = path.replace("\\", "/").rpartition("/")[2]
        if name not in line:
            text = f"{text}\n{name}"
    return f"{text}\n{original}" if original and original not in line else text


def platform_of(event: Event) -> str:
    """The platform that a log source's commands are written for."""
    if event.log_source.startswith("windows"):
        return "windows"
    if event.log_source.startswith("macos"):
        return "macos"
    return "esxi" if event.log_source.startswith("esxi") else "linux"


def _reading(event: Event) -> Reading:
    platform = platform_of(event)
    if event.kind in _SCRIPTS:
        return _read_script(event.content or "")
    if event.kind is EventKind.PROCESS_START:
        return _read_process(event.command_line or "", event.argv, platform, event.original_name, event.process_path)
    return _read_line(event.command_line or "", platform)


@functools.lru_cache(maxsize=4_096)
def _read_process(
    line: str, argv: tuple[str, ...] | None, platform: str, original_name: str | None, path: str | None
) -> Reading:
    if argv and path and not argv[0].rpartition("/")[2].startswith("-"):
        first = argv[0].rpartition("/")[2]
        actual = path.rpartition("/")[2]
        if first != actual and not _multi_call(actual):
            argv = (path, *argv[1:]) if _known(actual) else argv
    if argv:
        return read(line, platform, argv=argv)
    if path and not line.strip():
        return Reading()
    return read(line, platform, exact=True, original_name=original_name)


def _known(program: str) -> bool:
    from tidewaiter.catalog import utilities

    return utilities.load().named(program.lower(), "linux") is not None


def _multi_call(program: str) -> bool:
    """busybox and its like decide by argv[0]; interpreters run a script under its own name."""
    return program in ("busybox", "toybox", "coreutils", "dash", "bash", "perl") or program.startswith("python")


@functools.lru_cache(maxsize=1_024)
def _read_line(line: str, platform: str) -> Reading:
    return read(line, platform)


@functools.lru_cache(maxsize=256)
def _read_script(text: str) -> Reading:
    return read(text, "windows", language="powershell", cpu_seconds=0.2)


def _bounded(action: Action) -> Action:
    """Texts of a sane length: they travel with the row."""
    if all(len(url) <= 2_000 for url in action.urls) and len(action.dest or "") <= 2_000 and len(action.urls) <= 24:
        return action
    return msgspec.structs.replace(
        action, urls=tuple(url[:2_000] for url in action.urls[:24]), dest=action.dest[:2_000] if action.dest else None
    )
