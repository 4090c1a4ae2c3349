"""Windows System log: services that were installed.

Format: event 7045 of the provider Service Control Manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidewaiter.formats import windows_values as values
from tidewaiter.log_source import WindowsRecord
from tidewaiter.schema.event import Event, EventKind


class Source:
    """Maps installations of services."""

    title = "Windows System log"
    providers: Mapping[str, frozenset[int]] = {"service control manager": frozenset({7045})}
    channels: Mapping[str, str] = {"system": "service control manager"}

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The installed service. `file_path` and `command_line` are the image path as given, arguments and all."""
        data = record.data
        image = values.first_text(data, "ImagePath", "param2")
        return (
            Event(
                kind=EventKind.SERVICE_INSTALL,
                time=record.time,
                log_source="windows_system",
                log_file=record.log_file,
                record=record.record,
                host=record.computer,
                user=record.user_id,
                service=values.first_text(data, "ServiceName", "param1"),
                command_line=image,
                file_path=image,
                extra={
                    "type": values.text(data, "ServiceType"),
                    "start": values.text(data, "StartType"),
                    "account": values.text(data, "AccountName"),
                },
            ),
        )

    def finish(self) -> Iterable[Event]:
        """Nothing is held back."""
        return ()
