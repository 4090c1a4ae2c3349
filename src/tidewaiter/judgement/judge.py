"""Score, severity, confidence and reasons. Weights are data; the reasons' weights add up to the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tidewaiter.catalog import weights as weight_data
from tidewaiter.correlation.assemble import assemble
from tidewaiter.correlation.draft import Draft
from tidewaiter.judgement.circumstances import circumstances
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.transfer import Reason, Transfer

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostView

UNMARKED = frozenset({"renamed_after"})
"""Marks that are facts for people and weigh nothing."""


class Judge:
    """Turns drafts into judged transfers."""

    def __init__(self) -> None:
        self.weights = weight_data.load()

    def all(self, drafts: Iterable[Draft], view: HostView) -> Iterator[Transfer]:
        """The transfers of finished drafts."""
        for draft in drafts:
            yield self.one(draft, view)

    def one(self, draft: Draft, view: HostView) -> Transfer:
        """One draft assembled and judged."""
        transfer = assemble(draft, view.kinds, view.name)
        reasons = []
        for reason, detail in circumstances(draft, transfer):
            known = self.weights.reason.get(reason)
            if known is not None and reason not in UNMARKED:
                reasons.append(Reason(id=reason, weight=known.weight, text=known.text.replace("{detail}", detail)))
        if len(reasons) <= 2 and "asked" in {reason.id for reason in reasons}:
            known = self.weights.reason["only_name"]
            reasons.append(Reason(id="only_name", weight=known.weight, text=known.text))
        total = sum(reason.weight for reason in reasons)
        score = min(100, max(0, total))
        if score != total:
            reasons.append(Reason(id="bound", weight=score - total, text=self.weights.reason["bound"].text))
        transfer.reasons = sorted(reasons, key=lambda reason: -abs(reason.weight))
        transfer.score = score
        transfer.severity = self.weights.severity_of(score)
        transfer.confidence = _confidence(draft, transfer)
        transfer.techniques = _techniques(draft)
        return transfer


def _confidence(draft: Draft, transfer: Transfer) -> int:
    """How sure we are that this transfer was asked for or happened: the reading's confidence, raised by every further stage."""
    stages = sum(record.state == "seen" for record in transfer.stages.values())
    sources = len({row.log_source for row in transfer.evidence})
    return max(5, min(99, draft.action.confidence - 30 + 10 * min(stages, 4) + 5 * min(sources, 3)))


def _techniques(draft: Draft) -> list[str]:
    first = "T1570" if draft.action.kind is ActionKind.LATERAL else "T1105"
    return [first, *[one for one in draft.action.techniques if one != first]]
