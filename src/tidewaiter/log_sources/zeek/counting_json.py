"""JSON records of Zeek's conn, dns and ssl logs, counted by the block: see `counting`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidewaiter.log_sources.zeek.columns import LARGEST
from tidewaiter.log_sources.zeek.connections import state_of
from tidewaiter.log_sources.zeek.counting import DAY, KINDS, NO_NAME, Weighed, one_day
from tidewaiter.schema.batch import Counts, FlowRow, Needs, Quiet, carrying

_FIRST, _LAST = 946_684_800.0, 10_000_000_000.0
"""Seconds since 1970: the year 2000, and what may rather be milliseconds."""
_LONGEST = 9_000_000_000.0
"""Seconds of an interval that are surely in range."""


_NAMES = {"log": "_path", "orig_h": "id.orig_h", "orig_p": "id.orig_p", "resp_h": "id.resp_h", "resp_p": "id.resp_p"}


class _Ends(msgspec.Struct, gc=False, kw_only=True, rename=_NAMES):
    """What the records share, of the types that Zeek writes."""

    ts: float
    uid: str
    log: str | None = None
    orig_h: str
    orig_p: int | None = None
    resp_h: str | None = None
    resp_p: int | None = None


class _Conn(_Ends, gc=False, kw_only=True):
    proto: str
    conn_state: str
    service: str | None = None
    duration: float | None = None
    orig_bytes: int | None = None
    resp_bytes: int | None = None
    missed_bytes: int | None = None
    community_id: str | None = None


class _Dns(_Ends, gc=False, kw_only=True):
    trans_id: int
    proto: str | None = None
    query: str | None = None


class _Ssl(_Ends, gc=False, kw_only=True):
    server_name: str | None = None
    cipher: str | None = None
    ssl_history: str | None = None


_DECODE: dict[str, Callable[[bytes], list[Any]]] = {
    "conn": msgspec.json.Decoder(_Conn).decode_lines,
    "dns": msgspec.json.Decoder(_Dns).decode_lines,
    "ssl": msgspec.json.Decoder(_Ssl).decode_lines,
}
_OF_OTHERS = {
    "conn": (),
    "dns": (b'"conn_state"', b'"history"', b'"orig_pkts"', b'"trans_depth"'),
    "ssl": (b'"proto"', b'"trans_depth"', b'"trans_id"', b'"query"', b'"action"', b'"share_type"', b'"fuid"'),
}
"""Fields that would make a record one of another log (`logs.log_of`)."""


def quiet_json(name: str, data: bytes, numbers: range, needs: Needs, counts: Counts) -> Quiet | None:
    """What the records of a block of one log come to; None where the builders are to read each of them."""
    if any(field in data for field in _OF_OTHERS[name]):
        return None
    try:
        if not data.isascii():
            data.decode()  # what is not looked at must be text too
        records = _DECODE[name](data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if len(records) != len(numbers) or not records or {one.log for one in records} - {None, name}:
        return None
    seconds = [one.ts for one in records]
    if not _FIRST <= min(seconds) <= max(seconds) < _LAST or not _in_range(records):
        return None
    times = round(min(seconds) * 1_000_000), round(max(seconds) * 1_000_000)
    if not one_day(*times):
        return None
    weighed = _WEIGH[name](records, needs)
    if weighed is None:
        return None
    counts.add(KINDS[name], times[0] // DAY, weighed.rows, weighed.services)
    if name == "conn" and needs.rows:
        return Quiet(KINDS[name], times, [], {}, [_row(records[place], numbers[place]) for place in weighed.needed])
    return Quiet(KINDS[name], times, weighed.needed, weighed.skipped, [])


def _row(one: _Conn, number: int) -> FlowRow:
    """The flow as `connections.conn` makes an event of it."""
    return FlowRow(
        round(one.ts * 1_000_000), str(number), one.orig_h or None, one.orig_p, one.resp_h or None, one.resp_p,
        one.proto or None, one.service or None, one.orig_bytes, one.resp_bytes,
        None if one.duration is None else round(one.duration * 1_000_000), one.uid or None, one.community_id or None,
        *state_of(one.conn_state or None, one.missed_bytes or None),
    )  # fmt: skip


def _in_range(records: Sequence[Any]) -> bool:
    """Whether the numbers are such as the builders take."""
    ports = [one.orig_p or 0 for one in records] + [one.resp_p or 0 for one in records]
    if not -LARGEST <= min(ports) <= max(ports) <= LARGEST:
        return False
    if isinstance(records[0], _Conn):
        counts = [number for one in records for number in (one.orig_bytes or 0, one.resp_bytes or 0, one.missed_bytes or 0)]
        spans = [one.duration or 0.0 for one in records]
        return -LARGEST <= min(counts) <= max(counts) <= LARGEST and -_LONGEST < min(spans) <= max(spans) < _LONGEST
    return True


def _flows(records: Sequence[_Conn], needs: Needs) -> Weighed | None:
    srcs = [one.orig_h or None for one in records]
    ports = [one.resp_p for one in records]
    protocols = [one.service or None for one in records]
    transports = [one.proto or None for one in records]
    sent = [one.orig_bytes or 0 for one in records]
    got = [one.resp_bytes or 0 for one in records]
    answered = [count != 0 and transport != "icmp" for count, transport in zip(got, transports, strict=True)]
    sides = [back.bit_length() - out.bit_length() for out, back in zip(sent, got, strict=True)]
    return Weighed(
        zip(srcs, [one.resp_h or None for one in records], answered, strict=True),
        zip(srcs, ports, protocols, transports, sides, strict=True),
        carrying(needs, protocols, transports, ports, sent, got),
        {},
    )


def _names(records: Sequence[_Dns], needs: Needs) -> Weighed | None:
    asked = {one.query for one in records}
    long = {name for name in asked if name and needs.name(name)}
    needed = [place for place, one in enumerate(records) if one.query in long] if long else []
    nameless = [place for place, one in enumerate(records) if not one.query] if None in asked or "" in asked else []
    return Weighed(
        [(one.orig_h or None, one.query) for one in records if one.query], (), needed, dict.fromkeys(nameless, NO_NAME)
    )


def _handshakes(records: Sequence[_Ssl], needs: Needs) -> Weighed | None:
    if any(one.cipher is None and one.server_name is None and one.ssl_history is None for one in records):
        return None  # it may be of another log
    rows = [(one.orig_h or None, one.resp_h or None, one.server_name or None) for one in records]
    telling = {name for name in {one.server_name for one in records} if name and needs.peer(name)}
    return Weighed(rows, (), [place for place, one in enumerate(records) if one.server_name in telling] if telling else [], {})


_WEIGH: dict[str, Callable[[Any, Needs], Weighed | None]] = {"conn": _flows, "dns": _names, "ssl": _handshakes}
