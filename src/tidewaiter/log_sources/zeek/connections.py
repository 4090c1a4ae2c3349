"""Events of conn.log, ssl.log and dns.log. Field meanings: the Zeek script reference of the log."""

from __future__ import annotations

from typing import Any

from tidewaiter.log_sources.zeek.columns import NAME, Built, Columns, ends_of
from tidewaiter.schema.event import Event, EventKind

CONN_OUTCOME = {"SF": "completed", "S0": "failed", "REJ": "refused"}
"""What conn_state says plainly; the others say how the end looked, not whether it worked."""

_FLOW, _TLS, _DNS = EventKind.FLOW, EventKind.TLS, EventKind.DNS_QUERY


def state_of(state: str | None, missed: int | None) -> tuple[str | None, dict[str, Any] | None]:
    """Outcome and extra of a connection, by its conn_state and how many bytes were missed."""
    extra = {name: value for name, value in (("conn_state", state), ("missed_bytes", missed)) if value is not None}
    return CONN_OUTCOME.get(state or ""), extra or None


def conn(columns: Columns, log_file: str) -> Built:
    """conn.log: one connection a record."""
    states = columns.texts("conn_state")
    missed = columns.counts("missed_bytes")
    gaps = [value or None for value in missed] if any(missed) else [None] * len(columns)
    return [
        Event(
            kind=_FLOW,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            transport=transport,
            protocol=protocol,
            bytes_out=bytes_out,
            bytes_in=bytes_in,
            duration=duration,
            flow_id=uid,
            community_id=community_id,
            outcome=outcome,
            extra=extra,
        )
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), transport, protocol, bytes_out, bytes_in, duration, (
            community_id
        ), outcome, extra in zip(
            zip(*ends_of(columns), strict=True),
            columns.texts("proto"),
            columns.texts("service"),
            columns.counts("orig_bytes"),
            columns.counts("resp_bytes"),
            columns.micros("duration"),
            columns.texts("community_id"),
            [CONN_OUTCOME.get(state or "") for state in states],
            columns.extras(conn_state=states, missed_bytes=gaps),
            strict=True,
        )
    ]


def ssl(columns: Columns, log_file: str) -> Built:
    """ssl.log: one TLS handshake a record."""
    extras = columns.extras(
        version=columns.texts("version"),
        established=columns.flags("established"),
        subject=columns.texts("subject"),
        issuer=columns.texts("issuer"),
        validation_status=columns.texts("validation_status"),
        ja3=columns.texts("ja3"),
        ja3s=columns.texts("ja3s"),
    )
    return [
        Event(
            kind=_TLS,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            dst_host=name,
            transport="tcp",
            protocol="tls",
            flow_id=uid,
            extra=extra,
        )
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), name, extra in zip(
            zip(*ends_of(columns), strict=True), columns.texts("server_name"), extras, strict=True
        )
    ]


def dns(columns: Columns, log_file: str) -> Built:
    """dns.log: one question and its answers a record; None where no name was asked for."""
    extras = columns.extras(rrtype=columns.texts("qtype_name"), rcode=columns.texts("rcode_name"))
    return [
        Event(
            kind=_DNS,
            time=time,
            log_source=NAME,
            log_file=log_file,
            record=record,
            src_ip=src_ip,
            src_port=src_port,
            dst_ip=dst_ip,
            dst_port=dst_port,
            transport=transport,
            protocol="dns",
            flow_id=uid,
            query=query,
            answers=answers,
            extra=extra,
        )
        if query
        else None
        for (record, time, src_ip, src_port, dst_ip, dst_port, uid), transport, query, answers, extra in zip(
            zip(*ends_of(columns), strict=True),
            columns.texts("proto"),
            columns.texts("query"),
            columns.lists("answers"),
            extras,
            strict=True,
        )
    ]
