"""Rows of flow records as events, whole columns at a time.

The elements are those of IANA's "IPFIX Entities" and, above 32767 in v9, of Cisco ASA and Palo Alto.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from tidewaiter.formats.flow_packets import Exported
from tidewaiter.formats.flow_templates import REVERSE, Layout, Row
from tidewaiter.schema.event import Event, EventKind

NAME = "netflow"
ADDRESSES_KEPT = 300_000

RAW = frozenset({8, 12, 27, 28, 40_000, 56_701, 56_702})
"""Elements that are kept as bytes: addresses, names."""
_OUT = (231, 1, 85, 352)  # octets of the direction told, the best first
_BACK = (232, REVERSE | 1, REVERSE | 85)
_STARTS = ((152, 1_000), (154, 0), (156, 0), (150, 1_000_000))  # absolute times and their microseconds; 0: NTP's 64 bits
_ENDS = ((153, 1_000), (155, 0), (157, 0), (151, 1_000_000), (323, 1_000), (324, 0))
_SELDOM = frozenset({*_BACK, 148, 233, 89, 40_000, 56_701, 56_702})
_PORTS = ((7, 11), (182, 183), (180, 181))
_FROM_1900 = 2_208_988_800
WANTED = RAW | frozenset(
    {1, 4, 6, 7, 11, 21, 22, 34, 85, 89, 148, 158, 159, 161, 162, 180, 181, 182, 183, 231, 232, 233, 352}
    | {element for element, _ in (*_STARTS, *_ENDS)} | set(_BACK)
)  # fmt: skip

TRANSPORTS = tuple(
    {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmp6", 132: "sctp"}.get(number, str(number))
    for number in range(256)
)
_FLOW = EventKind.FLOW

Column = Sequence[Any]


class Addresses(dict[bytes, str]):
    """Addresses as text by their bytes; each is written out once."""

    def __missing__(self, raw: bytes) -> str:
        if len(self) > ADDRESSES_KEPT:
            self.clear()
        family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
        text = socket.inet_ntop(family, raw) if len(raw) in (4, 16) else ""
        self[raw] = text
        return text


class Builder:
    """Makes events of the rows of one file."""

    def __init__(self, log_file: str) -> None:
        self._log_file = log_file
        self._addresses = Addresses()
        self._number = 1

    def events(self, layout: Layout, rows: Sequence[Row], headers: Sequence[tuple[Exported, int]]) -> list[Event]:
        """One event a row. `headers` says which packets the rows came in: (header, rows of it)."""
        count = len(rows)
        none: Column = [None] * count
        columns = list(zip(*rows, strict=True))
        places = layout.places

        def column(*elements: int) -> Column:
            for element in elements:
                if element in places:
                    return columns[places[element]]
            return none

        sources, targets = self._ends(column(8), column(27)), self._ends(column(12), column(28))
        from_port, to_port = next((pair for pair in _PORTS if pair[0] in places or pair[1] in places), _PORTS[0])
        protocols = column(4)
        starts, spans = _times(column, headers, count)
        numbers = range(self._number, self._number + count)
        self._number += count
        events = [
            Event(
                kind=_FLOW,
                time=time,
                log_source=NAME,
                log_file=self._log_file,
                record=record,
                src_ip=src,
                src_port=src_port,
                dst_ip=dst,
                dst_port=dst_port,
                transport=transport,
                bytes_out=out,
                duration=span,
            )
            for record, time, span, src, dst, src_port, dst_port, transport, out in zip(
                map(str, numbers),
                starts,
                spans,
                sources,
                targets,
                column(from_port),
                column(to_port),
                none if protocols is none else [TRANSPORTS[number & 255] for number in protocols],
                column(*_OUT),
                strict=True,
            )
        ]
        if places.keys() & _SELDOM:
            _add_seldom(events, column)
        return events

    def _ends(self, four: Column, six: Column) -> Iterable[str | None]:
        """Addresses of one side; where a record has both kinds, the one that is set."""
        known = self._addresses.__getitem__
        has_four, has_six = four[0] is not None, six[0] is not None
        if has_four and has_six:
            return [
                known(long if not any(short) and any(long) else short) or None for short, long in zip(four, six, strict=True)
            ]
        if not has_four and not has_six:
            return four
        return map(known, four if has_four else six)


def _times(column: Any, headers: Sequence[tuple[Exported, int]], count: int) -> tuple[Column, Column]:
    """Starts and durations in microseconds; the time of export where a record has no start."""
    starts = _absolute(column, _STARTS)
    ends = _absolute(column, _ENDS)
    exported = list(chain.from_iterable(repeat(header.time, rows) for header, rows in headers))
    if starts is None and column(22)[0] is not None and headers[0][0].booted is not None:
        boots = [(header.booted or 0, header.uptime + 1_000, rows) for header, rows in headers]
        starts, ends = _since_boot(boots, column(22)), _since_boot(boots, column(21))
    if starts is None and column(158)[0] is not None:  # microseconds before the export
        starts = [time - before for time, before in zip(exported, column(158), strict=True)]
        ends = (
            [time - before for time, before in zip(exported, column(159), strict=True)] if column(159)[0] is not None else None
        )
    spans: Column = [None] * count
    if starts is not None and ends is not None:
        spans = [end - start if end >= start else None for start, end in zip(starts, ends, strict=True)]
    elif column(161)[0] is not None:
        spans = [value * 1_000 for value in column(161)]
    elif column(162)[0] is not None:
        spans = column(162)
    return starts or ends or exported, spans


def _absolute(column: Any, kinds: tuple[tuple[int, int], ...]) -> Column | None:
    for element, factor in kinds:
        values = column(element)
        if values[0] is not None:
            return [value * factor for value in values] if factor else [_ntp(value) for value in values]
    return None


def _ntp(value: int) -> int:
    """Seconds since 1900 in the upper half, their fraction in the lower; microseconds since 1970."""
    return ((value >> 32) - _FROM_1900) * 1_000_000 + ((value & 0xFFFF_FFFF) * 1_000_000 >> 32)


def _since_boot(boots: list[tuple[int, int, int]], values: Column) -> Column | None:
    """Milliseconds since the exporter started, which begin anew after 49 days, as microseconds since 1970."""
    if values[0] is None:
        return None
    found: list[int] = []
    at = 0
    for booted, latest, rows in boots:
        part = values[at : at + rows]
        at += rows
        if max(part) <= latest:
            found += [booted + value * 1_000 for value in part]
        else:
            wrapped = booted - (1 << 32) * 1_000
            found += [(booted if value <= latest else wrapped) + value * 1_000 for value in part]
    return found


def _add_seldom(events: list[Event], column: Any) -> None:
    """What most exporters do not tell: set afterwards, as every argument of the many events above costs time."""
    for event, back in zip(events, column(*_BACK), strict=True):
        event.bytes_in = back
    flows = column(148)
    if flows[0] is not None:
        for event, flow in zip(events, flows, strict=True):
            event.flow_id = str(flow)
    firewall, forwarding = column(233), column(89)
    for event, verdict, status in zip(events, firewall, forwarding, strict=True):
        if verdict == 3 or (verdict is None and status is not None and status < 256 and status & 0xC0 == 0x80):
            event.outcome = "blocked"  # by the firewall, or dropped by the router
    for event, user, application in zip(events, column(40_000, 56_702), column(56_701), strict=True):
        event.user = _name(user)
        event.protocol = _name(application)


def _name(raw: bytes | None) -> str | None:
    return None if raw is None else raw.rstrip(b"\0").decode("utf-8", "backslashreplace") or None
