"""Events of smb_files.log and smb_mapping.log. Field meanings: the Zeek script reference of the log."""

from __future__ import annotations

from tidewaiter.log_sources.zeek.columns import NAME, Built, Columns, ends_of
from tidewaiter.schema.event import Event, EventKind

_SMB = EventKind.SMB


def smb_files(columns: Columns, log_file: str) -> Built:
    """smb_files.log: one action on a file of a share a record."""
    shares, names = columns.texts("path"), columns.texts("name")
    return [
        Event(
            kind=_SMB,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            file_path=_share_path(share, name),
            file_old_path=_share_path(share, old_name),
            file_size=size,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            transport="tcp",
            protocol="smb",
            flow_id=uid,
            file_id=file_id,
            query=action,
            service=share,
            target=name,
        )
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), share, name, old_name, size, file_id, action in zip(
            zip(*ends_of(columns), strict=True),
            shares,
            names,
            columns.texts("prev_name"),
            columns.counts("size"),
            columns.texts("fuid"),
            columns.texts("action"),
            strict=True,
        )
    ]


def _share_path(share: str | None, name: str | None) -> str | None:
    """The UNC path of a file on a share."""
    if share is None or name is None:
        return name
    return f"{share.rstrip(chr(92))}{chr(92)}{name.lstrip(chr(92))}"


def smb_mapping(columns: Columns, log_file: str) -> Built:
    """smb_mapping.log: one share connected to a record."""
    extras = columns.extras(share_type=columns.texts("share_type"), native_file_system=columns.texts("native_file_system"))
    return [
        Event(
            kind=_SMB,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            transport="tcp",
            protocol="smb",
            flow_id=uid,
            query="SMB::TREE_CONNECT",
            service=share,
            extra=extra,
        )
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), share, extra in zip(
            zip(*ends_of(columns), strict=True), columns.texts("path"), extras, strict=True
        )
    ]
