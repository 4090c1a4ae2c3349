"""Files of nfdump, read by the program nfdump, which is run as a child process and asked for plain lines.

Format: nfdump(1). The file is given by its path, never through a shell; the output is read as it comes and the process ends
with the reader. Sizes and times are asked for as plain numbers (`-N`, `%tsr`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO

from tidewaiter.log_source import Opened
from tidewaiter.log_sources.netflow.flows import NAME, TRANSPORTS
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.tally import tally

_MAGIC = (b"\x0c\xa5", b"\xa5\x0c")
_FORMAT = "fmt:%tsr|%td|%sa|%da|%sp|%dp|%pr|%ibyt|%obyt"
_NUMBER = re.compile(r"-?\d{1,18}")
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?")
BATCH = 2_000
LONGEST_LINE = 4_096
MISSING = (
    "nfdump is not installed, which alone reads its own files: install it (Debian and Ubuntu: apt-get install nfdump; "
    "macOS: brew install nfdump) and scan again"
)


def looks_like(head: bytes) -> bool:
    """Whether the head is that of an nfdump file, version 1 or 2, of either byte order."""
    return head[:2] in _MAGIC and head[2:4] in (b"\x01\0", b"\x02\0", b"\0\x01", b"\0\x02")


def read(opened: Opened, account: Account) -> Iterator[list[Event]]:
    """Yield the events in batches. Where nfdump is missing or fails, the account says so."""
    program = shutil.which("nfdump")
    if program is None:
        account.notes.append(MISSING)
        account.damage_at("file", MISSING)
        return
    command = [program, "-r", str(opened.path.resolve()), "-q", "-N", "-6", "-o", _FORMAT]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell, the path is one argument
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, env={"TZ": "UTC", "LC_ALL": "C"}
        )
        try:
            assert process.stdout is not None
            yield from _events(process.stdout, opened.log_file, account)
            code = process.wait(60)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if code:
            complaints.seek(0)
            said = complaints.read(300).decode("utf-8", "replace").strip()
            account.damage_at("file", f"nfdump ended with code {code}: {said}")


def _events(lines: IO[bytes], log_file: str, account: Account) -> Iterator[list[Event]]:
    events: list[Event] = []
    number = 0
    while line := lines.readline(LONGEST_LINE):
        if not line.strip():
            continue
        number += 1
        event = _event(line.decode("ascii", "replace"), log_file, number)
        if event is None:
            account.damage_at(f"record {number}", "nfdump printed no flow")
            continue
        events.append(event)
        if len(events) == BATCH:
            account.parse(len(events))
            yield tally(events, account)
            events = []
    if events:
        account.parse(len(events))
        yield tally(events, account)


def _event(line: str, log_file: str, number: int) -> Event | None:
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 9:
        return None
    start, span, src, dst, src_port, dst_port, protocol, out, back = fields
    time = _micros(start)
    if time is None:
        return None
    transport = int(protocol) if protocol.isdecimal() and len(protocol) < 4 else None
    return Event(
        kind=EventKind.FLOW,
        time=time,
        log_source=NAME,
        log_file=log_file,
        record=str(number),
        src_ip=src or None,
        src_port=_count(src_port),
        dst_ip=dst or None,
        dst_port=_count(dst_port),
        transport=TRANSPORTS[transport] if transport is not None and transport < 256 else protocol.lower() or None,
        bytes_out=_count(out),
        bytes_in=_count(back) or None,  # 0 where the exporter tells one direction
        duration=_micros(span),
    )


def _count(text: str) -> int | None:
    """A number; None for nothing and for ICMP's `type.code` in place of a port."""
    found = _NUMBER.fullmatch(text)
    return int(found[0]) if found else None


def _micros(text: str) -> int | None:
    found = _SECONDS.fullmatch(text)
    return int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0")) if found else None
