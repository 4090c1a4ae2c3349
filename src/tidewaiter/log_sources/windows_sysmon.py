"""Sysmon for Windows: processes, connections, files, streams, registry values, name queries.

Format: the event manifest of Sysmon (`sysmon -s`) and its documentation by Mark Russinovich and Thomas Garnier. Sysmon doubles
every percent sign in its texts, because event messages give it a meaning; that is undone here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidewaiter.formats import windows_values as values
from tidewaiter.formats.windows_quick import MakeOfValues, Quick, Values
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

    @property
    def quick(self) -> Mapping[int, Quick]:
        """The most frequent records, and those of which it is enough to know how many there are."""
        return _QUICK

    def moment(self, record: WindowsRecord) -> int:
        """The time of the event that a record makes."""
        return _moment(microseconds(record.data.get("UtcTime")), record.time)

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The event of one record."""
        usual = _USUAL.get(record.event_id)
        if usual is not None:
            form, made = usual
            found = form(*map(record.data.get, form.__struct_encode_fields__))
            time = _moment(microseconds(found.utc_time), record.time)
            return (made(found, time, record.log_file, record.record, record.computer),)
        make = _MAKERS.get(record.event_id)
        return (make(record, record.data),) if make else ()

    def finish(self) -> Iterable[Event]:
        """Nothing is held back."""
        return ()


def _text(data: Mapping[str, Any], name: str) -> str | None:
    return _as_text(data.get(name))


def _as_text(found: Any) -> str | None:
    if not isinstance(found, str):
        found = values.as_text(found)
        if found is None:
            return None
    elif len(found) <= values.LONGEST_ABSENT and found in values.ABSENT:
        return None
    return str(found.replace("%%", "%")) if "%%" in found else found


def _moment(own: int | None, time: int) -> int:
    """The time of an event whose record says both."""
    return own if own is not None and -_BELIEVED < own - time < _BELIEVED else time


class _Acting(Values):
    """What all of Sysmon's records say: the acting process and its user."""

    user: Any = None
    process_guid: Any = None
    process_id: Any = None
    image: Any = None

    def many(self) -> bool:
        """As Values says: any four do."""
        return None not in (self.utc_time, self.process_guid, self.process_id, self.image)


class _ProcessStart(_Acting):
    logon_id: Any = None
    original_file_name: Any = None
    command_line: Any = None
    current_directory: Any = None
    parent_process_guid: Any = None
    parent_process_id: Any = None
    parent_image: Any = None
    parent_command_line: Any = None
    hashes: Any = None


class _Connection(_Acting):
    source_ip: Any = None
    source_port: Any = None
    source_hostname: Any = None
    destination_ip: Any = None
    destination_port: Any = None
    destination_hostname: Any = None
    protocol: Any = None
    initiated: Any = None


class _FileCreate(_Acting):
    target_filename: Any = None
    creation_utc_time: Any = None


class _DnsQuery(_Acting):
    query_name: Any = None
    query_results: Any = None
    query_status: Any = None


def _event(record: WindowsRecord, kind: EventKind, **fields: Any) -> Event:
    """An event with what all of Sysmon's records say: time, host, acting process, user."""
    data = record.data
    return Event(
        kind=kind,
        time=_moment(microseconds(data.get("UtcTime")), record.time),
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


def _process_start(found: _ProcessStart, time: int, log_file: str, record: str, host: str | None) -> Event:
    """This one, a connection and a new file are most of all records: they are made without a detour."""
    return Event(
        kind=EventKind.PROCESS_START,
        time=time,
        log_source=_SOURCE,
        log_file=log_file,
        record=record,
        host=host,
        user=values.as_text(found.user),
        process_key=values.as_guid(found.process_guid),
        pid=values.as_number(found.process_id),
        process_path=_as_text(found.image),
        session=values.as_text(found.logon_id),
        original_name=_as_text(found.original_file_name),
        command_line=_as_text(found.command_line),
        cwd=_as_text(found.current_directory),
        parent_key=values.as_guid(found.parent_process_guid),
        parent_pid=values.as_number(found.parent_process_id),
        parent_path=_as_text(found.parent_image),
        parent_command_line=_as_text(found.parent_command_line),
        **values.hashes(values.as_text(found.hashes)),
    )


def _process_end(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(record, EventKind.PROCESS_END, exit_code=values.number(data, "ExitCode"))


def _connection(found: _Connection, time: int, log_file: str, record: str, host: str | None) -> Event:
    return Event(
        kind=EventKind.CONNECTION,
        time=time,
        log_source=_SOURCE,
        log_file=log_file,
        record=record,
        host=host,
        user=values.as_text(found.user),
        process_key=values.as_guid(found.process_guid),
        pid=values.as_number(found.process_id),
        process_path=_as_text(found.image),
        src_ip=values.address(values.as_text(found.source_ip)),
        src_port=values.as_number(found.source_port),
        src_host=values.as_text(found.source_hostname),
        dst_ip=values.address(values.as_text(found.destination_ip)),
        dst_port=values.as_number(found.destination_port),
        dst_host=values.as_text(found.destination_hostname),
        transport=(values.as_text(found.protocol) or "").lower() or None,
        initiated=values.as_truth(found.initiated),
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


def _created(creation_utc_time: Any, utc_time: Any) -> int | None:
    """The creation time of the file where it is not the time of the event."""
    created = None if creation_utc_time == utc_time else microseconds(creation_utc_time)
    if created is None:
        return None
    own = microseconds(utc_time)
    return None if own is not None and abs(created - own) < _SAME_TIME else created


def _file_create(found: _FileCreate, time: int, log_file: str, record: str, host: str | None) -> Event:
    return Event(
        kind=EventKind.FILE_CREATE,
        time=time,
        log_source=_SOURCE,
        log_file=log_file,
        record=record,
        host=host,
        user=values.as_text(found.user),
        process_key=values.as_guid(found.process_guid),
        pid=values.as_number(found.process_id),
        process_path=_as_text(found.image),
        file_path=_as_text(found.target_filename),
        file_created=_created(found.creation_utc_time, found.utc_time),
    )


def _executable_detected(record: WindowsRecord, data: Mapping[str, Any]) -> Event:
    return _event(
        record,
        EventKind.FILE_CREATE,
        file_path=_text(data, "TargetFilename"),
        file_created=_created(data.get("CreationUtcTime"), data.get("UtcTime")),
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
        file_created=_created(data.get("CreationUtcTime"), data.get("UtcTime")),
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


def _dns_query(found: _DnsQuery, time: int, log_file: str, record: str, host: str | None) -> Event:
    results = values.as_text(found.query_results)
    answers = tuple([values.address(answer) or "" for answer in _found_in(results)[:_ANSWERS_KEPT]]) if results else ()
    return Event(
        kind=EventKind.DNS_QUERY,
        time=time,
        log_source=_SOURCE,
        log_file=log_file,
        record=record,
        host=host,
        user=values.as_text(found.user),
        process_key=values.as_guid(found.process_guid),
        pid=values.as_number(found.process_id),
        process_path=_as_text(found.image),
        query=values.as_text(found.query_name),
        answers=answers or None,
        outcome_code=values.as_number(found.query_status),
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
    2: _creation_time_changed,
    5: _process_end,
    7: _image_load,
    13: _registry_set,
    15: _file_stream,
    23: _file_delete,
    26: _file_delete,
    27: _file_blocked,
    29: _executable_detected,
}

_USUAL: dict[int, tuple[type[Values], MakeOfValues]] = {
    1: (_ProcessStart, _process_start),
    3: (_Connection, _connection),
    11: (_FileCreate, _file_create),
    22: (_DnsQuery, _dns_query),
}
"""The most frequent records."""

_QUICK: dict[int, Quick] = {
    **{event_id: Quick(_Acting, _moment) for event_id in Source.kinds},
    **{event_id: Quick(form, _moment, make) for event_id, (form, make) in _USUAL.items()},
}
