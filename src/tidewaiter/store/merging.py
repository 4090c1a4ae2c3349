"""What becomes of a kept transfer when a scan tells it again.

Doing it twice changes nothing, so an interrupted scan that is run again leaves what one run would have left.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tidewaiter.schema.transfer import EvidenceRow, StageRecord, Transfer

Change = Literal["same", "replace", "keep", "join"]


def compare(kept: Transfer, told: Transfer) -> Change:
    """Which of two records of one transfer stands.

    The one told now stands where it shows every stage that is kept, or where every log that was read for the kept one was
    read again; the kept one where it shows every stage that is told. Else each shows what the other does not: they are joined.
    """
    if kept == told:
        return "same"
    shown, telling = _seen(kept), _seen(told)
    if telling >= shown or _logs(told) >= _logs(kept):
        return "replace"
    return "keep" if shown >= telling else "join"


def join(kept: Transfer, told: Transfer) -> Transfer:
    """One record with the stages and evidence of both; the judgement is that of the higher score."""
    judged = max((told, kept), key=lambda one: one.score)
    other = kept if judged is told else told
    evidence = list(judged.evidence)
    places = [_place(evidence, row) for row in other.evidence]
    stages = dict(judged.stages)
    for name, record in other.stages.items():
        if record.state != "seen":
            if name not in stages or (stages[name].state == "not_visible" and record.state == "not_seen"):
                stages[name] = record
            continue
        lines = {places[index] for index in record.evidence if index < len(places)}
        own = stages.get(name)
        if own is not None and own.state == "seen":
            lines |= set(own.evidence)
            moments = [moment for moment in (own.time, record.time) if moment]
            stages[name] = StageRecord(state="seen", time=min(moments, default=None), evidence=sorted(lines))
        else:
            stages[name] = StageRecord(state="seen", time=record.time, evidence=sorted(lines))
    return msgspec.structs.replace(
        judged, evidence=evidence, stages=stages, confidence=max(kept.confidence, told.confidence), verdict=msgspec.UNSET
    )


def _place(evidence: list[EvidenceRow], row: EvidenceRow) -> int:
    """The position of a row, which is added where it is missing."""
    if row not in evidence:
        evidence.append(row)
    return evidence.index(row)


def _seen(transfer: Transfer) -> set[str]:
    return {name for name, record in transfer.stages.items() if record.state == "seen"}


def _logs(transfer: Transfer) -> set[str]:
    return {row.log_file for row in transfer.evidence}
