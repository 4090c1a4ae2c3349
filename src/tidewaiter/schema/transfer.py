"""The transfer: one file or payload that reached one host, in seven stages (DESIGN, section 1 and 7).

These structs refer to nothing that could refer back: the search for garbage in cycles need not look at them (`gc=False`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tidewaiter.schema.finding import Evidence

STAGES = ("commanded", "connected", "carried", "landed", "checked", "run", "spread")
State = Literal["seen", "not_seen", "not_visible"]
Severity = Literal["informational", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")
Outcome = Literal["completed", "attempted", "blocked", "failed", "partial"]


class Device(msgspec.Struct, kw_only=True, gc=False):
    """The host that the file reached."""

    hostname: str | None = None
    ip: str | None = None


class Process(msgspec.Struct, kw_only=True, gc=False):
    """The process that asked for the file."""

    name: str | None = None
    path: str | None = None
    pid: int | None = None
    command_line: str | None = None
    parent: str | None = None


class Origin(msgspec.Struct, kw_only=True, gc=False):
    """Where the bytes came from (`src` of the contract)."""

    url: str | None = None
    hostname: str | None = None
    ip: str | None = None
    port: int | None = None
    path: str | None = None


class Landing(msgspec.Struct, kw_only=True, gc=False):
    """Where the bytes landed (`dst` of the contract)."""

    path: str | None = None
    in_memory: bool | None = None


class File(msgspec.Struct, kw_only=True, gc=False):
    """What was carried."""

    name: str | None = None
    size: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    type: str | None = None


class StageRecord(msgspec.Struct, kw_only=True, gc=False):
    """One stage: its state, when it was first seen (RFC 3339) and the evidence rows it rests on."""

    state: State
    time: str | None = None
    evidence: list[int] = []


class Reason(msgspec.Struct, kw_only=True, gc=False):
    """One part of the score, in words."""

    id: str
    weight: int
    text: str


class EvidenceRow(msgspec.Struct, kw_only=True, gc=False):
    """Evidence as the contract prints it: time is RFC 3339."""

    log_file: str
    record: str
    time: str | None
    log_source: str
    summary: str


class Verdict(msgspec.Struct, kw_only=True, gc=False):
    """What an analyst said of a transfer: true_positive, benign or unsure; why, who, and when (RFC 3339)."""

    verdict: str
    note: str = ""
    by: str = ""
    at: str | None = None


class Transfer(msgspec.Struct, kw_only=True, gc=False):
    """One transferred file, as `tidewaiter scan --format jsonl` prints it."""

    id: str
    time: str | None
    device: Device
    user: str | None = None
    utility: str | None = None
    process: Process
    direction: Literal["ingress", "lateral"] = "ingress"
    protocol: str | None = None
    src: Origin
    dst: Landing
    file: File
    stages: dict[str, StageRecord]
    outcome: Outcome = "attempted"
    techniques: list[str] = []
    severity: Severity = "informational"
    score: int = 0
    confidence: int = 0
    reasons: list[Reason] = []
    evidence: list[EvidenceRow] = []
    verdict: Verdict | msgspec.UnsetType = msgspec.UNSET  # only where a store holds one


__all__ = ["SEVERITIES", "STAGES", "Evidence", "Transfer"]
