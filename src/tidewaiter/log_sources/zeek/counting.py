"""Records of conn, dns and ssl logs of which nearly all carry nothing, counted by the block.

Polars cuts large tab-separated logs, msgspec decodes JSON: with the fields that decide, and checked as the builders check them.
Only what is needed one by one becomes an event, by the same builders as ever. Whatever is out of the ordinary makes the whole
block one for the builders: the counts are never a second opinion.
"""

from __future__ import annotations

import time as clock
from typing import Any

from tidewaiter.formats.zeek_tsv import Layout, unescape
from tidewaiter.schema.batch import Counted, Needs, Quiet
from tidewaiter.schema.event import EventKind

LEAST = 2_000_000
"""Bytes of a tab-separated log from which on loading Polars pays."""
DAY = 86_400_000_000
NO_NAME = "zeek record without a name asked for"

_ENDS = ("id.orig_h", "id.resp_h")
_COUNTS = ("id.orig_p", "id.resp_p", "orig_bytes", "resp_bytes", "missed_bytes")
_TEXTS = {"conn": ("proto", "service"), "dns": ("query",), "ssl": ("server_name",)}
KINDS = {"conn": EventKind.FLOW, "dns": EventKind.DNS_QUERY, "ssl": EventKind.TLS}
_TIME = r"^[0-9]{10}\.[0-9]{6}$"
_POWERS = [1 << bit for bit in range(63)]
_LONGEST = 9_000_000_000_000.0  # seconds of a duration in microseconds that fit in 63 bits

LOGS = frozenset(KINDS)
"""The logs that are counted."""


def one_day(first: int, last: int) -> bool:
    """Whether both times lie on one day that is past."""
    return 0 < first <= last < clock.time_ns() // 1_000 and first // DAY == last // DAY


# ------------------------------------------------------------------------------------- tab-separated
def quiet_text(name: str, data: bytes, lines: list[bytes], layout: Layout, needs: Needs) -> Quiet | None:
    """What the records of a block come to; None where the builders are to read each of them."""
    import polars

    width = len(layout.fields)
    if layout.separator != "\t" or {line.count(b"\t") for line in lines} != {width - 1} or _has_empty(data):
        return None
    wanted = [field for field in ("ts", "duration", *_ENDS, *_COUNTS, *_TEXTS[name]) if field in layout.fields]
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
    combinations, needed, skipped = (_text_flows if name == "conn" else _text_names)(polars, name, frame, needs)
    return Quiet(KINDS[name], (first, last), Counted(KINDS[name], first // DAY, combinations), needed, skipped)


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
    missing = [field for field in (*_ENDS, *_COUNTS, "proto", "service", "query", "server_name") if field not in frame.columns]
    return frame.with_columns([polars.lit(None).alias(field) for field in missing])


Weighed = tuple[dict[tuple[Any, ...], int], list[int], dict[int, str]]
"""Combinations, places of what is needed, and places of what is of no use with the reason."""


def _text_flows(polars: Any, _name: str, frame: Any, needs: Needs) -> Weighed:
    sent, got = (frame[name].fill_null(0).cast(polars.Int64) for name in ("orig_bytes", "resp_bytes"))
    frame = frame.with_columns(
        side=_bits(polars, got) - _bits(polars, sent),
        answered=(got != 0) & (frame["proto"].cast(polars.String) != "icmp").fill_null(True),
    )
    keys = ["id.orig_h", "id.resp_h", "id.resp_p", "service", "proto", "side", "answered"]
    counts = frame.group_by(keys, maintain_order=True).len()
    combinations: dict[tuple[Any, ...], int] = {}
    for src, dst, port, protocol, transport, side, answered, count in counts.iter_rows():
        key = (_plain(src), _plain(dst), port, _plain(protocol), _plain(transport), side, answered)
        combinations[key] = combinations.get(key, 0) + count
    columns = [frame[name].to_list() for name in ("service", "proto", "id.resp_p", "orig_bytes", "resp_bytes")]
    ask = needs.flow
    return combinations, [place for place, flow in enumerate(zip(*columns, strict=True)) if ask(*flow)], {}


def _bits(polars: Any, column: Any) -> Any:
    """The length of each number in bits, by its size alone."""
    return polars.Series(_POWERS, dtype=polars.Int64).search_sorted(column.abs(), side="right").cast(polars.Int64)


def _text_names(polars: Any, name: str, frame: Any, needs: Needs) -> Weighed:
    field = _TEXTS[name][0]
    ends = ["id.orig_h"] if name == "dns" else ["id.orig_h", "id.resp_h"]
    counts = frame.group_by([*ends, field], maintain_order=True).len()
    combinations: dict[tuple[Any, ...], int] = {}
    wanted: list[str] = []
    for *fields, count in counts.iter_rows():
        key = tuple(map(_plain, fields))
        asked = key[-1]
        if asked is None and name == "dns":
            continue
        combinations[key] = combinations.get(key, 0) + count
        if asked is not None and (needs.name(asked) if name == "dns" else needs.peer(asked)):
            wanted.append(fields[-1])
    needed = frame[field].cast(polars.String).is_in(wanted).fill_null(False).arg_true().to_list() if wanted else []
    if name != "dns":
        return combinations, needed, {}
    nameless = [place for place, asked in enumerate(frame[field].to_list()) if _plain(asked) is None]
    return combinations, needed, dict.fromkeys(nameless, NO_NAME)


def _plain(text: str | None) -> str | None:
    return text if text is None or "\\x" not in text else unescape(text) or None
