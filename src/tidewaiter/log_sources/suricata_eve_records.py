"""The events of single EVE records. Each builder returns an event, or in words why the record is of no use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.schema.event import Event, EventKind

NAME = "suricata_eve"
FLOWS_KEPT = 50_000
"""Flows whose opener is remembered, to turn fileinfo records."""
LARGEST = (1 << 63) - 1

_FLOW, _HTTP, _FILE, _FTP = EventKind.FLOW, EventKind.HTTP, EventKind.FILE_ON_WIRE, EventKind.FTP
_SMB, _TFTP, _TLS, _DNS = EventKind.SMB, EventKind.TFTP, EventKind.TLS, EventKind.DNS_QUERY
_SSH, _ALERT = EventKind.SSH, EventKind.ALERT
_TRANSPORT = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "IPv6-ICMP": "icmp"}
_NO_PROTOCOL = (None, "failed", "unknown")

Text = str | None
Count = int | None


class Flow(msgspec.Struct, gc=False):
    """The `flow` object."""

    bytes_toserver: Count = None
    bytes_toclient: Count = None
    start: Text = None
    end: Text = None
    state: Text = None
    reason: Text = None
    alerted: bool | None = None


class Http(msgspec.Struct):
    """The `http` object."""

    hostname: Text = None
    http_port: Count = None
    url: Text = None
    http_user_agent: Text = None
    http_content_type: Text = None
    http_refer: Text = None
    http_method: Text = None
    protocol: Text = None
    version: Text = None
    status: Any = None
    length: Count = None
    redirect: Text = None
    content_range: Any = None
    request_headers: msgspec.Raw = msgspec.Raw()


class File(msgspec.Struct):
    """The `fileinfo` object."""

    filename: Text = None
    magic: Text = None
    gaps: bool | None = None
    state: Text = None
    md5: Text = None
    sha1: Text = None
    sha256: Text = None
    stored: bool | None = None
    file_id: Any = None
    size: Count = None
    tx_id: Count = None
    start: Count = None
    end: Count = None


class Line(msgspec.Struct):
    """One EVE record: what all types share, and the object of its type. Objects of rarer types stay undecoded."""

    event_type: str
    timestamp: str
    flow_id: Any = None
    parent_id: Any = None
    src_ip: Text = None
    src_port: Count = None
    dest_ip: Text = None
    dest_port: Count = None
    proto: Text = None
    app_proto: Text = None
    community_id: Text = None
    direction: Text = None
    tx_id: Count = None
    host: Any = None
    flow: Flow | None = None
    http: Http | None = None
    fileinfo: File | None = None
    ftp: msgspec.Raw = msgspec.Raw()
    ftp_data: msgspec.Raw = msgspec.Raw()
    smb: msgspec.Raw = msgspec.Raw()
    tftp: msgspec.Raw = msgspec.Raw()
    tls: msgspec.Raw = msgspec.Raw()
    dns: msgspec.Raw = msgspec.Raw()
    ssh: msgspec.Raw = msgspec.Raw()
    alert: msgspec.Raw = msgspec.Raw()


_DECODE = msgspec.json.Decoder().decode


class Reader:
    """What is remembered between the records of one log."""

    def __init__(self) -> None:
        self.times = IsoTimes()
        self.openers: dict[str, tuple[Text, Count]] = {}

    def time(self, text: str) -> int:
        """Microseconds since 1970 UTC; raises ValueError where the text is no time."""
        time = self.times.read(text)
        if time is None:
            raise ValueError("no time")
        return time

    def opener(self, flow_id: Text, ip: Text, port: Count) -> None:
        """Remember which side opened a flow. The oldest half is forgotten when there are too many."""
        if flow_id is None:
            return
        if len(self.openers) >= FLOWS_KEPT:
            for old in list(self.openers)[: FLOWS_KEPT // 2]:
                del self.openers[old]
        self.openers[flow_id] = (ip, port)


def _id(value: Any) -> Text:
    """Flow and file ids as text."""
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _count(value: Any) -> Count:
    """A count that may have been written as text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = int(value, 16) if value[:2] == "0x" else int(value) if value.isdecimal() and len(value) < 20 else None
    return value if isinstance(value, int) and -LARGEST <= value <= LARGEST else None


def _text(value: Any) -> Text:
    """Text, or None for what is none."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    """The object of a rarer type."""
    data = bytes(raw)
    value = _DECODE(data) if data else None
    return value if isinstance(value, dict) else {}


def _extra(**values: Any) -> dict[str, Any] | None:
    """The values that are there."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})} or None


def _base(reader: Reader, line: Line, kind: EventKind, log_file: str, record: str) -> dict[str, Any]:
    """What all records of a client's requests share: they name the client first."""
    flow_id = _id(line.flow_id)
    reader.opener(flow_id, line.src_ip, line.src_port)
    return {
        "kind": kind,
        "time": reader.time(line.timestamp),
        "log_source": NAME,
        "log_file": log_file,
        "record": record,
        "src_ip": line.src_ip,
        "src_port": line.src_port,
        "dst_ip": line.dest_ip,
        "dst_port": line.dest_port,
        "transport": _transport(line.proto),
        "flow_id": flow_id,
        "community_id": line.community_id,
    }


def _transport(proto: Text) -> Text:
    return None if proto is None else _TRANSPORT.get(proto) or proto.lower()


def flow(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One flow, at its start."""
    data = line.flow
    if data is None:
        return "flow record without a flow"
    time = reader.time(data.start or line.timestamp)
    end = reader.times.read(data.end) if data.end else None
    return Event(
        kind=_FLOW,
        time=time,
        log_source=NAME,
        log_file=log_file,
        record=record,
        src_ip=line.src_ip,
        src_port=line.src_port,
        dst_ip=line.dest_ip,
        dst_port=line.dest_port,
        transport=_transport(line.proto),
        protocol=None if line.app_proto in _NO_PROTOCOL else line.app_proto,
        bytes_out=data.bytes_toserver,
        bytes_in=data.bytes_toclient,
        duration=None if end is None else max(end - time, 0),
        flow_id=_id(line.flow_id),
        community_id=line.community_id,
        extra=None if data.state is None else {"state": data.state},
    )


def http_url(http: Http, port: Count, address: Text) -> Text:
    """scheme://host[:port]/url; a URL that a proxy was asked for is whole already."""
    url = http.url
    if url is None or http.http_method == "CONNECT" or (url[:1] != "/" and "://" in url[:16]):
        return url
    host = http.hostname or address
    if host is None:
        return url
    if host.count(":") > 1 and host[:1] != "[":
        host = f"[{host}]"
    port = http.http_port or port
    scheme = "https" if port == 443 and http.version == "2" else "http"
    if ":" in host.rpartition("]")[2] or port in (None, 443 if scheme == "https" else 80):
        return f"{scheme}://{host}{'' if url[:1] == '/' else '/'}{url}"
    return f"{scheme}://{host}:{port}{'' if url[:1] == '/' else '/'}{url}"


def _http_2(http: Http) -> None:
    """HTTP/2 names the host in a pseudo header only."""
    if http.hostname is None and http.version == "2" and bytes(http.request_headers):
        headers = _DECODE(bytes(http.request_headers))
        for header in headers if isinstance(headers, list) else ():
            if isinstance(header, dict) and header.get("name") == ":authority" and isinstance(header.get("value"), str):
                host, colon, port = header["value"].rpartition(":")
                if colon and port.isdecimal() and len(port) < 6:
                    http.hostname, http.http_port = host, int(port)
                else:
                    http.hostname = header["value"]


def http(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One request and its answer."""
    data = line.http
    if data is None:
        return "http record without http"
    _http_2(data)
    if data.url is None and data.http_method is None:
        return "http record without a request"
    return Event(
        **_base(reader, line, _HTTP, log_file, record),
        dst_host=data.hostname,
        protocol="http",
        bytes_in=data.length,
        url=http_url(data, line.dest_port, line.dest_ip),
        referrer=data.http_refer,
        method=data.http_method,
        status=_count(data.status),
        user_agent=data.http_user_agent,
        file_type=data.http_content_type,
        extra=_extra(redirect=data.redirect, content_range=data.content_range, tx_id=line.tx_id),
    )


def fileinfo(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One file seen on the wire. Suricata names its sender first."""
    data = line.fileinfo
    if data is None:
        return "fileinfo record without fileinfo"
    flow_id = _id(line.flow_id)
    is_orig = _sender_opened(reader, line, flow_id)
    sender, receiver = (line.src_ip, line.src_port), (line.dest_ip, line.dest_port)
    src, dst = (sender, receiver) if is_orig else (receiver, sender)
    about = line.http
    ftp_data = _object(line.ftp_data)
    smb = _object(line.smb)
    return Event(
        kind=_FILE,
        time=reader.time(line.timestamp),
        log_source=NAME,
        log_file=log_file,
        record=record,
        file_path=data.filename,
        file_size=data.size,
        file_type=data.magic,
        sha256=data.sha256,
        sha1=data.sha1,
        md5=data.md5,
        src_ip=src[0],
        src_port=src[1],
        dst_ip=dst[0],
        dst_port=dst[1],
        dst_host=about.hostname if about else None,
        transport=_transport(line.proto),
        protocol=None if line.app_proto in _NO_PROTOCOL else line.app_proto,
        flow_id=flow_id,
        file_id=_id(data.file_id),
        community_id=line.community_id,
        url=http_url(about, dst[1], dst[0]) if about else None,
        referrer=about.http_refer if about else None,
        method=about.http_method if about else _text(ftp_data.get("command")),
        status=_count(about.status) if about else None,
        user_agent=about.http_user_agent if about else None,
        service=_text(smb.get("share")),
        extra=_extra(
            tx_hosts=(sender[0],) if sender[0] else None,
            rx_hosts=(receiver[0],) if receiver[0] else None,
            is_orig=is_orig,
            state=data.state,
            stored=data.stored,
            gaps=data.gaps,
            start=data.start,
            end=data.end,
            tx_id=data.tx_id,
            http=_http_extra(about) if about else None,
            parent_id=_id(line.parent_id),
        ),
    )


def _http_extra(about: Http) -> dict[str, Any] | None:
    """The http object of a fileinfo record, as it is spelled there."""
    return _extra(
        url=about.url,
        hostname=about.hostname,
        method=about.http_method,
        status=_count(about.status),
        content_type=about.http_content_type,
        length=about.length,
    )


def _sender_opened(reader: Reader, line: Line, flow_id: Text) -> bool:
    """True where the sender of a file opened the connection: by the record, by the flow's other records, by the request,
    and at last by the ports (a service has the lower one)."""
    if line.direction in ("to_server", "to_client"):
        return line.direction == "to_server"
    known = reader.openers.get(flow_id) if flow_id is not None else None
    if known is not None:
        if known == (line.src_ip, line.src_port):
            return True
        if known == (line.dest_ip, line.dest_port):
            return False
    if line.http is not None and line.http.http_method == "GET":
        return False
    if line.app_proto in ("smtp", "nfs") and line.dest_port is not None and line.dest_port < 1024:
        return True
    command = _object(line.ftp_data).get("command")
    if isinstance(command, str):
        return command in ("STOR", "STOU", "APPE")
    return (line.src_port or 0) > (line.dest_port or 0)


def ftp(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One FTP command and its replies."""
    data = _object(line.ftp)
    command = _text(data.get("command"))
    if command is None:
        return "ftp reply without a command"
    argument = _text(data.get("command_data"))
    codes = data.get("completion_code")
    last = codes[-1] if isinstance(codes, list) and codes else None
    replies = data.get("reply")
    return Event(
        **_base(reader, line, _FTP, log_file, record),
        protocol="ftp",
        method=command,
        query=argument,
        status=_count(last),
        user=argument if command == "USER" else None,
        file_path=argument if command in ("RETR", "STOR", "APPE", "STOU", "SIZE", "RNFR", "RNTO", "DELE") else None,
        extra=_extra(
            reply=_texts(replies),
            completion_codes=_texts(codes),
            mode=_text(data.get("mode")),
            dynamic_port=_count(data.get("dynamic_port")),
            tx_id=line.tx_id,
        ),
    )


def _texts(value: Any) -> list[str] | None:
    """A short list of texts."""
    return [str(item) for item in value[:50]] if isinstance(value, list) else None


def ftp_data(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One FTP data connection with the command that asked for it."""
    data = _object(line.ftp_data)
    name = _text(data.get("filename"))
    return Event(
        **_base(reader, line, _FTP, log_file, record),
        protocol="ftp-data",
        method=_text(data.get("command")),
        query=name,
        file_path=name,
        extra=_extra(data=True, parent_id=_id(line.parent_id), tx_id=line.tx_id),
    )


def smb(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One SMB command and its status."""
    data = _object(line.smb)
    login, rename = data.get("ntlmssp"), data.get("rename")
    login = login if isinstance(login, dict) else {}
    rename = rename if isinstance(rename, dict) else {}
    status = _text(data.get("status"))
    return Event(
        **_base(reader, line, _SMB, log_file, record),
        protocol="smb",
        query=_text(data.get("command")),
        user=_text(login.get("user")),
        src_host=_text(login.get("host")),
        service=_text(data.get("share")) or _text(data.get("named_pipe")),
        file_path=_text(rename.get("to")) or _text(data.get("filename")),
        file_old_path=_text(rename.get("from")),
        file_size=_count(data.get("size")),
        outcome=None if status is None else "completed" if status == "STATUS_SUCCESS" else "failed",
        outcome_code=_count(data.get("status_code")),
        extra=_extra(
            status=status,
            access=_text(data.get("access")),
            disposition=_text(data.get("disposition")),
            directory=_text(data.get("directory")),
            share_type=_text(data.get("share_type")),
            fuid=_text(data.get("fuid")),
            domain=_text(login.get("domain")),
            session_id=_count(data.get("session_id")),
            tree_id=_count(data.get("tree_id")),
            tx_id=line.tx_id,
        ),
    )


def tftp(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One TFTP request."""
    data = _object(line.tftp)
    name = _text(data.get("file"))
    return Event(
        **_base(reader, line, _TFTP, log_file, record),
        protocol="tftp",
        method=_text(data.get("packet")),
        query=name,
        file_path=name,
        extra=_extra(mode=_text(data.get("mode"))),
    )


def tls(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One TLS handshake."""
    data = _object(line.tls)
    ja3 = data.get("ja3")
    return Event(
        **_base(reader, line, _TLS, log_file, record),
        dst_host=_text(data.get("sni")),
        protocol="tls",
        extra=_extra(
            version=_text(data.get("version")),
            subject=_text(data.get("subject")),
            issuer=_text(data.get("issuerdn")),
            fingerprint=_text(data.get("fingerprint")),
            not_before=_text(data.get("notbefore")),
            not_after=_text(data.get("notafter")),
            ja3=_text(ja3.get("hash")) if isinstance(ja3, dict) else None,
            ja4=_text(data.get("ja4")),
        ),
    )


def dns(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One DNS question or answer, in the layouts of EVE versions 1, 2 and 3."""
    data = _object(line.dns)
    questions = data.get("queries") or data.get("query")
    first = questions[0] if isinstance(questions, list) and questions and isinstance(questions[0], dict) else data
    name = _text(first.get("rrname"))
    if name is None:
        return "dns record without a name"
    if line.src_port == 53 and line.dest_port != 53:  # version 1 names the server first in answers
        line.src_ip, line.src_port, line.dest_ip, line.dest_port = (
            line.dest_ip,
            line.dest_port,
            line.src_ip,
            line.src_port,
        )
    kind = {"request": "query", "response": "answer"}.get(_text(data.get("type")) or "", _text(data.get("type")))
    return Event(
        **_base(reader, line, _DNS, log_file, record),
        protocol="dns",
        query=name,
        answers=_answers(data),
        extra=_extra(type=kind, rrtype=_text(first.get("rrtype")), rcode=_text(data.get("rcode"))),
    )


def _answers(data: dict[str, Any]) -> tuple[str, ...] | None:
    """The data of all answers: a list (version 2 and 3), grouped by type, or the record itself (version 1)."""
    listed, grouped = data.get("answers"), data.get("grouped")
    found: list[Any] = []
    if isinstance(listed, list):
        found = [item.get("rdata") for item in listed if isinstance(item, dict)]
    elif isinstance(grouped, dict):
        found = [value for values in grouped.values() if isinstance(values, list) for value in values]
    elif data.get("rdata") is not None:
        found = [data["rdata"]]
    return tuple(str(value) for value in found[:200] if isinstance(value, (str, int))) or None


def ssh(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One SSH session: the versions of both sides."""
    data = _object(line.ssh)
    client, server = data.get("client"), data.get("server")
    return Event(
        **_base(reader, line, _SSH, log_file, record),
        protocol="ssh",
        user_agent=_text(client.get("software_version")) if isinstance(client, dict) else None,
        extra=_extra(server=_text(server.get("software_version")) if isinstance(server, dict) else None),
    )


def alert(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One alert of a signature. The packet that raised it names its sender first."""
    data = _object(line.alert)
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
        transport=_transport(line.proto),
        protocol=None if line.app_proto in _NO_PROTOCOL else line.app_proto,
        flow_id=_id(line.flow_id),
        community_id=line.community_id,
        url=http_url(about, None, None) if about and about.hostname else None,
        method=about.http_method if about else None,
        service="Suricata",
        target=_text(data.get("signature")),
        outcome="blocked" if data.get("action") == "blocked" else None,
        extra=_extra(
            signature_id=_count(data.get("signature_id")),
            category=_text(data.get("category")),
            severity=_count(data.get("severity")),
            action=_text(data.get("action")),
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
