"""Sysmon for Windows: processes, connections, files, streams, registry values, name queries.

Format: the event manifest of Sysmon (`sysmon -s`) and its documentation by Mark Russinovich and Thomas Garnier. Sysmon doubles
every percent sign in its texts, because event messages give it a meaning; that is undone here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidewaiter.formats import windows_values as values
from tidewaiter.formats.windows_records import microseconds
from tidewaiter.log_source import WindowsRecord
from tidewaiter.schema.event import Event, EventKind

_PROVIDER = "microsoft-windows-sysmon"
_SOURCE = "windows_sysmon"
_BELIEVED = 600_000_000  # UtcTime further from the time of logging than this is a clock gone wrong
_SIGNED_OF_SYSTEM = (
    r'"Signed":\s*"?[Tt]rue',
    r'"ImageLoaded":\s*"[A-Za-z]:\\\\(?:[Pp]rogram [Ff]iles|(?:[Ww]indows|WINDOWS)\\\\(?!Temp\\\\|Tasks\\\\))',
)
_SAME_TIME = 1_000_000
_HOST_URL = re.compile(r"HostUrl=(\S+)")
_REFERRER_URL = re.compile(r"ReferrerUrl=(\S+)")
_ANSWER = re.compile(r"(?:type:\s*\d+\s+)?([^\s;]+)\s*(?:;|$)")
_SPACED = re.compile(r"\s|type:")
_ANSWERS_KEPT = 50


class Source:
    """Maps Sysmon's records."""

    title = "Windows Sysmon"
    providers: Mapping[str, frozenset[int]] = {_PROVIDER: frozenset({1, 2, 3, 5, 7, 11, 13, 15, 22, 23, 26, 27, 29})}
    pass_over: Mapping[int, tuple[tuple[str, ...], str]] = {7: (_SIGNED_OF_SYSTEM, "loading of a signed image of the system")}

    kinds: Mapping[int, EventKind] = {
        2: EventKind.FILE_MODE,
        5: EventKind.PROCESS_END,
        13: EventKind.REGISTRY_SET,
        23: EventKind.FILE_DELETE,
        26: EventKind.FILE_DELETE,
    }

    def moment(self, record: WindowsRecord) -> int:
        """The time of the event that a record makes."""
        return _moment(record, record.data)

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The event of one record."""
        make = _MAKERS.get(record.event_id)
        return (make(record, record.data),) if make else ()

    def finish(self) -> Iterable[Event]:
        """Nothing is held back."""
        return ()


def _text(data: Mapping[str, Any], name: str) -> str | None:
    found = data.get(name)
    if found.__class__ is not str:
        found = values.text(data, name)
    elif len(found) <= values.LONGEST_ABSENT and found in values.ABSENT:
        return None
    return found.replace("%%", "%") if found and "%%" in found else found


def _moment(record: WindowsRecord, data: Mapping[str, Any]) -> int:
    own = microseconds(data.get("UtcTime"))
    return own if own is not None and -_BELIEVED < own - record.time < _BELIEVED else record.time


def _event(record: WindowsRecord, kind: EventKind, **fields: Any) -> Event:
    """An event with what all of Sysmon's records say: time, host, acting process, user."""
    data = record.data
    return Event(
        kind=kind,
        time=_moment(record, data),
        log_source=_SOURCE,
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        user=values.text(data, "User"),
        process_key=values.guid(data, "ProcessGuid"),
        pid=values.number(data, "ProcessId"),
        process_path=_text(data, "Image"),
        **fields,
    )


def _process_start(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    """This one, a connection and a new file are most of all records: they are made without a detour."""
    return Event(
        kind=EventKind.PROCESS_START,
        time=_moment(record, data),
        log_source=_SOURCE,
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        user=values.text(data, "User"),
        process_key=values.guid(data, "ProcessGuid"),
        pid=values.number(data, "ProcessId"),
        process_path=_text(data, "Image"),
        session=values.text(data, "LogonId"),
        original_name=_text(data, "OriginalFileName"),
        command_line=_text(data, "CommandLine"),
        cwd=_text(data, "CurrentDirectory"),
        parent_key=values.guid(data, "ParentProcessGuid"),
        parent_pid=values.number(data, "ParentProcessId"),
        parent_path=_text(data, "ParentImage"),
        parent_command_line=_text(data, "ParentCommandLine"),
        **values.hashes(values.text(data, "Hashes")),
    )


def _process_end(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(record, EventKind.PROCESS_END, exit_code=values.number(data, "ExitCode"))


def _connection(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return Event(
        kind=EventKind.CONNECTION,
        time=_moment(record, data),
        log_source=_SOURCE,
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        user=values.text(data, "User"),
        process_key=values.guid(data, "ProcessGuid"),
        pid=values.number(data, "ProcessId"),
        process_path=_text(data, "Image"),
        src_ip=values.address(values.text(data, "SourceIp")),
        src_port=values.number(data, "SourcePort"),
        src_host=values.text(data, "SourceHostname"),
        dst_ip=values.address(values.text(data, "DestinationIp")),
        dst_port=values.number(data, "DestinationPort"),
        dst_host=values.text(data, "DestinationHostname"),
        transport=(values.text(data, "Protocol") or "").lower() or None,
        initiated=values.truth(data, "Initiated"),
    )


def _image_load(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.IMAGE_LOAD,
        file_path=_text(data, "ImageLoaded"),
        original_name=_text(data, "OriginalFileName"),
        signed=values.truth(data, "Signed"),
        **values.hashes(values.text(data, "Hashes")),
    )


def _created(data: Mapping[str, Any]) -> int | None:
    """The creation time of the file where it is not the time of the event."""
    created = microseconds(data.get("CreationUtcTime"))
    if created is None:
        return None
    own = microseconds(data.get("UtcTime"))
    return None if own is not None and abs(created - own) < _SAME_TIME else created


def _file_create(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return Event(
        kind=EventKind.FILE_CREATE,
        time=_moment(record, data),
        log_source=_SOURCE,
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        user=values.text(data, "User"),
        process_key=values.guid(data, "ProcessGuid"),
        pid=values.number(data, "ProcessId"),
        process_path=_text(data, "Image"),
        file_path=_text(data, "TargetFilename"),
        file_created=_created(data),
    )


def _executable_detected(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.FILE_CREATE,
        file_path=_text(data, "TargetFilename"),
        file_created=_created(data),
        extra={"executable": True},
        **values.hashes(values.text(data, "Hashes")),
    )


def _creation_time_changed(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.FILE_MODE,
        file_path=_text(data, "TargetFilename"),
        file_created=microseconds(data.get("CreationUtcTime")),
        extra={"previous_creation": values.text(data, "PreviousCreationUtcTime")},
    )


def _registry_set(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(record, EventKind.REGISTRY_SET, target=_text(data, "TargetObject"), content=_text(data, "Details"))


def _file_stream(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    """The hashes are of the file itself, whatever stream was written."""
    path, stream = _stream_of(_text(data, "TargetFilename"))
    content = _undone_utf16(_text(data, "Contents"))
    host_url, referrer = (_HOST_URL.search(content), _REFERRER_URL.search(content)) if content else (None, None)
    return _event(
        record,
        EventKind.FILE_STREAM,
        file_path=path,
        target=stream,
        content=content,
        url=host_url[1] if host_url else None,
        referrer=referrer[1] if referrer else None,
        file_created=_created(data),
        **values.hashes(values.first_text(data, "Hash", "Hashes")),
    )


def _stream_of(path: str | None) -> tuple[str | None, str | None]:
    """`C:\\a.exe:Zone.Identifier` as path and stream; the colon of a drive is none."""
    if path is None:
        return None, None
    start = path.rfind("\\") + 1
    name, colon, stream = path[start:].partition(":")
    if not colon or (not start and len(name) == 1):
        return path, None
    return path[:start] + name, stream.removesuffix(":$DATA") or None


def _undone_utf16(content: str | None) -> str | None:
    """The text whose octets were read two at a time: Sysmon takes every stream for UTF-16."""
    if not content or sum(character > "\u2000" for character in content) * 2 < len(content):
        return content
    octets = content.encode("utf-16-le", "ignore").rstrip(b"\0")
    if all(9 <= octet < 127 for octet in octets):
        return octets.decode("ascii")
    return content


def _dns_query(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    results = values.text(data, "QueryResults")
    answers = tuple([values.address(found) or "" for found in _found_in(results)[:_ANSWERS_KEPT]]) if results else ()
    return _event(
        record,
        EventKind.DNS_QUERY,
        query=values.text(data, "QueryName"),
        answers=answers or None,
        outcome_code=values.number(data, "QueryStatus"),
    )


def _found_in(results: str) -> list[str]:
    if results.isascii() and not _SPACED.search(results):  # addresses alone; with a name, its type stands before it
        return [found for found in results.split(";") if found]
    return _ANSWER.findall(results)


def _file_delete(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.FILE_DELETE,
        file_path=_text(data, "TargetFilename"),
        **values.hashes(values.text(data, "Hashes")),
    )


def _file_blocked(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.FILE_BLOCKED,
        file_path=_text(data, "TargetFilename"),
        outcome="blocked",
        **values.hashes(values.text(data, "Hashes")),
    )


_MAKERS: dict[int, Callable[[WindowsRecord, Mapping[str, Any]], Event]] = {
    1: _process_start,
    2: _creation_time_changed,
    3: _connection,
    5: _process_end,
    7: _image_load,
    11: _file_create,
    13: _registry_set,
    15: _file_stream,
    22: _dns_query,
    23: _file_delete,
    26: _file_delete,
    27: _file_blocked,
    29: _executable_detected,
}
