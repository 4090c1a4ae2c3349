"""Transfers to write: a plain one, and one in which every text is hostile."""

from __future__ import annotations

import pytest

from tidewaiter.schema.transfer import (
    STAGES,
    Device,
    EvidenceRow,
    File,
    Landing,
    Origin,
    Process,
    Reason,
    StageRecord,
    Transfer,
)

NOON = "2026-03-01T12:00:00Z"
HOSTILE = "=cmd|'/c calc'!A0\x1b[2J\x9b31m\u202egpj.exe\r\n\ud800\x00[red]x[/red]"


def transfer_of(text: str) -> Transfer:
    stages = {name: StageRecord(state="not_seen") for name in STAGES}
    stages["commanded"] = StageRecord(state="seen", time=NOON, evidence=[0])
    stages["carried"] = StageRecord(state="not_visible")
    return Transfer(
        id="0123456789abcdef",
        time=NOON,
        device=Device(hostname=text, ip="192.0.2.9"),
        user=text,
        utility=text,
        process=Process(name=text, path=text, pid=7, command_line=text, parent=text),
        protocol=text,
        src=Origin(url=text, hostname=text, ip="198.51.100.1", port=80, path=text),
        dst=Landing(path=text, in_memory=False),
        file=File(name=text, size=12, type=text, sha256="ab" * 32),
        stages=stages,
        severity="high",
        score=70,
        confidence=80,
        reasons=[Reason(id="from_address", weight=40, text=text), Reason(id="run", weight=30, text="it was run")],
        evidence=[EvidenceRow(log_file=text, record="12", time=NOON, log_source="linux_auditd", summary=text)],
    )


@pytest.fixture
def plain() -> Transfer:
    return transfer_of("http-ish text")


@pytest.fixture
def hostile() -> Transfer:
    return transfer_of(HOSTILE)
