"""How much of a growing audit log holds whole events: the kernel writes the records of one event in several lines."""

from __future__ import annotations

import re

LOOKED_AT = 65_536
"""Bytes at the end that are looked at: events that are written at the same time lie no further apart."""
_SERIAL = re.compile(rb"audit\(\d+\.\d+:(\d+)\)")
_END = re.compile(rb"type=(?:EOE|1320)\b[^\n]*\n")


def whole(data: bytes) -> int:
    """How many bytes at the start surely hold whole events: up to the last one that was ended, without any that goes on."""
    ends = list(_END.finditer(data, max(0, len(data) - LOOKED_AT)))
    found = list(_SERIAL.finditer(data, max(0, len(data) - LOOKED_AT)))
    if not found:
        return len(data)
    if ends:
        cut = ends[-1].end()
    else:  # auditd was told to leave the marks out: all but the newest event
        newest = found[-1][1]
        first = next(match for match in found if match[1] == newest)
        cut = data.rfind(b"\n", 0, first.start()) + 1
    going_on = {match[1] for match in found if match.start() >= cut}
    for match in found:
        if match.start() >= cut:
            break
        if match[1] in going_on:
            return data.rfind(b"\n", 0, match.start()) + 1
    return cut
