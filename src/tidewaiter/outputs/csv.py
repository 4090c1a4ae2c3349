"""One row per transfer for spreadsheets. Nothing in a cell can become a formula or move a cursor."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from tidewaiter.output import printable
from tidewaiter.schema.transfer import STAGES, Transfer

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters (also the full-width ones) that make a spreadsheet evaluate a cell."""

Value = str | int | bool | None


def cell(value: Value) -> str:
    """The cell of one value: text is made printable, and quoted by an apostrophe where it could be a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    guarded = value.startswith(FORMULA) or value.lstrip().startswith(FORMULA)
    return ("'" if guarded else "") + printable(value)


def columns(transfer: Transfer) -> dict[str, Value]:
    """The row of one transfer by column name."""
    process, src, dst, file = transfer.process, transfer.src, transfer.dst, transfer.file
    return {
        "id": transfer.id,
        "time": transfer.time,
        "severity": transfer.severity,
        "score": transfer.score,
        "confidence": transfer.confidence,
        "direction": transfer.direction,
        "outcome": transfer.outcome,
        "host": transfer.device.hostname,
        "host_ip": transfer.device.ip,
        "user": transfer.user,
        "utility": transfer.utility,
        "protocol": transfer.protocol,
        "src_url": src.url,
        "src_hostname": src.hostname,
        "src_ip": src.ip,
        "src_port": src.port,
        "src_path": src.path,
        "dst_path": dst.path,
        "in_memory": dst.in_memory,
        "file_name": file.name,
        "file_size": file.size,
        "file_type": file.type,
        "sha256": file.sha256,
        "sha1": file.sha1,
        "md5": file.md5,
        "process_name": process.name,
        "process_path": process.path,
        "process_pid": process.pid,
        "command_line": process.command_line,
        "parent": process.parent,
        **{f"stage_{name}": transfer.stages[name].state if name in transfer.stages else None for name in STAGES},
        "techniques": " ".join(transfer.techniques),
        "reasons": " ".join(f"{reason.id}:{reason.weight}" for reason in transfer.reasons),
        "evidence": " ".join(f"{row.log_file}#{row.record}" for row in transfer.evidence),
    }


class Output:
    """`--format csv`."""

    def write(self, transfers: Iterable[Transfer], stream: TextIO) -> None:
        """Write a header row, then one row per transfer. Every cell is quoted, so that no separator can split one."""
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(columns(_nothing()))
        for transfer in transfers:
            writer.writerow([cell(value) for value in columns(transfer).values()])


def _nothing() -> Transfer:
    """An empty transfer: it names the columns, so that header and rows cannot disagree."""
    from tidewaiter.schema.transfer import Device, File, Landing, Origin, Process

    return Transfer(id="", time=None, device=Device(), process=Process(), src=Origin(), dst=Landing(), file=File(), stages={})
