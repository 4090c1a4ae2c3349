"""Executables and server-side scripts written by programs whose work that is not: what an implant or a web shell does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidewaiter.catalog import roles
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding


class Analytic:
    """Writers in folders that anybody can write, web server workers, office programs."""

    title = "Executables dropped by a program that is no installer"
    kinds = frozenset({EventKind.FILE_CREATE})
    data_component = "DC0039 File Creation"

    def __init__(self) -> None:
        self._roles = roles.load()
        self._loud = self._roles.executable_types | self._roles.script_types

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """By the new file's type."""
        loud, may_be = self._loud, roles.may_be_of_type
        return [may_be(event.file_path, loud) and bool(event.process_path) for event in events]

    def findings(self, event: Event) -> Iterable[Finding]:
        """At most one finding."""
        known = self._roles
        program = roles.program_name(event.process_path)
        kind = roles.file_type(event.file_path)
        path = (event.file_path or "").replace("\\", "/").lower()
        if roles.any_part(path, known.own_files) or program in known.writers_of_executables or event.pid == 4:
            return
        reason, note = None, program
        if program in known.web_workers and kind in known.script_types:
            reason = "web_root" if roles.any_part(path, known.web_roots) else "dropped_executable"
            note = event.file_path or ""
        elif (
            kind not in known.executable_types
            or program in known.browsers
            or program in known.runners
            or program in known.receivers
        ):
            return
        elif program in known.office or roles.any_part(
            (event.process_path or "").replace("\\", "/").lower(), known.open_folders
        ):
            reason = "dropped_executable"
        if reason is None:
            return
        action = Action(kind=ActionKind.INGRESS, utility=program, form="dropped", dest=event.file_path, confidence=60)
        yield Finding(analytic="executable_dropped", stage="landed", action=action, reasons=(reason,), note=note)
