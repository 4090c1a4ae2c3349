"""Score, severity, confidence and reasons. Weights are data; the reasons' weights add up to the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidewaiter.baseline.memory import Memory
from tidewaiter.catalog import weights as weight_data
from tidewaiter.judgement import wire
from tidewaiter.judgement.circumstances import circumstances
from tidewaiter.judgement.techniques import techniques
from tidewaiter.judgement.usual import usual
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import Reason, Transfer


class Judge:
    """Weighs assembled transfers; a memory says how usual their parts are."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory
        self.weights = weight_data.load()

    def all(self, cases: Iterable[Case]) -> Iterator[Transfer]:
        """The transfers of assembled cases, judged."""
        for case in cases:
            yield self.one(case)

    def one(self, case: Case) -> Transfer:
        """Score, severity, confidence, techniques and reasons for one case."""
        transfer = case.transfer
        reasons = []
        for reason, detail in wire.circumstances(case) if case.analytic == wire.ANALYTIC else circumstances(case):
            known = self.weights.reason.get(reason)
            if known is not None:
                reasons.append(Reason(id=reason, weight=known.weight, text=known.text.replace("{detail}", detail)))
        if len(reasons) <= 2 and "asked" in {reason.id for reason in reasons}:
            known = self.weights.reason["only_name"]
            reasons.append(Reason(id="only_name", weight=known.weight, text=known.text))
        for reason, detail in usual(case, self.memory) if self.memory is not None else ():
            known = self.weights.reason[reason]
            reasons.append(Reason(id=reason, weight=known.weight, text=known.text.replace("{detail}", detail)))
        total = sum(reason.weight for reason in reasons)
        score = min(100, max(0, total))
        if score != total:
            reasons.append(Reason(id="bound", weight=score - total, text=self.weights.reason["bound"].text))
        transfer.reasons = sorted(reasons, key=lambda reason: -abs(reason.weight))
        transfer.score = score
        transfer.severity = self.weights.severity_of(score)
        transfer.confidence = _confidence(case)
        transfer.techniques = techniques(case, [reason.id for reason in reasons])
        return transfer


def _confidence(case: Case) -> int:
    """How sure we are that it was asked for or happened: the reading's confidence, raised by each stage and log source."""
    stages = sum(record.state == "seen" for record in case.transfer.stages.values())
    sources = len({row.log_source for row in case.transfer.evidence})
    return max(5, min(99, case.action.confidence - 30 + 10 * min(stages, 4) + 5 * min(sources, 3)))
