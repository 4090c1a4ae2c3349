"""JSON records of Zeek's conn, dns and ssl logs, counted by the block: see `counting`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidewaiter.log_sources.zeek.columns import LARGEST
from tidewaiter.log_sources.zeek.counting import DAY, KINDS, NO_NAME, Weighed, one_day
from tidewaiter.schema.batch import Counted, Needs, Quiet

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


def quiet_json(name: str, data: bytes, lines: int, needs: Needs) -> Quiet | None:
    """What the records of a block of one log come to; None where the builders are to read each of them."""
    if any(field in data for field in _OF_OTHERS[name]):
        return None
    try:
        if not data.isascii():
            data.decode()  # what is not looked at must be text too
        records = _DECODE[name](data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if len(records) != lines or not records or {one.log for one in records} - {None, name}:
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
    combinations, needed, skipped = weighed
    return Quiet(KINDS[name], times, Counted(KINDS[name], times[0] // DAY, combinations), needed, skipped)


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
    rows = []
    needed: list[int] = []
    ask = needs.flow
    for place, one in enumerate(records):
        sent, got, transport, protocol = one.orig_bytes or 0, one.resp_bytes or 0, one.proto or None, one.service or None
        side = got.bit_length() - sent.bit_length()
        rows.append(
            (one.orig_h or None, one.resp_h or None, one.resp_p, protocol, transport, side, got != 0 and transport != "icmp")
        )
        if ask(protocol, transport, one.resp_p, sent, got):
            needed.append(place)
    return Counter(rows), needed, {}


def _names(records: Sequence[_Dns], needs: Needs) -> Weighed | None:
    counts = Counter([(one.orig_h or None, one.query or None) for one in records])
    long = {asked for _, asked in counts if asked is not None and needs.name(asked)}
    needed = [place for place, one in enumerate(records) if one.query in long] if long else []
    nameless = [place for place, one in enumerate(records) if not one.query]
    return {row: count for row, count in counts.items() if row[1] is not None}, needed, dict.fromkeys(nameless, NO_NAME)


def _handshakes(records: Sequence[_Ssl], needs: Needs) -> Weighed | None:
    if any(one.cipher is None and one.server_name is None and one.ssl_history is None for one in records):
        return None  # it may be of another log
    counts = Counter([(one.orig_h or None, one.resp_h or None, one.server_name or None) for one in records])
    telling = {name for _, _, name in counts if name is not None and needs.peer(name)}
    return counts, [place for place, one in enumerate(records) if one.server_name in telling] if telling else [], {}


_WEIGH: dict[str, Callable[[Any, Needs], Weighed | None]] = {"conn": _flows, "dns": _names, "ssl": _handshakes}
