"""Files that say themselves that they came from another host: the mark of the web, and what receiving programs write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tidewaiter.catalog import roles
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_HOST_URL = re.compile(r"HostUrl=(\S+)", re.I)
_ZONE = re.compile(r"ZoneId=([34])", re.I)
_REFERRER = re.compile(r"ReferrerUrl=(\S+)", re.I)


class Analytic:
    """Zone.Identifier streams; files written by System, sftp-server, smbd and their like."""

    title = "Files marked or written as coming from another host"
    kinds = frozenset({EventKind.FILE_STREAM, EventKind.FILE_CREATE, EventKind.FILE_BLOCKED})
    data_component = "DC0039 File Creation"

    def __init__(self) -> None:
        self._roles = roles.load()
        self._writers = roles.Among(self._roles.receivers | {"system"})

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """Streams with a zone; files whose writer receives for others, or may be the system itself."""
        writers = self._writers
        return [
            "zone.identifier" in (event.target or "").lower()
            if event.kind is EventKind.FILE_STREAM
            else writers[event.process_path or event.process_name] or event.pid == 4
            for event in events
        ]

    def findings(self, event: Event) -> Iterable[Finding]:
        """At most one finding."""
        if event.kind is EventKind.FILE_STREAM:
            yield from self._marked(event)
        elif _is_system(event):
            yield from self._by_system(event)
        else:
            yield from self._received(event)

    def _marked(self, event: Event) -> Iterable[Finding]:
        content = (event.content or "").replace("\x00", "")
        host = _HOST_URL.search(content)
        url = host[1] if host and not host[1].lower().startswith(("about:", "file:")) else None
        if url is None and not _ZONE.search(content) and content.strip():
            return
        program = roles.program_name(event.process_path or event.process_name)
        if not content.strip() and program not in self._roles.browsers:
            return
        action = Action(
            kind=ActionKind.INGRESS, utility=program or "browser", form="mark_of_the_web",
            urls=(url,) if url else (), dest=event.file_path,
            confidence=90 if url else 75,
        )  # fmt: skip
        yield Finding(analytic="file_from_network", stage="landed", action=action)

    def _by_system(self, event: Event) -> Iterable[Finding]:
        """On Windows the SMB server writes as System (process 4)."""
        kind = roles.file_type(event.file_path)
        if kind not in self._roles.executable_types | self._roles.script_types | self._roles.archive_types:
            return
        path = (event.file_path or "").replace("\\", "/").lower()
        if roles.any_part(path, self._roles.system_files):
            return
        action = Action(kind=ActionKind.LATERAL, utility="smb", form="written_by_system", dest=event.file_path, confidence=70)
        yield Finding(
            analytic="file_from_network",
            stage="landed",
            action=action,
            reasons=("remote_writer",),
            note="the file server (System)",
        )

    def _received(self, event: Event) -> Iterable[Finding]:
        path = (event.file_path or "").replace("\\", "/").lower()
        if roles.any_part(path, self._roles.own_files) or not path:
            return
        program = roles.program_name(event.process_path or event.process_name)
        if program not in self._roles.receivers or program in ("scp", "rsync", "rz"):
            return  # these three are clients too: their command line says more
        action = Action(kind=ActionKind.LATERAL, utility=program, form="received", dest=event.file_path, confidence=75)
        yield Finding(analytic="file_from_network", stage="landed", action=action, reasons=("remote_writer",), note=program)


def _is_system(event: Event) -> bool:
    return (event.pid == 4 and event.log_source.startswith("windows")) or (event.process_path or "").lower() == "system"
