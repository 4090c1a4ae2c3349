"""Events of the other record types that are used. Each builder returns an event, or in words why the record is of no use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidewaiter.log_sources.suricata_eve.contents import fileinfo, flow, http, http_url
from tidewaiter.log_sources.suricata_eve.layout import (
    NAME,
    NO_PROTOCOL,
    Dns,
    Line,
    Reader,
    base_of,
    count_of,
    extra_of,
    id_of,
    object_of,
    text_of,
    transport_of,
)
from tidewaiter.schema.event import Event, EventKind

MOST_ANSWERS = 200

_FTP, _SMB, _TFTP, _TLS = EventKind.FTP, EventKind.SMB, EventKind.TFTP, EventKind.TLS
_DNS, _SSH, _ALERT = EventKind.DNS_QUERY, EventKind.SSH, EventKind.ALERT


def ftp(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One FTP command and its replies."""
    data = object_of(line.ftp)
    command = text_of(data.get("command"))
    if command is None:
        return "ftp reply without a command"
    argument = None if command == "PASS" else text_of(data.get("command_data"))  # nobody needs the password
    codes = data.get("completion_code")
    last = codes[-1] if isinstance(codes, list) and codes else None
    replies = data.get("reply")
    return Event(
        **base_of(reader, line, _FTP, log_file, record),
        protocol="ftp",
        method=command,
        query=argument,
        status=count_of(last),
        user=argument if command == "USER" else None,
        file_path=argument if command in ("RETR", "STOR", "APPE", "STOU", "SIZE", "RNFR", "RNTO", "DELE") else None,
        extra=extra_of(
            reply=_texts(replies),
            completion_codes=_texts(codes),
            mode=text_of(data.get("mode")),
            dynamic_port=count_of(data.get("dynamic_port")),
            tx_id=line.tx_id,
        ),
    )


def _texts(value: Any) -> list[str] | None:
    """A short list of texts."""
    return [str(item) for item in value[:50]] if isinstance(value, list) else None


def ftp_data(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One FTP data connection with the command that asked for it."""
    data = object_of(line.ftp_data)
    name = text_of(data.get("filename"))
    return Event(
        **base_of(reader, line, _FTP, log_file, record),
        protocol="ftp-data",
        method=text_of(data.get("command")),
        query=name,
        file_path=name,
        extra=extra_of(data=True, parent_id=id_of(line.parent_id), tx_id=line.tx_id),
    )


def smb(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One SMB command and its status."""
    data = object_of(line.smb)
    login, rename = data.get("ntlmssp"), data.get("rename")
    login = login if isinstance(login, dict) else {}
    rename = rename if isinstance(rename, dict) else {}
    status = text_of(data.get("status"))
    return Event(
        **base_of(reader, line, _SMB, log_file, record),
        protocol="smb",
        query=text_of(data.get("command")),
        user=text_of(login.get("user")),
        src_host=text_of(login.get("host")),
        service=text_of(data.get("share")) or text_of(data.get("named_pipe")),
        file_path=text_of(rename.get("to")) or text_of(data.get("filename")),
        file_old_path=text_of(rename.get("from")),
        file_size=count_of(data.get("size")),
        outcome=None if status is None else "completed" if status == "STATUS_SUCCESS" else "failed",
        outcome_code=count_of(data.get("status_code")),
        extra=extra_of(
            status=status,
            access=text_of(data.get("access")),
            disposition=text_of(data.get("disposition")),
            directory=text_of(data.get("directory")),
            share_type=text_of(data.get("share_type")),
            fuid=text_of(data.get("fuid")),
            domain=text_of(login.get("domain")),
            session_id=count_of(data.get("session_id")),
            tree_id=count_of(data.get("tree_id")),
            tx_id=line.tx_id,
        ),
    )


def tftp(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One TFTP request."""
    data = object_of(line.tftp)
    name = text_of(data.get("file"))
    return Event(
        **base_of(reader, line, _TFTP, log_file, record),
        protocol="tftp",
        method=text_of(data.get("packet")),
        query=name,
        file_path=name,
        extra=extra_of(mode=text_of(data.get("mode"))),
    )


def tls(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One TLS handshake."""
    data = object_of(line.tls)
    ja3 = data.get("ja3")
    return Event(
        **base_of(reader, line, _TLS, log_file, record),
        dst_host=text_of(data.get("sni")),
        protocol="tls",
        extra=extra_of(
            version=text_of(data.get("version")),
            subject=text_of(data.get("subject")),
            issuer=text_of(data.get("issuerdn")),
            fingerprint=text_of(data.get("fingerprint")),
            not_before=text_of(data.get("notbefore")),
            not_after=text_of(data.get("notafter")),
            ja3=text_of(ja3.get("hash")) if isinstance(ja3, dict) else None,
            ja4=text_of(data.get("ja4")),
        ),
    )


def dns(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One DNS question or answer, in the layouts of EVE versions 1, 2 and 3."""
    data = line.dns
    if data is None:
        return "dns record without a name"
    name, rrtype = data.rrname, data.rrtype
    questions = data.queries or data.query
    if isinstance(questions, list) and questions and isinstance(questions[0], dict):
        name, rrtype = text_of(questions[0].get("rrname")), text_of(questions[0].get("rrtype"))
    if not name:
        return "dns record without a name"
    kind = _DNS_TYPES.get(data.type or "", data.type)
    extra = {"type": kind, "rrtype": rrtype, "rcode": data.rcode}
    src_ip, src_port, dst_ip, dst_port = line.src_ip, line.src_port, line.dest_ip, line.dest_port
    if src_port == 53 and dst_port != 53:  # version 1 names the server first in answers
        src_ip, src_port, dst_ip, dst_port = dst_ip, dst_port, src_ip, src_port
    return Event(
        kind=_DNS,
        time=reader.time(line.timestamp),
        log_source=NAME,
        log_file=log_file,
        record=record,
        src_ip=src_ip,
        src_port=src_port,
        dst_ip=dst_ip,
        dst_port=dst_port,
        transport=transport_of(line.proto),
        protocol="dns",
        flow_id=id_of(line.flow_id),
        community_id=line.community_id,
        query=name,
        answers=_answers(data),
        extra={key: value for key, value in extra.items() if value} or None,
    )


_DNS_TYPES = {"request": "query", "response": "answer"}


def _answers(data: Dns) -> tuple[str, ...] | None:
    """The data of all answers: a list (version 2 and 3), grouped by type, or the record itself (version 1)."""
    found: list[Any] = []
    if isinstance(data.answers, list):
        found = [item.get("rdata") for item in data.answers[:MOST_ANSWERS] if isinstance(item, dict)]
    elif isinstance(data.grouped, dict):
        found = [value for values in data.grouped.values() if isinstance(values, list) for value in values]
    elif data.rdata is not None:
        found = [data.rdata]
    else:
        return None
    return tuple(str(value) for value in found[:MOST_ANSWERS] if isinstance(value, (str, int))) or None


def ssh(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One SSH session: the versions of both sides."""
    data = object_of(line.ssh)
    client, server = data.get("client"), data.get("server")
    return Event(
        **base_of(reader, line, _SSH, log_file, record),
        protocol="ssh",
        user_agent=text_of(client.get("software_version")) if isinstance(client, dict) else None,
        extra=extra_of(server=text_of(server.get("software_version")) if isinstance(server, dict) else None),
    )


def alert(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One alert of a signature. The packet that raised it names its sender first."""
    data = line.alert
    if data is None:
        return "alert record without an alert"
    about = line.http
    return Event(
        kind=_ALERT,
        time=reader.time(line.timestamp),
        log_source=NAME,
        log_file=log_file,
        record=record,
        src_ip=line.src_ip,
        src_port=line.src_port,
        dst_ip=line.dest_ip,
        dst_port=line.dest_port,
        dst_host=about.hostname if about else None,
        transport=transport_of(line.proto),
        protocol=None if line.app_proto in NO_PROTOCOL else line.app_proto,
        flow_id=id_of(line.flow_id),
        community_id=line.community_id,
        url=http_url(about, None, None) if about and about.hostname else None,
        method=about.http_method if about else None,
        service="Suricata",
        target=data.signature,
        outcome="blocked" if data.action == "blocked" else None,
        extra=extra_of(
            signature_id=count_of(data.signature_id),
            category=data.category or None,
            severity=count_of(data.severity),
            action=data.action,
            direction=line.direction,
        ),
    )


BUILDERS: dict[str, Callable[[Reader, Line, str, str], Event | str]] = {
    "flow": flow,
    "http": http,
    "fileinfo": fileinfo,
    "ftp": ftp,
    "ftp_data": ftp_data,
    "smb": smb,
    "tftp": tftp,
    "tls": tls,
    "dns": dns,
    "ssh": ssh,
    "alert": alert,
}
"""The record types that are used."""
