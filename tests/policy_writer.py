"""Transfers and policies to try on each other."""

from __future__ import annotations

from typing import Any

from tidewaiter.catalog.weights import load as load_weights
from tidewaiter.schema.transfer import STAGES, Device, File, Landing, Origin, Process, Reason, StageRecord, Transfer


def make(score: int = 50, **fields: Any) -> Transfer:
    """A transfer of curl on ws01 whose one reason gives its score."""
    parts = {name: fields.pop(name, {}) for name in ("src", "file", "device", "process")}
    device = {"hostname": "ws01.example.com", "ip": "192.0.2.9", **parts["device"]}
    return Transfer(
        id=fields.pop("id", "aaaa"),
        time="2026-01-02T10:00:00Z",
        device=Device(**device),
        utility=fields.pop("utility", "curl"),
        process=Process(**parts["process"]),
        src=Origin(**parts["src"]),
        dst=Landing(),
        file=File(**parts["file"]),
        stages={stage: StageRecord(state="not_seen") for stage in STAGES},
        severity=load_weights().severity_of(score),
        score=score,
        reasons=[Reason(id="asked", weight=score, text="asked")],
        **fields,
    )


HEAD = 'reason = "because"\nowner = "ann"\nexpires = 2030-01-01\n'


def entry(table: str, identity: str = "one", **values: Any) -> str:
    """The text of one entry."""
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in values.items()]
    return f'[[{table}]]\nid = "{identity}"\n{HEAD}' + "\n".join(lines) + "\n"
