"""EVE records of which nearly all carry nothing: flows, names, handshakes and alerts are counted by the block.

A block of one type is decoded at once with the fields that decide; only what is needed one by one becomes an event, by the
same builders as ever. Whatever is out of the ordinary (a record that does not decode, a time of another form, a block over
midnight, times to come) makes the whole block one for the builders: the counts are never a second opinion.
"""

from __future__ import annotations

import re
import time as clock
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidewaiter.formats.json_lines import IsoTimes
from tidewaiter.log_sources.suricata_eve.layout import NO_PROTOCOL, Alert, Count, Flow, Text, transport_of
from tidewaiter.schema.batch import Counted, Needs, Quiet
from tidewaiter.schema.event import EventKind

DAY = 86_400_000_000

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


_Weighed = tuple[dict[tuple[Any, ...], int], list[int], dict[int, str]]
"""Combinations, places of what is needed, and places of what is of no use with the reason."""


def _flows(records: Sequence[_FlowLine], needs: Needs) -> _Weighed:
    rows = []
    needed: list[int] = []
    ask = needs.flow
    for place, one in enumerate(records):
        flow, protocol, port = one.flow, one.app_proto, one.dest_port
        if protocol in NO_PROTOCOL:
            protocol = None
        transport = transport_of(one.proto)
        sent, got = flow.bytes_toserver or 0, flow.bytes_toclient or 0
        side = got.bit_length() - sent.bit_length()
        rows.append((one.src_ip, one.dest_ip, port, protocol, transport, side, got != 0 and transport != "icmp"))
        if ask(protocol, transport, port, sent, got):
            needed.append(place)
    return Counter(rows), needed, {}


def _names(records: Sequence[_NameLine], needs: Needs) -> _Weighed:
    rows = []
    needed: list[int] = []
    skipped: dict[int, str] = {}
    for place, one in enumerate(records):
        dns = one.dns
        questions = dns.queries or dns.query
        name = questions[0].rrname if questions else dns.rrname
        if not name:
            skipped[place] = "dns record without a name"
            continue
        answer = one.src_port == 53 and one.dest_port != 53  # version 1 names the server first in answers
        rows.append((one.dest_ip if answer else one.src_ip, name))
        if needs.name(name):
            needed.append(place)
    return Counter(rows), needed, skipped


def _handshakes(records: Sequence[_HandshakeLine], needs: Needs) -> _Weighed:
    rows = [(one.src_ip, one.dest_ip, one.tls.sni or None) for one in records]
    return Counter(rows), [place for place, row in enumerate(rows) if row[2] is not None and needs.peer(row[2])], {}


def _alerts(records: Sequence[_AlertLine], needs: Needs) -> _Weighed:
    needed = [
        place
        for place, one in enumerate(records)
        if needs.alert("blocked" if one.alert.action == "blocked" else None, one.alert.severity)
        or not isinstance(one.alert.severity, int)
    ]
    return {}, needed, {}


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
        self._needs = needs
        self._times = times

    def quiet(self, name: str, lines: list[bytes]) -> Quiet | None:
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
        combinations, needed, skipped = weigh(records, self._needs)
        counted = None if kind is EventKind.ALERT else Counted(kind, span[0] // DAY, combinations)
        return Quiet(kind, span, counted, needed, skipped)

    def _span(self, texts: list[str]) -> tuple[int, int] | None:
        """The first and last time, where all are of the fixed form, of one day and past."""
        joined = "\n".join(texts) + "\n"
        if len(joined) != 32 * len(texts) or _TIMES.fullmatch(joined) is None or len({text[26:] for text in texts}) != 1:
            return None
        first, last = self._times.read(min(texts)), self._times.read(max(texts))
        if first is None or last is None or not 0 < first <= last < clock.time_ns() // 1_000:
            return None
        same = first // DAY == last // DAY and min(texts)[:10] == max(texts)[:10]
        return (first, last) if same else None
