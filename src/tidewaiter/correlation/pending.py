"""Commands that bring content to their standard output only: a redirection or a pipe of the shell that started them decides.

A process's command line does not show `> file` and `| sh`: the shell opened the file under the same pid before it started
the program, and the other side of the pipe is a sibling that was given no script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tidewaiter.correlation import claims, words
from tidewaiter.correlation.processes import Process
from tidewaiter.reading import paths
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostFold

SECOND = 1_000_000
REDIRECT_WINDOW = 3 * SECOND
"""The shell opens the file this long before the program starts, at most."""
PIPE_WINDOW = 1 * SECOND
"""Both sides of a pipe start within this time."""
_NOTHING = re.compile(r"^(?:/dev/(?:null|stderr|stdout|tty|pts/\d+)|nul)$", re.I)


@dataclass(eq=False)
class Waiting:
    """A fetch to standard output whose use is not known yet."""

    event: Event
    finding: Finding
    process: Process


def offer(fold: HostFold, event: Event, finding: Finding, process: Process | None) -> bool:
    """A fetch to standard output: claim it where a redirection, a pipe or another log shows its use. True when claimed."""
    action = finding.action
    if process is None or action is None or event.kind is not EventKind.PROCESS_START:
        return False
    target = _redirect(process, event)
    if target is not None:
        _claim(fold, event, finding, process, dest=target.file_path)
        return True
    parent = process.parent
    if parent is None:
        return False
    shell = next((one for one in reversed(parent.idle) if abs(one.time - event.time) <= PIPE_WINDOW), None)
    if shell is not None:
        _claim(fold, event, finding, process, shell=shell)
        return True
    if _known_elsewhere(fold, event, action):
        _claim(fold, event, finding, process)
        return True
    parent.waiting.append(Waiting(event, finding, process))
    del parent.waiting[:-8]
    return False


def shell_started(fold: HostFold, event: Event, process: Process) -> None:
    """An interpreter without a script reads what a sibling brings."""
    if process.parent is None or process.program not in fold.roles.script_readers or not _without_script(event):
        return
    for waiting in reversed(process.parent.waiting):
        if abs(waiting.event.time - event.time) <= PIPE_WINDOW:
            process.parent.waiting.remove(waiting)
            _claim(fold, waiting.event, waiting.finding, waiting.process, shell=event)
            return
    process.parent.idle.append(event)
    del process.parent.idle[:-8]


def _without_script(event: Event) -> bool:
    rest = words.arguments(event)[1:]
    return rest[:1] in (["-s"], ["-"]) or all(word in ("-", "-s", "-x", "-e", "--") for word in rest)


def _redirect(process: Process, event: Event) -> Event | None:
    for owner in (process, process.previous):
        for one in reversed(owner.files if owner is not None else ()):
            if -REDIRECT_WINDOW <= one.time - event.time <= 0 and one.file_path and not _NOTHING.match(one.file_path):
                return one
    return None


def _known_elsewhere(fold: HostFold, event: Event, action: Action) -> bool:
    """A shell history or a parent's command line already told the whole line."""
    wanted = paths.url_keys(action.urls)
    return bool(wanted) and any(
        claims.only_typed(draft) and wanted & draft.url_keys and abs(draft.time - event.time) <= claims.HISTORY_WINDOW
        for draft in fold.drafts[-20:]
    )


def _claim(
    fold: HostFold, event: Event, finding: Finding, process: Process, dest: str | None = None, shell: Event | None = None
) -> None:
    action = finding.action
    if action is None:
        return
    action = msgspec.structs.replace(
        action,
        kind=ActionKind.INGRESS,
        dest=dest,
        runs=shell is not None,
        in_memory=dest is None,
        confidence=min(action.confidence, 85),
    )
    draft = claims.claim(fold, event, msgspec.structs.replace(finding, action=action), process)
    if shell is not None:
        draft.see("run", shell, claims.summary(shell))
