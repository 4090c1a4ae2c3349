"""The normalised record that every log source produces and everything else consumes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class EventKind(StrEnum):
    """What happened, in the one vocabulary that analytics and correlation know."""

    PROCESS_START = "process_start"
    PROCESS_END = "process_end"
    CONNECTION = "connection"  # this host opened it (initiated) or accepted it (initiated = False)
    DNS_QUERY = "dns_query"
    FILE_CREATE = "file_create"
    FILE_RENAME = "file_rename"  # file_old_path -> file_path
    FILE_DELETE = "file_delete"
    FILE_MODE = "file_mode"  # permissions or times changed
    FILE_STREAM = "file_stream"  # alternate data stream such as Zone.Identifier
    FILE_BLOCKED = "file_blocked"  # the sensor prevented the write
    REGISTRY_SET = "registry_set"
    IMAGE_LOAD = "image_load"
    PIPE = "pipe"
    SCRIPT = "script"  # script text as an interpreter compiled it
    SCRIPT_CALL = "script_call"  # one cmdlet or method call with its bound parameters
    SHELL_COMMAND = "shell_command"  # a line a person typed: shell history, ESXi shell.log
    SHARE_ACCESS = "share_access"
    JOB = "job"  # a download job of a service (BITS): see `outcome`
    SERVICE_INSTALL = "service_install"
    MALWARE_DETECTED = "malware_detected"
    LOGIN = "login"
    DOWNLOAD = "download"  # a browser or quarantine history row
    HTTP = "http"
    FLOW = "flow"
    FILE_ON_WIRE = "file_on_wire"
    FTP = "ftp"
    SMB = "smb"
    TFTP = "tftp"
    TLS = "tls"
    SSH = "ssh"
    ALERT = "alert"

    __hash__ = str.__hash__  # that of enumerations is many times slower, and kinds are looked up for every event


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One normalised log record. Every field but the first six is None where the record does not say.

    Times are int64 microseconds since 1970 UTC. Paths, names and texts are as the log spells them; comparing them is the
    reader's work (`correlation.keys`). `fields.py` maps each field to its OCSF and ECS path.
    """

    kind: EventKind
    time: int
    log_source: str  # module name in log_sources/
    log_file: str  # path as given; members of an archive as `archive.zip!inner/name`
    record: str  # EVTX record id or 1-based line number
    seq: int = 0  # order within the record, when one record makes several events

    host: str | None = None  # device that the record is about, as spelled
    host_ip: str | None = None
    user: str | None = None
    session: str | None = None  # logon id, audit session

    # the acting process
    process_key: str | None = None  # GUID where the sensor gives one
    pid: int | None = None
    process_path: str | None = None
    process_name: str | None = None
    original_name: str | None = None  # PE OriginalFileName
    command_line: str | None = None
    argv: tuple[str, ...] | None = None  # exact arguments where the sensor gives them (auditd)
    cwd: str | None = None
    exit_code: int | None = None
    parent_key: str | None = None
    parent_pid: int | None = None
    parent_path: str | None = None
    parent_command_line: str | None = None

    # a file: written, renamed, loaded, detected, carried
    file_path: str | None = None
    file_old_path: str | None = None
    file_size: int | None = None
    file_type: str | None = None  # MIME type or magic description as given
    file_mode: str | None = None
    file_created: int | None = None  # creation time where it differs from the event's
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    signed: bool | None = None
    content: str | None = None  # stream content, script text, history line

    # endpoints: src opened the connection, dst accepted it
    src_ip: str | None = None
    src_port: int | None = None
    src_host: str | None = None
    dst_ip: str | None = None
    dst_port: int | None = None
    dst_host: str | None = None
    transport: str | None = None  # tcp, udp, icmp
    protocol: str | None = None  # http, tls, smb ...
    initiated: bool | None = None  # True: the device of this record opened the connection
    bytes_out: int | None = None  # src -> dst
    bytes_in: int | None = None  # dst -> src
    duration: int | None = None  # microseconds
    flow_id: str | None = None  # Zeek uid, Suricata flow_id
    file_id: str | None = None  # Zeek fuid, Suricata file_id
    community_id: str | None = None

    # requests and names
    url: str | None = None
    referrer: str | None = None
    method: str | None = None
    status: int | None = None
    user_agent: str | None = None
    query: str | None = None  # DNS name, FTP or SMB command argument
    answers: tuple[str, ...] | None = None

    # services, jobs, verdicts of other products
    job_id: str | None = None
    service: str | None = None  # service name, share name, product
    target: str | None = None  # registry key and value name, threat name, share-relative path
    access: int | None = None  # access mask
    outcome: str | None = None  # started, completed, failed, blocked, cancelled, refused
    outcome_code: int | None = None  # errno, HRESULT
    extra: dict[str, Any] | None = None  # what has no column; JSON values only

    @property
    def id(self) -> str:
        """Stable unique id of the event: the record it came from."""
        return f"{self.log_file}#{self.record}.{self.seq}"

    def __deepcopy__(self, _memo: dict[int, Any]) -> Event:
        """Itself: once it is made, nothing changes an event."""
        return self


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event as msgpack, for run files and state.

    Whole numbers of more than 64 bits, which only a log that is wrong can hold, are left out; those in `extra` become texts.
    """
    try:
        return _ENCODER.encode(event)
    except OverflowError:
        return _ENCODER.encode(msgspec.structs.replace(event, **_fitting(msgspec.structs.asdict(event))))


def _fitting(values: dict[str, Any]) -> dict[str, Any]:
    """The values with None for numbers that are too large; `extra` with their texts."""
    return {
        name: _spelled(value) if name == "extra" else None if isinstance(value, int) and not _fits(value) else value
        for name, value in values.items()
    }


def _spelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(inner) for inner in value]
    return hex(value) if isinstance(value, int) and not _fits(value) else value


def _fits(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 63


def decode(data: bytes | memoryview) -> Event:
    """The event from its msgpack form; raises msgspec.DecodeError on anything else."""
    return _DECODER.decode(data)
