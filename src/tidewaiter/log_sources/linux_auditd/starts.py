"""Programs that were started."""

from __future__ import annotations

from tidewaiter.formats.audit_event import AuditGroup
from tidewaiter.formats.audit_values import absolute, command_line
from tidewaiter.schema.event import Event


def started(event: Event, group: AuditGroup) -> Event:
    """The program start with what the EXECVE, CWD and PATH records say. PROCTITLE is not asked: it may be stale."""
    found = group.argv()
    extra = event.extra if event.extra is not None else {}
    event.cwd = group.cwd()
    if isinstance(found, str):
        event.command_line = found
    elif found is not None:
        argv, argc = found
        event.argv = tuple(argv)
        event.command_line = command_line(argv)
        if argc != len(argv) or not group.whole:
            extra["argc"] = argc
    path = group.first_path()
    program = path.name if path is not None else None
    if program is not None:
        place = absolute(program, event.cwd)
        if event.process_path is None:
            event.process_path = place
        elif place != event.process_path:
            extra["paths"] = [place]  # the script, or a link to the program
    return event
