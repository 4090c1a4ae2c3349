"""One transfer as its card or row shows it. Texts stay as they are: the template engine makes them safe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tidewaiter.catalog.attack import Documented, Named, context
from tidewaiter.outputs.html_report.survey import host_of, rank_of
from tidewaiter.schema.transfer import SEVERITIES, STAGES, EvidenceRow, Reason, Transfer

EVIDENCE, REASONS, TECHNIQUES = 60, 60, 20
"""How much of each a card shows; how much more there is is said."""


class Stage(NamedTuple):
    """One station of the track."""

    name: str
    state: str  # seen, not_seen, not_visible
    time: str | None
    evidence: list[int]


class Shown(NamedTuple):
    """A reason with the length of its bar, 0 to 100."""

    reason: Reason
    bar: int


@dataclass(slots=True, kw_only=True)
class Card:
    """Everything that is shown of one transfer."""

    number: int
    host_number: int
    transfer: Transfer
    severity: str
    host: str
    who: str
    source: str
    endpoint: list[str]
    destination: str
    stages: list[Stage]
    reasons: list[Shown]
    total: int
    evidence: list[EvidenceRow]
    hidden_evidence: int
    hidden_reasons: int
    size: str | None
    techniques: list[Named]
    documented: list[Documented]

    @property
    def track(self) -> str:
        """The seven stages in words, for whoever cannot see the drawing."""
        words = (f"{stage.name} {stage.state.replace('_', ' ')}" for stage in self.stages)
        return "Stages: " + ", ".join(words)


def card(number: int, transfer: Transfer, host_number: int) -> Card:
    """The card of one transfer; `number` is its place in the order of time."""
    reasons = sorted(transfer.reasons, key=lambda reason: -reason.weight)
    around = context(transfer)
    longest = max((abs(reason.weight) for reason in reasons), default=1) or 1
    return Card(
        number=number,
        host_number=host_number,
        transfer=transfer,
        severity=SEVERITIES[rank_of(transfer)],
        host=host_of(transfer),
        who=transfer.utility or transfer.process.name or transfer.protocol or "utility not known",
        source=_source(transfer),
        endpoint=list(_endpoint(transfer, _source(transfer))),
        destination=_destination(transfer),
        stages=list(_stages(transfer)),
        reasons=[Shown(reason, round(100 * abs(reason.weight) / longest)) for reason in reasons[:REASONS]],
        total=sum(reason.weight for reason in reasons),
        evidence=transfer.evidence[:EVIDENCE],
        hidden_evidence=max(0, len(transfer.evidence) - EVIDENCE),
        hidden_reasons=max(0, len(reasons) - REASONS),
        size=_size(transfer.file.size),
        techniques=list(around.techniques[:TECHNIQUES]),
        documented=list(around.documented),
    )


def _source(transfer: Transfer) -> str:
    """Where the bytes came from, as short as it is still telling."""
    src = transfer.src
    if src.url:
        return src.url
    host = src.hostname or src.ip or ""
    if host and src.path:
        return src.path if host in src.path else f"{host} {src.path}"
    if ":" in host and src.port:
        host = f"[{host}]"
    return src.path or (f"{host}:{src.port}" if host and src.port else host) or "source not known"


def _endpoint(transfer: Transfer, shown: str) -> Iterator[str]:
    """What is known of the source's host and is not in what is shown anyway."""
    src = transfer.src
    for part in dict.fromkeys((src.hostname, src.ip)):
        if part and part not in shown:
            yield part
    if src.port is not None and f":{src.port}" not in shown:
        yield f"port {src.port}"


def _destination(transfer: Transfer) -> str:
    if transfer.dst.path:
        return transfer.dst.path
    return "in memory" if transfer.dst.in_memory else transfer.file.name or "place not known"


def _stages(transfer: Transfer) -> Iterator[Stage]:
    for name in STAGES:
        record = transfer.stages.get(name)
        state = record.state if record and record.state in ("seen", "not_seen") else "not_visible"
        numbers = [index for index in record.evidence if 0 <= index < len(transfer.evidence)] if record else []
        yield Stage(name, state, record.time if record else None, numbers[:8])


def _size(size: int | None) -> str | None:
    """Bytes exactly, and in the unit that keeps the number short."""
    if size is None:
        return None
    short, unit = float(size), ""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if short < 1000 or unit == "TB":
            break
        short /= 1000
    return f"{size:,} bytes" if unit == "bytes" else f"{short:.1f} {unit} ({size:,} bytes)"
