"""Commands that bring content to their standard output only: a redirection or a pipe of the shell that started them decides.

A process's command line does not show `> file` and `| sh`: the shell opened the file under the same pid before it started
the program, and the other side of the pipe is a sibling that was given no script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tidewaiter.correlation import claims
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.passed import recall
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
    recall(fold, process)
    target = _redirect(process, event)
    if target is not None:
        _claim(fold, event, finding, process, dest=target.file_path)
        return True
    parent = process.parent
    if parent is None:
        return False
    shell = next((one for one in reversed(parent.idle or ()) if abs(one.time - event.time) <= PIPE_WINDOW), None)
    if shell is not None:
        _claim(fold, event, finding, process, shell=shell.read())
        return True
    if _known_elsewhere(fold, event, action):
        _claim(fold, event, finding, process)
        return True
    parent.waiting = [*(parent.waiting or ())[-7:], Waiting(event, finding, process)]
    return False


def shell_started(fold: HostFold, glimpse: Glimpse, process: Process) -> None:
    """An interpreter without a script reads what a sibling brings."""
    parent = process.parent
    if parent is None or not glimpse.sign:
        return
    for waiting in reversed(parent.waiting or ()):
        if abs(waiting.event.time - glimpse.time) <= PIPE_WINDOW:
            parent.waiting = [one for one in parent.waiting or () if one is not waiting]
            _claim(fold, waiting.event, waiting.finding, waiting.process, shell=glimpse.read())
            return
    parent.idle = [*(parent.idle or ())[-7:], glimpse]


def _redirect(process: Process, event: Event) -> Event | None:
    for owner in (process, process.previous):
        for glimpse in reversed(owner.recent_files if owner is not None else ()):
            if -REDIRECT_WINDOW <= glimpse.time - event.time <= 0:
                one = glimpse.read()
                if one.file_path and not _NOTHING.match(one.file_path):
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
