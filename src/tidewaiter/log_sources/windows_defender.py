"""Microsoft Defender Antivirus: malware that was detected, blocked or put in quarantine.

Format: Microsoft's reference of Defender event ids (1006 to 1008, 1015, 1116, 1117). The value `Path` holds one or more entries
`scheme:_value` separated by semicolons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tidewaiter.formats import windows_values as values
from tidewaiter.log_source import WindowsRecord
from tidewaiter.schema.event import Event, EventKind

_IDS = frozenset({1006, 1007, 1008, 1015, 1116, 1117})
_ENTRY = re.compile(r"(?:^|;\s*)([A-Za-z]+):_")
_ACTIONS = {1: "blocked", 2: "quarantined", 3: "blocked", 10: "blocked"}  # clean, quarantine, remove, block
_ENTRIES_KEPT = 100
_MEMBER = "->"


class Source:
    """Maps detections; each file, command line or download in `Path` becomes an event of its own."""

    title = "Windows Defender"
    providers: Mapping[str, frozenset[int]] = {"microsoft-windows-windows defender": _IDS}

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The events of one detection. Its times of detection may be of the year 1601 and are not used."""
        entries, other = _entries(values.first_text(record.data, "Path", "path") or "")
        for seq, fields in enumerate(entries or [{}]):
            yield _event(record, seq, fields, other)

    def finish(self) -> Iterable[Event]:
        """Nothing is held back."""
        return ()


def _event(record: WindowsRecord, seq: int, fields: dict[str, Any], other: list[str]) -> Event:
    data = record.data
    extra: dict[str, Any] = {"event_id": record.event_id}
    if other:
        extra["other"] = other
    if "member" in fields:
        extra["member"] = fields.pop("member")
    detection, source = values.key(values.text(data, "Detection ID")), values.text(data, "Source Name")
    extra.update({name: found for name, found in (("detection_id", detection), ("detected_by", source)) if found})
    return Event(
        kind=EventKind.MALWARE_DETECTED,
        time=record.time,
        log_source="windows_defender",
        log_file=record.log_file,
        record=record.record,
        seq=seq,
        host=record.computer,
        user=values.first_text(data, "Detection User", "User", "Remediation User"),
        process_path=values.text(data, "Process Name"),
        service="Microsoft Defender Antivirus",
        target=values.text(data, "Threat Name"),
        outcome=_outcome(record),
        outcome_code=values.number(data, "Error Code"),
        extra=extra,
        **fields,
    )


def _outcome(record: WindowsRecord) -> str:
    if record.event_id in (1007, 1117):
        failed = values.number(record.data, "Error Code")
        return (
            "failed" if failed else _ACTIONS.get(values.number(record.data, "Action ID", "Cleaning Action ID") or 0, "detected")
        )
    return "failed" if record.event_id == 1008 else "detected"


def _entries(path: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The fields of each entry that is a file, command line or download, and the other entries as they are."""
    marks = list(_ENTRY.finditer(path))[:_ENTRIES_KEPT]
    entries: list[dict[str, Any]] = []
    other: list[str] = []
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        scheme = mark[1].lower()
        text = path[mark.end() : following.start() if following else len(path)].strip()
        fields = _fields(scheme, text)
        if fields is None:
            other.append(f"{mark[1]}:{text}")
        elif fields not in entries:
            entries.append(fields)
    if not marks and path:
        entries.append({"file_path": path})
    return entries, other


def _fields(scheme: str, text: str) -> dict[str, Any] | None:
    if scheme == "cmdline":
        return {"command_line": values.url(text)}
    if scheme in ("file", "containerfile"):
        path, arrow, member = text.partition(_MEMBER)
        return {"file_path": path, "member": member} if arrow else {"file_path": path}
    if scheme == "webfile":
        path, _, rest = text.partition("|")
        address, _, process = rest.partition("|")
        found: dict[str, Any] = {"file_path": path, "url": values.url(address) or None}
        pid = re.match(r"pid:(\d{1,9})", process)
        return {**found, "pid": int(pid[1])} if pid else found
    return None
