"""One record of a connection log, its values by meaning (knowledge/firewall_fields.toml), as an event FLOW."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidewaiter.formats.access_lines import count, is_address
from tidewaiter.formats.loose_times import LooseTimes
from tidewaiter.schema.event import Event, EventKind

NAME = "firewall"

_FLOW = EventKind.FLOW
_NOTHING = frozenset({"", "-", "N/A", "n/a", "null", "none", "None", "(empty)"})
_REFUSED = re.compile(r"den[iy]|drop|block|reject|discard|refus|prevent", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})(?:\.\d+)?")
_DECIMAL = re.compile(r"(\d{1,15})(?:\.(\d{1,9})\d*)?s?")
_HOUR = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?$")
_WITH_PORT = re.compile(r"\[?([0-9A-Fa-f:.]+?)\]?:(\d{1,5})$")
_TRANSPORTS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "58": "icmp6", "132": "sctp"}
_TRANSPORT_NAMES = frozenset((*_TRANSPORTS.values(), "ipv6-icmp", "icmpv6", "ah", "ipip"))


class Flows:
    """Makes the events of one file."""

    def __init__(self, log_file: str) -> None:
        self._log_file = log_file
        self.times = LooseTimes()

    def event(self, row: Mapping[str, str], number: str, prefix_time: int | None = None) -> Event | str | None:
        """The event of a record; in words why it is of no use; None where it has no time. Values are as spelled."""
        get = row.get
        if get("status") in ("NODATA", "SKIPDATA"):
            return "record without a flow"
        src, src_port = _endpoint(get("src"), get("sport"))
        dst, dst_port = _endpoint(get("dst"), get("dport"))
        if src is None or dst is None:
            return "record without both endpoints"
        time = self._time(row)
        if time is None:
            time = prefix_time
        if time is None:
            return None
        transport, protocol = _protocols(get("proto"), get("app"))
        out, back, extra = _sizes(row)
        action = get("action")
        for name in ("rule", "action"):
            if name in row:
                extra[name] = row[name]
        named_src, named_dst = not is_address(src), not is_address(dst)
        return Event(
            kind=_FLOW,
            time=time,
            log_source=NAME,
            log_file=self._log_file,
            record=number,
            user=get("user"),
            process_name=get("process"),
            src_ip=None if named_src else src,
            src_port=src_port,
            src_host=src if named_src else get("device"),
            dst_ip=None if named_dst else dst,
            dst_port=dst_port,
            dst_host=dst if named_dst else get("hostname"),
            transport=transport,
            protocol=protocol,
            bytes_out=out,
            bytes_in=back,
            duration=self._duration(row, time),
            flow_id=get("session"),
            url=get("url"),
            outcome="blocked" if action is not None and _REFUSED.search(action) else None,
            extra=extra or None,
        )

    def _time(self, row: Mapping[str, str]) -> int | None:
        time, date = row.get("time"), row.get("date")
        if date is not None:
            clock = time if time is not None and _HOUR.match(time) else row.get("clock")
            moment = self.times.read(f"{date} {clock}") if clock else None
            if moment is not None:
                return moment
        found = self.times.read(time) if time is not None else None
        if found is None and "end" in row:
            return self.times.read(row["end"])
        return found

    def _duration(self, row: Mapping[str, str], time: int) -> int | None:
        text = row.get("duration")
        if text is not None:
            found = _DECIMAL.fullmatch(text)
            if found is not None:
                return int(found[1]) * 1_000_000 + int((found[2] or "0")[:6].ljust(6, "0"))
            clock = _CLOCK.fullmatch(text)
            if clock is not None:
                return (int(clock[1] or 0) * 3_600 + int(clock[2]) * 60 + int(clock[3])) * 1_000_000
        nanos = count(row.get("duration_ns"))
        if nanos is not None:
            return nanos // 1_000
        end = self.times.read(row["end"]) if "end" in row and "time" in row else None
        return end - time if end is not None and end >= time else None


def without_nothing(values: list[tuple[str, str]]) -> dict[str, str]:
    """Values by meaning, without those that say that there is none; the first of a meaning counts."""
    row: dict[str, str] = {}
    for meaning, value in values:
        stripped = value.strip()
        if stripped not in _NOTHING and meaning not in row:
            row[meaning] = stripped
    return row


def _endpoint(address: str | None, port: str | None) -> tuple[str | None, int | None]:
    number = count(port)
    if address is not None and ":" in address:
        found = _WITH_PORT.match(address)
        if found is not None and (address.count(":") == 1 or address[0] == "["):
            return found[1], number if number is not None else int(found[2])
    return address, number if number is None or number < 65_536 else None


def _protocols(proto: str | None, app: str | None) -> tuple[str | None, str | None]:
    """Transport and application protocol: logs use either name for both."""
    transport = protocol = None
    for value in (proto, app):
        name = (value or "").lower()
        first = name.partition("/")[0]
        known = _TRANSPORTS.get(first) or (first if first in _TRANSPORT_NAMES else None)
        if known is not None:
            transport = transport or known
        elif name:
            protocol = protocol or name
    return transport, protocol


def _sizes(row: Mapping[str, str]) -> tuple[int | None, int | None, dict[str, Any]]:
    out, back = count(row.get("bytes_sent")), count(row.get("bytes_received"))
    total = count(row.get("bytes_total"))
    if out is not None or back is not None or total is None:
        return out, back, {}
    return (total, None, {}) if "one_way" in row else (None, None, {"bytes_total": total})
