"""Records of conn, dns and ssl logs of which nearly all carry nothing, counted by the block.

Polars cuts large tab-separated logs, msgspec decodes JSON: with the fields that decide, and checked as the builders check them.
Only what is needed one by one becomes an event, by the same builders as ever. Whatever is out of the ordinary makes the whole
block one for the builders: the counts are never a second opinion.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tidewaiter.formats.zeek_tsv import Layout, Part, unescape
from tidewaiter.log_sources.zeek.connections import state_of
from tidewaiter.schema.batch import Counts, FlowRow, Needs, Quiet, Row, carrying
from tidewaiter.schema.event import EventKind

LEAST = 2_000_000
"""Bytes of a tab-separated log from which on loading Polars pays."""
DAY = 86_400_000_000
_CENTURY = 946_684_800_000_000
NO_NAME = "zeek record without a name asked for"

_ENDS = ("id.orig_h", "id.resp_h")
_COUNTS = ("id.orig_p", "id.resp_p", "orig_bytes", "resp_bytes", "missed_bytes")
_TEXTS = {"conn": ("proto", "service"), "dns": ("query",), "ssl": ("server_name",)}
KINDS = {"conn": EventKind.FLOW, "dns": EventKind.DNS_QUERY, "ssl": EventKind.TLS}
_ROWS = ("uid", "conn_state", "community_id")
"""What a flow tells beside what decides."""
_TIME = r"^[0-9]{10}\.[0-9]{6}$"
_OTHERS = bytes(set(range(256)) - set(b"\t\n"))
_POWERS = [1 << bit for bit in range(63)]
_LONGEST = 9_000_000_000_000.0  # seconds of a duration in microseconds that fit in 63 bits

LOGS = frozenset(KINDS)
"""The logs that are counted."""


def one_day(first: int, last: int) -> bool:
    """Whether both times lie on one day of this century that is past."""
    return _CENTURY <= first <= last < clock.time_ns() // 1_000 and first // DAY == last // DAY


# ------------------------------------------------------------------------------------- tab-separated
def quiet_text(name: str, part: Part, layout: Layout, needs: Needs, counts: Counts) -> Quiet | None:
    """What the records of a block come to; None where the builders are to read each of them."""
    import polars

    width, data = len(layout.fields), b"\n".join(part.lines)
    if layout.separator != "\t" or not _even(data, len(part.lines), width) or _has_empty(data):
        return None
    fields = ("ts", "duration", *_ENDS, *_COUNTS, *_TEXTS[name], *(_ROWS if name == "conn" and needs.rows else ()))
    wanted = [field for field in fields if field in layout.fields]
    if "ts" not in wanted or len(set(layout.fields)) != width:
        return None
    try:
        frame = _frame(polars, data, wanted, layout)
    except (polars.exceptions.PolarsError, ValueError):
        return None
    if frame is None:
        return None
    first, last = frame["ts"].min(), frame["ts"].max()
    if not one_day(first, last):
        return None
    escaped = b"\\x" in data
    weighed = (_text_flows if name == "conn" else _text_names)(polars, name, frame, needs, escaped)
    counts.add(KINDS[name], first // DAY, weighed.rows, weighed.services)
    if name == "conn" and needs.rows:
        return Quiet(KINDS[name], (first, last), [], {}, _rows(frame[weighed.needed], weighed.needed, part.number, escaped))
    return Quiet(KINDS[name], (first, last), weighed.needed, weighed.skipped, [])


def _even(data: bytes, lines: int, width: int) -> bool:
    """Whether every line has as many fields as the header names."""
    return data.translate(None, _OTHERS) + b"\n" == (b"\t" * (width - 1) + b"\n") * lines


def _has_empty(data: bytes) -> bool:
    """Whether a line or a field holds nothing at all, which Zeek never writes, or a CR, which Polars takes for nothing."""
    edges = data[:1], data[-1:]
    return any(pair in data for pair in (b"\t\t", b"\t\n", b"\n\t", b"\n\n", b"\r")) or b"\t" in edges or b"\n" in edges


def _frame(polars: Any, data: bytes, wanted: list[str], layout: Layout) -> Any:
    """The wanted columns, converted; None where a time is not of the usual form. Raises where a number does not convert."""
    places = sorted(layout.fields.index(field) for field in wanted)
    frame = polars.read_csv(
        data, separator="\t", has_header=False, columns=places, infer_schema=False, quote_char=None,
        null_values=[layout.unset, layout.empty],
    )  # fmt: skip
    frame.columns = [layout.fields[place] for place in places]
    if frame["ts"].null_count() or not frame["ts"].str.contains(_TIME).all():
        return None
    changed = [polars.col("ts").str.replace(".", "", literal=True).cast(polars.Int64)]
    changed += [polars.col(field).cast(polars.Int64) for field in _COUNTS if field in frame.columns]
    if "duration" in frame.columns:
        changed.append(polars.col("duration").cast(polars.Float64))
    frame = frame.with_columns(changed)
    if "duration" in frame.columns and not ((frame["duration"].is_finite()) & (frame["duration"].abs() < _LONGEST)).all():
        return None
    texts, numbers = ("proto", "service", "query", "server_name", *_ENDS, *_ROWS), _COUNTS
    missing = [polars.lit(None, polars.String).alias(field) for field in texts if field not in frame.columns]
    missing += [polars.lit(None, polars.Int64).alias(field) for field in numbers if field not in frame.columns]
    if "duration" not in frame.columns:
        missing.append(polars.lit(None, polars.Float64).alias("duration"))
    return frame.with_columns(missing)


class Weighed(NamedTuple):
    """What the records of a block come to: rows to count or their counts, and places."""

    rows: Iterable[Row] | Mapping[Row, int]
    services: Iterable[Row] | Mapping[Row, int]  # of connections
    needed: list[int]
    skipped: dict[int, str]  # places of what is of no use, with the reason


def _text_flows(polars: Any, _name: str, frame: Any, needs: Needs, escaped: bool) -> Weighed:
    sent, got = (frame[name].fill_null(0) for name in ("orig_bytes", "resp_bytes"))
    frame = frame.with_columns(
        side=_bits(polars, got) - _bits(polars, sent), answered=(got != 0) & (frame["proto"] != "icmp").fill_null(True)
    )
    protocols, transports = (_plain_all(frame[name].to_list(), escaped) for name in ("service", "proto"))
    return Weighed(
        _counted(frame, ["id.orig_h", "id.resp_h", "answered"], escaped),
        _counted(frame, ["id.orig_h", "id.resp_p", "service", "proto", "side"], escaped),
        carrying(needs, protocols, transports, frame["id.resp_p"].to_list(), sent.to_list(), got.to_list()),
        {},
    )


def _counted(frame: Any, fields: list[str], escaped: bool) -> dict[Row, int]:
    """How often each combination of these fields came."""
    counts = frame.group_by(fields, maintain_order=True).len()
    rows, numbers = counts.select(fields).rows(), counts["len"].to_list()
    if not escaped:
        return dict(zip(rows, numbers, strict=True))
    combinations: dict[Row, int] = {}
    for row, number in zip(rows, numbers, strict=True):
        key = tuple(_plain(value) if isinstance(value, str) else value for value in row)
        combinations[key] = combinations.get(key, 0) + number
    return combinations


def _rows(frame: Any, places: list[int], number: int, escaped: bool) -> list[FlowRow]:
    """Flows as `connections.conn` makes events of them, of a frame that holds nothing else."""
    texts = {
        name: _plain_all(frame[name].to_list(), escaped)
        for name in (*_ENDS, "proto", "service", "uid", "community_id", "conn_state")
    }
    values = {name: frame[name].to_list() for name in ("ts", *_COUNTS)}
    durations = [None if value is None else round(value * 1_000_000) for value in frame["duration"].to_list()]
    states = [
        state_of(*row) for row in zip(texts["conn_state"], [value or None for value in values["missed_bytes"]], strict=True)
    ]
    columns = (
        values["ts"], [str(number + place) for place in places], texts["id.orig_h"], values["id.orig_p"], texts["id.resp_h"],
        values["id.resp_p"], texts["proto"], texts["service"], values["orig_bytes"], values["resp_bytes"], durations,
        texts["uid"], texts["community_id"], [outcome for outcome, _ in states], [extra for _, extra in states],
    )  # fmt: skip
    return list(map(FlowRow._make, zip(*columns, strict=True)))


def _bits(polars: Any, column: Any) -> Any:
    """The length of each number in bits, by its size alone."""
    return polars.Series(_POWERS, dtype=polars.Int64).search_sorted(column.abs(), side="right").cast(polars.Int64)


def _text_names(_polars: Any, name: str, frame: Any, needs: Needs, escaped: bool) -> Weighed:
    field = _TEXTS[name][0]
    combinations = _counted(frame, ["id.orig_h", field] if name == "dns" else ["id.orig_h", "id.resp_h", field], escaped)
    ask = needs.name if name == "dns" else needs.peer
    wanted = {asked for asked in {row[-1] for row in combinations} if asked is not None and ask(asked)}
    names = _plain_all(frame[field].to_list(), escaped) if wanted or name == "dns" else []
    needed = [place for place, asked in enumerate(names) if asked in wanted] if wanted else []
    if name != "dns":
        return Weighed(combinations, (), needed, {})
    nameless = [place for place, asked in enumerate(names) if asked is None] if None in names else []
    return Weighed(
        {row: count for row, count in combinations.items() if row[1] is not None}, (), needed, dict.fromkeys(nameless, NO_NAME)
    )


def _plain_all(texts: list[str | None], escaped: bool) -> list[str | None]:
    return list(map(_plain, texts)) if escaped else texts


def _plain(text: str | None) -> str | None:
    return text if text is None or "\\x" not in text else unescape(text) or None
