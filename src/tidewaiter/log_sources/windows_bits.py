"""Background Intelligent Transfer Service (BITS): download jobs, from the log Microsoft-Windows-Bits-Client/Operational.

Format: the provider's manifest. 3 a job is created, 4 it is complete, 5 it is cancelled, 59 a transfer starts, 60 it stopped,
61 it stopped with an error, 16403 a file is added to a job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tidewaiter.formats import windows_values as values
from tidewaiter.log_source import WindowsRecord
from tidewaiter.schema.event import Event, EventKind

_OUTCOMES = {3: "started", 4: "completed", 5: "cancelled", 59: "started", 60: "completed", 61: "failed", 16403: "started"}
_GUID = re.compile(r"\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")
_UNKNOWN_SIZE = 0xFFFF_FFFF_FFFF_FFFF


class Source:
    """Maps the records of jobs and transfers."""

    title = "Windows BITS"
    providers: Mapping[str, frozenset[int]] = {"microsoft-windows-bits-client": frozenset(_OUTCOMES)}

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The event of one record. `target` is the title of the job, `bytes_in` what was transferred so far."""
        data = record.data
        job_id, owner = _old_names(data)
        code = values.number(data, "hr")
        outcome = _OUTCOMES[record.event_id]
        if record.event_id == 60 and code:
            outcome = "failed"
        return (
            Event(
                kind=EventKind.JOB,
                time=record.time,
                log_source="windows_bits",
                log_file=record.log_file,
                record=record.record,
                host=record.computer,
                user=values.first_text(data, "jobOwner", "User", *owner),
                pid=values.number(data, "processId"),
                process_path=values.text(data, "processPath"),
                file_path=values.local_path(values.text(data, "LocalName")),
                file_size=_size(data, "fileLength", "bytesTotal"),
                bytes_in=_size(data, "bytesTransferred"),
                url=values.url(values.first_text(data, "url", "RemoteName")),
                job_id=values.key(values.first_text(data, "jobId", "Id", *job_id)),
                target=values.first_text(data, "jobTitle", "name", "string"),
                service="BITS",
                outcome=outcome,
                outcome_code=code,
                extra=_extra(record),
            ),
        )

    def finish(self) -> Iterable[Event]:
        """Nothing is held back."""
        return ()


def _old_names(data: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Where the first version of event 3 has the job's id and its owner: it calls its values string, string2 and string3."""
    names = [name for name in ("string2", "string3") if values.text(data, name)]
    job_id = [name for name in names if _GUID.fullmatch(str(data[name]))]
    return job_id, [name for name in names if name not in job_id]


def _size(data: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        found = values.number(data, name)
        if found is not None and 0 <= found < _UNKNOWN_SIZE >> 1:
            return found
    return None


def _extra(record: WindowsRecord) -> dict[str, Any]:
    names = ("peer", "proxy", "fileTime", "fileCount", "transferId")
    found = {name: values.text(record.data, name) for name in names}
    return {"event_id": record.event_id, **{name: value for name, value in found.items() if value}}
