"""The shapes in which exporters write a Windows event as a JSON object, told apart record by record.

NXLog (flat, SourceName/EventID/EventTime), Winlogbeat before and since version 7, Elastic Common Schema, Wazuh, Splunk
(flat, EventCode), `Get-WinEvent | ConvertTo-Json`, and converters of the event's XML such as evtx_dump.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tidewaiter.formats.windows_records import event_number, microseconds, named_values, zoned_microseconds

_QUARTER = 15 * 60 * 1_000_000  # zones differ by quarters of an hour
_WIDEST = 26 * 3600 * 1_000_000
_NEAR = 5_000_000
_SAME = 600_000_000
_HOSTS_KEPT = 10_000
_WRAPPERS = ("_source", "result", "event", "Event", "fields", "data")
_ANY_WRAPPER = frozenset(_WRAPPERS)
UNUSUAL = (*_WRAPPERS, "System", "EventData", "ProviderName", "@timestamp", "UserId", "ProviderProcessId")
"""What the most frequent form, that of NXLog, does not have."""


_FLAT = "flat fields (EventID, SourceName or Channel)"


class Parts(msgspec.Struct, gc=False):
    """What one JSON object says of its Windows event."""

    shape: str
    provider: str | None
    event_id: int
    channel: str | None
    computer: str | None
    time: int | None  # as stated
    true_time: bool  # False where the stated time may be local time that claims to be UTC
    data: Mapping[str, Any]
    user_id: str | None = None
    process_id: int | None = None


def parts_of(value: Any) -> Parts | None:
    """The event that a decoded JSON value holds, or None where it is none."""
    if not isinstance(value, dict):
        return None
    if value.keys().isdisjoint(UNUSUAL) and (usual := _usual(value)) is not None:
        return usual
    for key in () if _ANY_WRAPPER.isdisjoint(value) else _WRAPPERS:
        if key not in value:
            continue
        inner = value[key]
        if isinstance(inner, dict):
            found = _bare(inner) or (_wazuh(inner["win"]) if isinstance(inner.get("win"), dict) else None)
            if found is not None:
                return found
    return _bare(value)


def _usual(value: dict[str, Any]) -> Parts | None:
    """The most frequent form, as `_flat` reads it; None where anything about it is not as it usually is."""
    get = value.get
    event_id, provider, channel, computer = get("EventID"), get("SourceName"), get("Channel"), get("Hostname")
    user_id, process_id = get("UserID"), get("ExecutionProcessID")
    if event_id.__class__ is not int or provider.__class__ is not str or channel.__class__ is not str:
        return None
    if not provider or not channel or computer.__class__ is not str or not computer:
        return None
    if user_id.__class__ is not str or not user_id:
        user_id = None
    if process_id is not None and process_id.__class__ is not int:
        return None
    time, zoned = zoned_microseconds(get("EventTime"))
    if time is None:
        return None
    return Parts(_FLAT, provider, event_id, channel, computer, time, zoned, value, user_id, process_id)


def _bare(value: dict[str, Any]) -> Parts | None:
    if "EventID" in value and "System" not in value:
        return _flat(value)
    if isinstance(value.get("System"), dict):
        return _xml(value, value["System"])
    if isinstance(value.get("winlog"), dict):
        return _winlog(value, value["winlog"])
    if "event_id" in value:
        return _old_winlogbeat(value)
    if "EventCode" in value or "Id" in value or "EventId" in value or "winlog.event_id" in value:
        return _flat(value)
    return None


def _first(value: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        found = value.get(name)
        if isinstance(found, str) and found:
            return found
    return None


def _whole(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 16 else None
    return value if isinstance(value, int) else None


def _flat(value: dict[str, Any]) -> Parts | None:
    event_id = value.get("EventID")
    if event_id.__class__ is not int:
        event_id = _flat_id(value)
    provider = value.get("SourceName")
    if provider.__class__ is not str or not provider:
        provider = _first(value, "ProviderName", "Provider", "winlog.provider_name", "source_name")
    channel = value.get("Channel")
    if channel.__class__ is not str or not channel:
        channel = _first(value, "LogName", "winlog.channel", "log_name")
    if event_id is None or (provider is None and channel is None):
        return None
    computer = value.get("Hostname")
    if computer.__class__ is not str or not computer:
        computer = _first(value, "Computer", "ComputerName", "MachineName", "winlog.computer_name")
    time, true = _flat_time(value)
    data: Mapping[str, Any] = value
    inner = value.get("EventData")
    if isinstance(inner, dict):
        data = {**value, **named_values(inner)}
    elif "Image" not in value and "ProviderName" in value and "Message" in value:
        data = {**_message_values(value["Message"]), **value}
    user_id = value.get("UserID")
    if user_id.__class__ is not str or not user_id:
        user_id = _first(value, "UserId")
    process_id = _whole(value.get("ExecutionProcessID", value.get("ProviderProcessId")))
    return Parts(_FLAT, provider, event_id, channel, computer, time, true, data, user_id, process_id)


def _flat_id(value: dict[str, Any]) -> int | None:
    for name in ("EventID", "EventCode", "EventId", "winlog.event_id", "Id"):
        number = event_number(value.get(name))
        if number is not None:
            return number
    return None


def _flat_time(value: Mapping[str, Any]) -> tuple[int | None, bool]:
    """The stated time and whether it is surely UTC.

    NXLog writes local times; where a receiver added `@timestamp` in UTC, its distance from EventReceivedTime is the zone.
    """
    local, zoned = zoned_microseconds(value.get("EventTime"))
    if local is not None:
        if zoned:
            return local, True
        if "@timestamp" not in value:
            return local, False
        received, stamped = microseconds(value.get("EventReceivedTime")), microseconds(value.get("@timestamp"))
        if received is not None and stamped is not None and abs(stamped - received) < _WIDEST:
            return local + _quarters(stamped - received), True
        return local, False
    for name in ("TimeCreated", "SystemTime", "EventTimeUtc", "@timestamp", "timestamp", "_time", "TimeGenerated"):
        time = microseconds(value.get(name))
        if time is not None:
            return time, False
    return None, False


def _quarters(difference: int) -> int:
    return round(difference / _QUARTER) * _QUARTER


def _message_values(message: Any) -> dict[str, str]:
    """The `Name: value` lines of a rendered message, as Sysmon's are."""
    values: dict[str, str] = {}
    for line in message.splitlines()[:200] if isinstance(message, str) else ():
        name, colon, text = line.partition(": ")
        if colon and name.isalnum():
            values.setdefault(name, text)
    return values


def _old_winlogbeat(value: dict[str, Any]) -> Parts | None:
    event_id = event_number(value["event_id"])
    provider, channel = _first(value, "source_name", "provider_name"), _first(value, "log_name", "channel")
    if event_id is None or (provider is None and channel is None):
        return None
    user = value.get("user")
    return Parts(
        shape="Winlogbeat fields (event_id, source_name)",
        provider=provider,
        event_id=event_id,
        channel=channel,
        computer=_first(value, "computer_name"),
        time=microseconds(value.get("@timestamp")),
        true_time=True,
        data=_data_and_message(value.get("event_data") or value.get("user_data"), value.get("message")),
        user_id=_first(user, "identifier") if isinstance(user, dict) else None,
        process_id=_whole(value.get("process_id")),
    )


def _data_and_message(data: Any, message: Any) -> Mapping[str, Any]:
    """Named values; where there are none the rendered message, which classic providers put everything in."""
    named = named_values(data)
    return named if named or message is None else {"Message": message}


def _winlog(value: dict[str, Any], winlog: dict[str, Any]) -> Parts | None:
    event_id = event_number(winlog.get("event_id"))
    if event_id is None:
        code = value.get("event")
        event_id = event_number(code.get("code")) if isinstance(code, dict) else event_number(value.get("event.code"))
    if event_id is None:
        return None
    host, user, process = value.get("host"), winlog.get("user"), winlog.get("process")
    computer = _first(winlog, "computer_name") or (_first(host, "name", "hostname") if isinstance(host, dict) else None)
    return Parts(
        shape="winlog.* fields (Winlogbeat, Elastic Common Schema)",
        provider=_first(winlog, "provider_name"),
        event_id=event_id,
        channel=_first(winlog, "channel"),
        computer=computer,
        time=microseconds(value.get("@timestamp")),
        true_time=True,
        data=_data_and_message(winlog.get("event_data") or winlog.get("user_data"), value.get("message")),
        user_id=_first(user, "identifier") if isinstance(user, dict) else None,
        process_id=_whole(process.get("pid")) if isinstance(process, dict) else None,
    )


def _attribute(element: Any, name: str) -> Any:
    """An attribute of an XML element as converters write it; a plain value stands for itself."""
    if not isinstance(element, dict):
        return element
    attributes = element.get("#attributes")
    if isinstance(attributes, dict):
        return attributes.get(name)
    return element.get("@" + name, element.get(name))


def _xml(value: dict[str, Any], system: dict[str, Any]) -> Parts | None:
    def attribute(element: str, name: str) -> Any:
        joined = system.get(element + "_attributes")
        return _attribute(system.get(element) if joined is None else joined, name)

    event_id = event_number(system.get("EventID"))
    provider = attribute("Provider", "Name")
    if event_id is None or not isinstance(provider, str):
        return None
    data = value.get("EventData")
    user_id = attribute("Security", "UserID")
    return Parts(
        shape="System and EventData (XML as JSON)",
        provider=provider,
        event_id=event_id,
        channel=_first(system, "Channel"),
        computer=_first(system, "Computer"),
        time=microseconds(attribute("TimeCreated", "SystemTime")),
        true_time=True,
        data=named_values(data if data is not None else value.get("UserData")),
        user_id=user_id if isinstance(user_id, str) else None,
        process_id=_whole(attribute("Execution", "ProcessID")),
    )


def _wazuh(win: dict[str, Any]) -> Parts | None:
    system, data = win.get("system"), win.get("eventdata")
    if not isinstance(system, dict):
        return None
    event_id = event_number(system.get("eventID"))
    if event_id is None:
        return None
    return Parts(
        shape="data.win fields (Wazuh)",
        provider=_first(system, "providerName"),
        event_id=event_id,
        channel=_first(system, "channel"),
        computer=_first(system, "computer"),
        time=microseconds(system.get("systemTime")),
        true_time=True,
        data={key[:1].upper() + key[1:]: text for key, text in data.items()} if isinstance(data, dict) else {},
        process_id=_whole(system.get("processID")),
    )


class Clock:
    """Settles the time of a record between the event's own UTC time and the time that the exporter stated.

    Some exports state local time with a false Z, or a 12-hour clock without AM and PM. Sysmon's UtcTime shows it: where two
    records of a host in a row are off by the same quarters of an hour, its records without UtcTime are shifted as well.
    """

    def __init__(self) -> None:
        self._shift: dict[str | None, int] = {}
        self._once: dict[str | None, int] = {}
        self._shifted: dict[int, int] = {}

    def time(self, parts: Parts) -> int | None:
        """Microseconds since 1970 UTC, or None where the record states no time."""
        own, stated = microseconds(parts.data.get("UtcTime")), parts.time
        if stated is None or parts.true_time:
            return stated if stated is not None else own
        return self.settled(own, stated, parts.computer)

    def settled(self, own: int | None, stated: int, host: str | None) -> int:
        """The time of a record whose stated time may be local."""
        shift = self._shift.get(host, 0)
        if own is not None and -_NEAR <= own - stated <= _NEAR and not shift and self._once.get(host) == 0:
            return own  # the host has no shift, and shows it again
        if own is None:
            if shift:
                self._shifted[shift] = self._shifted.get(shift, 0) + 1
            return stated + shift
        difference = own - stated
        nearest = 0 if -_NEAR <= difference <= _NEAR else _quarters(difference)
        if abs(difference - nearest) <= _NEAR and abs(nearest) <= _WIDEST:
            self._learn(host, nearest)
            return own
        return own if abs(difference - shift) <= _SAME or not shift else stated + shift

    def _learn(self, host: str | None, shift: int) -> None:
        if self._once.get(host) == shift:
            self._shift[host] = shift
        if len(self._once) < _HOSTS_KEPT or host in self._once:
            self._once[host] = shift

    def notes(self) -> list[str]:
        """What was shifted, for the account."""
        return [
            f"{count} times without UtcTime were shifted by {shift / 3_600_000_000:+g} h, as records with both show"
            for shift, count in sorted(self._shifted.items())
        ]
