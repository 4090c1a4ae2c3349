"""Events of flow, http and fileinfo records. Each builder returns an event, or in words why the record is of no use."""

from __future__ import annotations

import re
from typing import Any

from tidewaiter.log_sources.suricata_eve.layout import (
    DECODE,
    NAME,
    NO_PROTOCOL,
    Count,
    Http,
    Line,
    Reader,
    Text,
    count_of,
    extra_of,
    id_of,
    object_of,
    text_of,
    transport_of,
)
from tidewaiter.schema.event import Event, EventKind

_FLOW, _HTTP, _FILE = EventKind.FLOW, EventKind.HTTP, EventKind.FILE_ON_WIRE

_LENGTH = re.compile(rb'"name":\s*"content-length",\s*"value":\s*"(\d{1,15})"', re.I)
_ENCODED = re.compile(rb'"name":\s*"(?:content-encoding|transfer-encoding)"', re.I)


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
        transport=transport_of(line.proto),
        protocol=None if line.app_proto in NO_PROTOCOL else line.app_proto,
        bytes_out=data.bytes_toserver,
        bytes_in=data.bytes_toclient,
        duration=None if end is None else max(end - time, 0),
        flow_id=id_of(line.flow_id),
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
        headers = DECODE(bytes(http.request_headers))
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
    flow_id = id_of(line.flow_id)
    reader.opener(flow_id, line.src_ip, line.src_port)
    return Event(
        kind=_HTTP,
        time=reader.time(line.timestamp),
        log_source=NAME,
        log_file=log_file,
        record=record,
        src_ip=line.src_ip,
        src_port=line.src_port,
        dst_ip=line.dest_ip,
        dst_port=line.dest_port,
        dst_host=data.hostname,
        transport=transport_of(line.proto),
        protocol="http2" if data.version == "2" else "http",
        bytes_in=data.length,
        flow_id=flow_id,
        community_id=line.community_id,
        url=http_url(data, line.dest_port, line.dest_ip),
        referrer=data.http_refer,
        method=data.http_method,
        status=count_of(data.status),
        user_agent=data.http_user_agent,
        file_type=data.http_content_type,
        extra=extra_of(
            redirect=data.redirect, content_range=data.content_range, content_length=_announced(data), tx_id=line.tx_id
        ),
    )


def _announced(data: Http) -> int | None:
    """The Content-Length of the answer; None where the body is encoded, for the sensor counts what it has decoded."""
    headers = bytes(data.response_headers)
    if data.content_encoding or _ENCODED.search(headers):
        return None
    found = _LENGTH.search(headers)
    return int(found[1]) if found else count_of(data.content_length)


def fileinfo(reader: Reader, line: Line, log_file: str, record: str) -> Event | str:
    """One file seen on the wire. Suricata names its sender first."""
    data = line.fileinfo
    if data is None:
        return "fileinfo record without fileinfo"
    flow_id = id_of(line.flow_id)
    is_orig = _sender_opened(reader, line, flow_id)
    sender, receiver = (line.src_ip, line.src_port), (line.dest_ip, line.dest_port)
    src, dst = (sender, receiver) if is_orig else (receiver, sender)
    about = line.http
    ftp_data = object_of(line.ftp_data)
    smb = object_of(line.smb)
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
        transport=transport_of(line.proto),
        protocol=None if line.app_proto in NO_PROTOCOL else line.app_proto,
        flow_id=flow_id,
        file_id=id_of(data.file_id),
        community_id=line.community_id,
        url=http_url(about, dst[1], dst[0]) if about else None,
        referrer=about.http_refer if about else None,
        method=about.http_method if about else text_of(ftp_data.get("command")),
        status=count_of(about.status) if about else None,
        user_agent=about.http_user_agent if about else None,
        service=text_of(smb.get("share")),
        extra=extra_of(
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
            parent_id=id_of(line.parent_id),
        ),
    )


def _http_extra(about: Http) -> dict[str, Any] | None:
    """The http object of a fileinfo record, as it is spelled there."""
    return extra_of(
        url=about.url,
        hostname=about.hostname,
        method=about.http_method,
        status=count_of(about.status),
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
    command = object_of(line.ftp_data).get("command")
    if isinstance(command, str):
        return command in ("STOR", "STOU", "APPE")
    return (line.src_port or 0) > (line.dest_port or 0)
