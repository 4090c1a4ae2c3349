"""EVE records of which nearly all carry nothing: flows, names, handshakes and alerts are counted by the block.

A block of one type is decoded at once with the fields that decide; only what is needed one by one becomes an event, by the
same builders as ever. Whatever is out of the ordinary (a record that does not decode, a time of another form, a block over
midnight, times to come) makes the whole block one for the builders: the counts are never a second opinion.
"""

from __future__ import annotations

import functools
import re
import time as clock
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.log_sources.suricata_eve.layout import NO_PROTOCOL, USUAL, Alert, Count, Flow, Text, id_of, transport_of
from tidewaiter.schema.batch import Counts, FlowRow, Needs, Quiet, Row, carrying
from tidewaiter.schema.event import EventKind

DAY = 86_400_000_000
_CENTURY = 946_684_800_000_000

_TIMES = re.compile(r"(?:\d{4}-\d\d-\d\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{6}[+-]\d{4}\n)+")


class _Head(msgspec.Struct, gc=False, kw_only=True):
    """What all records share, as `layout.Line` has it."""

    event_type: str
    timestamp: str
    flow_id: Any = None
    src_ip: Text = None
    src_port: Count = None
    dest_ip: Text = None
    dest_port: Count = None
    proto: Text = None
    app_proto: Text = None
    community_id: Text = None
    direction: Text = None
    tx_id: Count = None


class _FlowLine(_Head, gc=False, kw_only=True):
    flow: Flow


class _Asked(msgspec.Struct, gc=False, kw_only=True):
    rrname: Text = None
    rrtype: Text = None
    type: Text = None
    rcode: Text = None


class _Name(msgspec.Struct, gc=False, kw_only=True):
    """The `dns` object where it names what was asked for itself, as EVE version 1 and 2 do, or in its first question."""

    rrname: Text = None
    rrtype: Text = None
    type: Text = None
    rcode: Text = None
    queries: list[_Asked] | None = None
    query: list[_Asked] | None = None


class _NameLine(_Head, gc=False, kw_only=True):
    dns: _Name


class _Handshake(msgspec.Struct, gc=False, kw_only=True):
    sni: Text = None


class _HandshakeLine(_Head, gc=False, kw_only=True):
    tls: _Handshake


class _AlertLine(_Head, gc=False, kw_only=True):
    alert: Alert


class _Weighed(NamedTuple):
    """What the records of a block come to: rows to count, and places."""

    rows: Iterable[Row]
    services: Iterable[Row]  # of flows
    needed: list[int]
    skipped: dict[int, str]  # places of what is of no use, with the reason


_transport = functools.lru_cache(maxsize=256)(transport_of)


def _flows(records: Sequence[_FlowLine], needs: Needs) -> _Weighed:
    srcs = [one.src_ip for one in records]
    ports = [one.dest_port for one in records]
    protocols = [None if one.app_proto in NO_PROTOCOL else one.app_proto for one in records]
    transports = [_transport(one.proto) if one.proto in USUAL else transport_of(one.proto) for one in records]
    sent = [one.flow.bytes_toserver or 0 for one in records]
    got = [one.flow.bytes_toclient or 0 for one in records]
    answered = [count != 0 and transport != "icmp" for count, transport in zip(got, transports, strict=True)]
    sides = [back.bit_length() - out.bit_length() for out, back in zip(sent, got, strict=True)]
    return _Weighed(
        zip(srcs, [one.dest_ip for one in records], answered, strict=True),
        zip(srcs, ports, protocols, transports, sides, strict=True),
        carrying(needs, protocols, transports, ports, sent, got),
        {},
    )


def _names(records: Sequence[_NameLine], needs: Needs) -> _Weighed:
    found = [one.dns for one in records]
    asked = [questions[0].rrname if (questions := one.queries or one.query) else one.rrname for one in found]
    # version 1 names the server first in answers
    srcs = [one.dest_ip if one.src_port == 53 and one.dest_port != 53 else one.src_ip for one in records]
    every = set(asked)
    long = {name for name in every if name and needs.name(name)}
    skipped = [place for place, name in enumerate(asked) if not name] if None in every or "" in every else []
    return _Weighed(
        [row for row in zip(srcs, asked, strict=True) if row[1]],
        (),
        [place for place, name in enumerate(asked) if name in long] if long else [],
        dict.fromkeys(skipped, "dns record without a name"),
    )


def _handshakes(records: Sequence[_HandshakeLine], needs: Needs) -> _Weighed:
    rows = [(one.src_ip, one.dest_ip, one.tls.sni or None) for one in records]
    return _Weighed(rows, (), [place for place, row in enumerate(rows) if row[2] is not None and needs.peer(row[2])], {})


def _alerts(records: Sequence[_AlertLine], needs: Needs) -> _Weighed:
    needed = [
        place
        for place, one in enumerate(records)
        if needs.alert("blocked" if one.alert.action == "blocked" else None, one.alert.severity)
        or not isinstance(one.alert.severity, int)
    ]
    return _Weighed((), (), needed, {})


_WAYS: dict[str, tuple[EventKind, Callable[[bytes], list[Any]], Callable[[Any, Needs], _Weighed]]] = {
    "flow": (EventKind.FLOW, msgspec.json.Decoder(_FlowLine).decode_lines, _flows),
    "dns": (EventKind.DNS_QUERY, msgspec.json.Decoder(_NameLine).decode_lines, _names),
    "tls": (EventKind.TLS, msgspec.json.Decoder(_HandshakeLine).decode_lines, _handshakes),
    "alert": (EventKind.ALERT, msgspec.json.Decoder(_AlertLine).decode_lines, _alerts),
}

TYPES = frozenset(_WAYS)
"""The record types that are counted."""


class Counting:
    """Counts blocks for what is needed of them."""

    def __init__(self, needs: Needs, times: IsoTimes) -> None:
        self.counts = Counts()
        self._needs = needs
        self._times = times

    def quiet(self, name: str, lines: list[bytes], numbers: Sequence[int]) -> Quiet | None:
        """What the records of one type in a block come to; None where the builders are to read each of them."""
        kind, decode, weigh = _WAYS[name]
        try:
            data = b"\n".join(lines)
            if not data.isascii():
                data.decode()  # what is not looked at must be text too
            records = decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        if len(records) != len(lines):
            return None
        starts = name == "flow"
        span = self._span([(one.flow.start if starts else None) or one.timestamp for one in records])
        if span is None:
            return None
        weighed = weigh(records, self._needs)
        flows = self._rows(records, weighed.needed, numbers) if starts and self._needs.rows else None
        if kind is not EventKind.ALERT:
            self.counts.add(kind, span[0] // DAY, weighed.rows, weighed.services)
        return Quiet(kind, span, weighed.needed if flows is None else [], weighed.skipped, flows or [])

    def _rows(self, records: Sequence[_FlowLine], needed: list[int], numbers: Sequence[int]) -> list[FlowRow]:
        """Flows as `contents.flow` makes events of them; their times are known to be right."""
        rows: list[FlowRow] = []
        read, make = self._times.read, FlowRow._make
        for place in needed:
            one = records[place]
            flow, protocol = one.flow, one.app_proto
            time = read(flow.start or one.timestamp) or 0
            end = read(flow.end) if flow.end else None
            rows.append(
                make(
                    (
                        time, str(numbers[place]), one.src_ip, one.src_port, one.dest_ip, one.dest_port,
                        transport_of(one.proto), None if protocol in NO_PROTOCOL else protocol,
                        flow.bytes_toserver, flow.bytes_toclient,
                        None if end is None else max(end - time, 0), id_of(one.flow_id), one.community_id, None,
                        None if flow.state is None else {"state": flow.state},
                    )
                )
            )  # fmt: skip
        return rows

    def _span(self, texts: list[str]) -> tuple[int, int] | None:
        """The first and last time, where all are of the fixed form, of one day of this century and past."""
        joined = "\n".join(texts) + "\n"
        if len(joined) != 32 * len(texts) or _TIMES.fullmatch(joined) is None or len({text[26:] for text in texts}) != 1:
            return None
        first, last = self._times.read(min(texts)), self._times.read(max(texts))
        if first is None or last is None or not _CENTURY <= first <= last < clock.time_ns() // 1_000:
            return None
        same = first // DAY == last // DAY and min(texts)[:10] == max(texts)[:10]
        return (first, last) if same else None
