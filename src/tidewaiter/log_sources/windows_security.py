"""Windows Security log: process creation, network logons, shares, the filtering platform's connections, services.

Format: Microsoft's reference of security auditing events (4624, 4663, 4688, 4697, 5140, 5145, 5156).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidewaiter.formats import windows_values as values
from tidewaiter.log_source import WindowsRecord
from tidewaiter.schema.event import Event, EventKind

_PROVIDER = "microsoft-windows-security-auditing"
_REMOTE_LOGONS = frozenset({3, 8, 10})  # network, network with plain text password, remote interactive
_LOCAL_LOGON = (r'"LogonType":\s*"?(?!(?:3|8|10)\b)\d',)
_OUTBOUND = frozenset({"%%14593", "outbound"})
_INBOUND = frozenset({"%%14592", "inbound"})
_TRANSPORTS = {6: "tcp", 17: "udp", 1: "icmp"}
_WRITE_DATA = 0x2


class Source:
    """Maps the records of security auditing."""

    title = "Windows Security log"
    providers: Mapping[str, frozenset[int]] = {_PROVIDER: frozenset({4624, 4663, 4688, 4697, 5140, 5145, 5156})}
    channels: Mapping[str, str] = {"security": _PROVIDER}
    pass_over: Mapping[int, tuple[tuple[str, ...], str]] = {4624: (_LOCAL_LOGON, "local logon")}

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The event of one record; none for local logons and for reads of files."""
        make = _MAKERS.get(record.event_id)
        made = make(record, record.data) if make else None
        return () if made is None else (made,)

    def finish(self) -> Iterable[Event]:
        """Nothing is held back."""
        return ()


def _event(record: WindowsRecord, kind: EventKind, **fields: Any) -> Event:
    return Event(
        kind=kind,
        time=record.time,
        log_source="windows_security",
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        **fields,
    )


def _session(data: Mapping[str, Any], role: str) -> str | None:
    found = values.text(data, role + "LogonId")
    return None if found is None or not values.number({"id": found}, "id") else found


def _process_start(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.PROCESS_START,
        user=values.account(data, "Target") or values.account(data, "Subject"),
        session=_session(data, "Target") or _session(data, "Subject"),
        pid=values.number(data, "NewProcessId"),
        process_path=values.text(data, "NewProcessName"),
        command_line=values.text(data, "CommandLine"),
        parent_pid=values.number(data, "ProcessId"),
        parent_path=values.text(data, "ParentProcessName"),
    )


def _login(record: WindowsRecord, data: Mapping[str, Any]) -> Event | None:
    logon_type = values.number(data, "LogonType")
    if logon_type not in _REMOTE_LOGONS:
        return None
    return _event(
        record,
        EventKind.LOGIN,
        user=values.account(data, "Target"),
        session=_session(data, "Target"),
        src_ip=values.address(values.text(data, "IpAddress")),
        src_port=values.number(data, "IpPort"),
        src_host=values.text(data, "WorkstationName"),
        initiated=False,
        outcome="completed",
        extra={"logon_type": logon_type},
    )


def _share_access(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    target = values.text(data, "RelativeTargetName")
    return _event(
        record,
        EventKind.SHARE_ACCESS,
        user=values.account(data, "Subject"),
        session=_session(data, "Subject"),
        src_ip=values.address(values.text(data, "IpAddress")),
        src_port=values.number(data, "IpPort"),
        initiated=False,
        service=values.text(data, "ShareName"),
        target=target,
        access=values.number(data, "AccessMask"),
        file_path=_joined(values.local_path(values.text(data, "ShareLocalPath")), target),
    )


def _joined(folder: str | None, target: str | None) -> str | None:
    """The local path of what was reached through a share; a pipe or an unknown folder has none."""
    if not folder or not target:
        return None
    inner = target.strip("\\")
    return f"{folder.rstrip(chr(92))}\\{inner}" if inner else folder


def _connection(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    direction = (values.text(data, "Direction") or "").lower()
    protocol = values.number(data, "Protocol")
    return _event(
        record,
        EventKind.CONNECTION,
        pid=values.number(data, "ProcessID", "ProcessId"),
        process_path=values.text(data, "Application"),
        src_ip=values.address(values.text(data, "SourceAddress")),
        src_port=values.number(data, "SourcePort"),
        dst_ip=values.address(values.text(data, "DestAddress")),
        dst_port=values.number(data, "DestPort"),
        transport=_TRANSPORTS.get(protocol) if protocol is not None else None,
        initiated=True if direction in _OUTBOUND else False if direction in _INBOUND else None,
    )


def _file_write(record: WindowsRecord, data: Mapping[str, Any]) -> Event | None:
    access = values.number(data, "AccessMask")
    if values.text(data, "ObjectType") != "File" or access is None or not access & _WRITE_DATA:
        return None
    return _event(
        record,
        EventKind.FILE_CREATE,
        user=values.account(data, "Subject"),
        session=_session(data, "Subject"),
        pid=values.number(data, "ProcessId"),
        process_path=values.text(data, "ProcessName"),
        file_path=values.text(data, "ObjectName"),
        access=access,
    )


def _service_install(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    command = values.text(data, "ServiceFileName")
    return _event(
        record,
        EventKind.SERVICE_INSTALL,
        user=values.account(data, "Subject"),
        session=_session(data, "Subject"),
        pid=values.number(data, "ClientProcessId"),
        parent_pid=values.number(data, "ParentProcessId"),
        service=values.text(data, "ServiceName"),
        command_line=command,
        file_path=command,
        extra={"account": values.text(data, "ServiceAccount"), "start": values.text(data, "ServiceStartType")},
    )


_MAKERS: dict[int, Callable[[WindowsRecord, Mapping[str, Any]], Event | None]] = {
    4624: _login,
    4663: _file_write,
    4688: _process_start,
    4697: _service_install,
    5140: _share_access,
    5145: _share_access,
    5156: _connection,
}
