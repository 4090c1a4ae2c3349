"""Joins the numbered parts of PowerShell's script blocks (event 4104) within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidewaiter.errors import DamagedError
from tidewaiter.log_source import WindowsRecord
from tidewaiter.log_sources import windows_values as values
from tidewaiter.schema.event import Event, EventKind

_SCRIPTS_OPEN = 256
_CHARACTERS_OPEN = 16 << 20
_PARTS_OF_ONE = 10_000


class _Script:
    def __init__(self, record: WindowsRecord, total: int) -> None:
        self.record = record
        self.total = total
        self.parts: dict[int, str] = {}
        self.characters = 0


class ScriptParts:
    """Scripts whose parts are being gathered. What is given up to stay within bounds is told with its missing parts."""

    def __init__(self) -> None:
        self.held = 0
        self._open: dict[tuple[str | None, str], _Script] = {}
        self._characters = 0

    def add(self, record: WindowsRecord) -> Iterable[Event]:
        """The events that this part completes, or that had to be given up for it."""
        data = record.data
        number, total = values.number(data, "MessageNumber") or 1, values.number(data, "MessageTotal") or 1
        text = data.get("ScriptBlockText")
        if text is None:  # exports write an empty script as null
            text = ""
        if not isinstance(text, str) or not 1 <= number <= total:
            raise DamagedError(record.log_file, f"record {record.record}", "script block without text or with a wrong number")
        script_id = values.key(values.text(data, "ScriptBlockId")) or record.record
        if total == 1:
            if not text.strip():
                return
            yield _event(record, script_id, text)
            return
        self.held += 1
        name = (record.computer, script_id)
        script = self._open.get(name)
        if script is None:
            script = self._open[name] = _Script(record, min(total, _PARTS_OF_ONE))
        if number not in script.parts and len(script.parts) < _PARTS_OF_ONE:
            script.parts[number] = text
            script.characters += len(text)
            self._characters += len(text)
        if len(script.parts) >= script.total:
            yield self._closed(name)
        while self._open and (len(self._open) > _SCRIPTS_OPEN or self._characters > _CHARACTERS_OPEN):
            yield self._closed(next(iter(self._open)))

    def finish(self) -> Iterator[Event]:
        """What is still incomplete."""
        while self._open:
            yield self._closed(next(iter(self._open)))

    def _closed(self, name: tuple[str | None, str]) -> Event:
        script = self._open.pop(name)
        self._characters -= script.characters
        text = "".join(script.parts[number] for number in sorted(script.parts))
        missing = [number for number in range(1, script.total + 1) if number not in script.parts]
        return _event(script.record, name[1], text, missing)


def _event(record: WindowsRecord, script_id: str, text: str, missing: list[int] | None = None) -> Event:
    extra: dict[str, object] = {"script_block_id": script_id}
    if missing:
        extra["missing_parts"] = missing[:100]
    return Event(
        kind=EventKind.SCRIPT,
        time=record.time,
        log_source="windows_powershell",
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        user=record.user_id,
        process_name="powershell",
        pid=record.process_id,
        file_path=values.text(record.data, "Path"),
        content=text,
        extra=extra,
    )
