"""Events of http.log, files.log and ftp.log. Field meanings: the Zeek script reference of the log."""

from __future__ import annotations

from tidewaiter.log_sources.zeek.columns import NAME, Built, Columns, any_value, ends_of, first_of
from tidewaiter.schema.event import Event, EventKind

_HTTP, _FILE, _FTP = EventKind.HTTP, EventKind.FILE_ON_WIRE, EventKind.FTP


def http(columns: Columns, log_file: str) -> Built:
    """http.log: one request and its answer a record."""
    ends = ends_of(columns)
    hosts, methods = columns.texts("host"), columns.texts("method")
    urls = map(_url, hosts, ends[4], ends[5], columns.texts("uri"), methods)
    extras = columns.extras(
        orig_fuids=columns.lists("orig_fuids"),
        orig_filenames=columns.lists("orig_filenames"),
        orig_mime_types=columns.lists("orig_mime_types"),
        resp_fuids=columns.lists("resp_fuids"),
        resp_filenames=first_of(columns.lists("resp_filenames"), columns.lists("filename")),
        resp_mime_types=first_of(columns.lists("resp_mime_types"), columns.lists("mime_type")),
        resp_md5=columns.texts("md5"),
        proxied=columns.lists("proxied"),
    )
    return [
        Event(
            kind=_HTTP,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            user=user,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            dst_host=host,
            transport="tcp",
            protocol="http",
            bytes_out=bytes_out,
            bytes_in=bytes_in,
            flow_id=uid,
            url=url,
            referrer=referrer,
            method=method,
            status=status,
            user_agent=user_agent,
            extra=extra,
        )
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), user, host, bytes_out, bytes_in, url, referrer, (
            method
        ), status, user_agent, extra in zip(
            zip(*ends, strict=True),
            columns.texts("username"),
            hosts,
            columns.counts("request_body_len"),
            columns.counts("response_body_len"),
            urls,
            columns.texts("referrer"),
            methods,
            columns.counts("status_code"),
            columns.texts("user_agent"),
            extras,
            strict=True,
        )
    ]


def _url(host: str | None, address: str | None, port: int | None, uri: str | None, method: str | None) -> str | None:
    """The URL that was asked for. Zeek cuts the port off the Host header, so the connection's port stands in."""
    host = host or address
    if uri is None or host is None or method == "CONNECT" or (uri[:1] != "/" and "://" in uri[:16]):
        return uri
    if ":" in host:
        if host.count(":") > 1 and host[:1] != "[":
            host = f"[{host}]"
        elif not host.endswith("]"):
            port = None  # the header kept its port
    slash = "" if uri[:1] == "/" else "/"
    return f"http://{host}{slash}{uri}" if port is None or port == 80 else f"http://{host}:{port}{slash}{uri}"


def files(columns: Columns, log_file: str) -> Built:
    """files.log: one file seen on the wire a record, or a certificate of a TLS handshake (`source` SSL)."""
    record, time, src_ips, src_ports, dst_ips, dst_ports, uids = ends_of(columns)
    conn_uids, is_origs = columns.lists("conn_uids"), columns.flags("is_orig")
    senders, receivers = columns.lists("tx_hosts"), columns.lists("rx_hosts")
    if any_value(conn_uids):
        uids = [uid or (many[0] if many else None) for uid, many in zip(uids, conn_uids, strict=True)]
    sides = [_sides(*row) for row in zip(src_ips, dst_ips, is_origs, senders, receivers, strict=True)]
    sources, names, seen = columns.texts("source"), columns.texts("filename"), columns.counts("seen_bytes")
    extras = columns.extras(
        tx_hosts=[side[2] for side in sides],
        rx_hosts=[side[3] for side in sides],
        is_orig=is_origs,
        seen_bytes=seen,
        total_bytes=columns.counts("total_bytes"),
        missing_bytes=columns.counts("missing_bytes"),
        overflow_bytes=columns.counts("overflow_bytes"),
        timed_out=columns.flags("timedout"),
        source=sources,
        filename=names,
        conn_uids=conn_uids,
        parent_fuid=columns.texts("parent_fuid"),
        extracted=columns.texts("extracted"),
    )
    return [
        Event(
            kind=_FILE,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            file_path=name,
            file_size=size,
            file_type=mime_type,
            sha256=sha256,
            sha1=sha1,
            md5=md5,
            src_ip=side[0],
            src_port=src_port,
            dst_ip=side[1],
            dst_port=dst_port,
            protocol=source.lower() if source else None,
            duration=duration,
            flow_id=uid,
            file_id=file_id,
            extra=extra,
        )
        for record, time, name, size, mime_type, sha256, sha1, md5, side, src_port, dst_port, source, duration, uid, (
            file_id
        ), extra in zip(
            record,
            time,
            names,
            seen,
            columns.texts("mime_type"),
            columns.texts("sha256"),
            columns.texts("sha1"),
            columns.texts("md5"),
            sides,
            src_ports,
            dst_ports,
            sources,
            columns.micros("duration"),
            uids,
            columns.texts("fuid"),
            extras,
            strict=True,
        )
    ]


_Hosts = tuple[str, ...] | None


def _sides(
    src_ip: str | None, dst_ip: str | None, is_orig: bool | None, senders: _Hosts, receivers: _Hosts
) -> tuple[str | None, str | None, _Hosts, _Hosts]:
    """Originator, responder, senders, receivers: old logs name the last two, new ones the first two."""
    if src_ip is None and senders and receivers and is_orig is not None:
        return (senders[0], receivers[0], senders, receivers) if is_orig else (receivers[0], senders[0], senders, receivers)
    if senders is None and src_ip and dst_ip and is_orig is not None:
        return (src_ip, dst_ip, (src_ip,), (dst_ip,)) if is_orig else (src_ip, dst_ip, (dst_ip,), (src_ip,))
    return src_ip, dst_ip, senders, receivers


def ftp(columns: Columns, log_file: str) -> Built:
    """ftp.log: one command a record. `arg` is a full URL for commands that name a file."""
    arguments = columns.texts("arg")
    extras = columns.extras(
        reply=columns.texts("reply_msg"),
        data_passive=columns.flags("data_channel.passive"),
        data_host=columns.texts("data_channel.resp_h"),
        data_port=columns.counts("data_channel.resp_p"),
    )
    return [
        Event(
            kind=_FTP,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            user=user,
            file_path=_ftp_path(argument),
            file_size=size,
            file_type=mime_type,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            transport="tcp",
            protocol="ftp",
            flow_id=uid,
            file_id=file_id,
            url=argument if argument and argument.startswith("ftp://") else None,
            method=command,
            status=status,
            query=argument,
            extra=extra,
        )
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), user, argument, size, mime_type, file_id, command, (
            status
        ), extra in zip(
            zip(*ends_of(columns), strict=True),
            columns.texts("user"),
            arguments,
            columns.counts("file_size"),
            columns.texts("mime_type"),
            columns.texts("fuid"),
            columns.texts("command"),
            columns.counts("reply_code"),
            extras,
            strict=True,
        )
    ]


def _ftp_path(argument: str | None) -> str | None:
    """The path in `ftp://host/./path`, which Zeek makes of the argument."""
    if argument is None or not argument.startswith("ftp://"):
        return None
    return argument[len("ftp://") :].partition("/")[2].removeprefix("./") or None
