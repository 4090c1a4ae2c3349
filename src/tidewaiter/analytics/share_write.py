"""Files written through a Windows share, as the receiving host's Security log shows them (5145)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidewaiter.catalog import roles
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

WRITE_DATA = 0x2
"""FILE_WRITE_DATA of the access mask ([MS-DTYP] 2.4.3, file access rights)."""
APPEND_DATA = 0x4


class Analytic:
    """Write access to a file on a disk share."""

    title = "Files written through a share"
    kinds = frozenset({EventKind.SHARE_ACCESS})
    data_component = "DC0102 Network Share Access"

    def __init__(self) -> None:
        self._roles = roles.load()

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """By access mask and by the name of a file."""
        return [
            bool((event.access or 0) & WRITE_DATA)
            and "ipc$" not in (event.service or "").lower()
            and bool(event.target or event.file_path)
            for event in events
        ]

    def findings(self, event: Event) -> Iterable[Finding]:
        """At most one finding; of ordinary documents none, a file server sees them all day."""
        path = event.file_path or event.target or ""
        kind = roles.file_type(path)
        admin = (event.service or "").rstrip("\\").lower().endswith("$")
        loud = self._roles.executable_types | self._roles.script_types | self._roles.archive_types
        if kind not in loud and not (admin and kind in ("dat", "tmp", "txt", "log", "dmp", "config")):
            return
        reason = "admin_share" if admin else "share_write"
        if kind not in loud:
            reason = "share_write"
        action = Action(
            kind=ActionKind.LATERAL,
            utility="smb",
            form="share_write",
            dest=path,
            confidence=80,
            techniques=("T1021.002",) if admin else (),
        )
        yield Finding(analytic="share_write", stage="landed", action=action, reasons=(reason,), note=event.src_ip or "")
