"""Policies applied to transfers: entries become reasons with weights. No transfer is ever taken away.

Policies are applied to what a scan found, or a store gives, whenever it is read: what is kept holds none of it, so that a new
policy speaks of old transfers too, and an expired one is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from tidewaiter.catalog import weights
from tidewaiter.policy import document, indicators, matching
from tidewaiter.policy.document import Document, Entry, KnownBad
from tidewaiter.policy.matching import Match
from tidewaiter.schema.transfer import Reason, Transfer

PREFIX = "policy_"
"""How the ids of a policy's reasons begin."""
LONGEST_TEXT = 600
_REASONS = {
    "trusted_domain": "policy_trusted",
    "distribution_server": "policy_distribution",
    "updater": "policy_updater",
    "allowed_utility": "policy_allowed",
    "internal_network": "policy_internal",
    "known_bad": "policy_bad",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One entry that holds, ready to ask."""

    table: str
    entry: Entry
    policy: str  # name of the policy
    file: str
    match: Match
    values: int = 0  # known_bad: how many indicators
    unused: tuple[tuple[str, int], ...] = ()  # known_bad: what its list holds that cannot be used, by reason

    @property
    def reason_id(self) -> str:
        """The reason that it becomes."""
        return _REASONS[self.table]


@dataclass(frozen=True, kw_only=True)
class Passed:
    """An entry that is ignored, and why."""

    table: str
    entry: Entry
    file: str
    why: str


class Policy:
    """The entries of all given files that hold on a day. A later file's entry replaces one of the same id."""

    def __init__(self, rules: Sequence[Rule] = (), passed: Sequence[Passed] = ()) -> None:
        self.rules = tuple(rules)
        self.passed = tuple(passed)

    @property
    def networks(self) -> tuple[str, ...]:
        """The internal networks of all entries."""
        entries = (rule.entry for rule in self.rules)
        return tuple(one for entry in entries if isinstance(entry, document.InternalNetwork) for one in entry.networks)

    def matches(self, transfer: Transfer) -> list[tuple[Rule, str]]:
        """Every entry that speaks of a transfer, with what of it."""
        return [(rule, what) for rule in self.rules if (what := rule.match(transfer)) is not None]

    def applied(self, transfer: Transfer) -> Transfer:
        """The transfer with this policy's reasons in place of any earlier policy's; unchanged where nothing changes."""
        if not self.rules and not any(reason.id.startswith(PREFIX) for reason in transfer.reasons):
            return transfer
        return with_reasons(transfer, self.matches(transfer))


def with_reasons(transfer: Transfer, matches: Iterable[tuple[Rule, str]]) -> Transfer:
    """The transfer judged again with the reasons that these entries become; its other reasons stand."""
    known = weights.load()
    told: dict[str, list[str]] = {}
    for rule, what in matches:
        detail = f"policy {rule.policy}, entry {rule.entry.id} ({what}): {rule.entry.reason}"
        told.setdefault(rule.reason_id, []).append(detail)
    kept = [reason for reason in transfer.reasons if not reason.id.startswith(PREFIX)]
    if not told and len(kept) == len(transfer.reasons):
        return transfer
    kept = [reason for reason in kept if reason.id != "bound"]
    held = frozenset(reason.id for reason in kept)
    for name, details in told.items():
        weight = known.reason[name].weight
        if weight < 0 and ("policy_bad" in told or (name == "policy_internal" and "inside_source" in held)):
            weight = 0
        text = known.reason[name].text.replace("{detail}", "; ".join(details))[:LONGEST_TEXT]
        kept.append(Reason(id=name, weight=weight, text=text))
    total = sum(reason.weight for reason in kept)
    score = min(100, max(0, total))
    if score != total:
        kept.append(Reason(id="bound", weight=score - total, text=known.reason["bound"].text))
    kept.sort(key=lambda reason: -abs(reason.weight))
    return msgspec.structs.replace(transfer, reasons=kept, score=score, severity=known.severity_of(score))


def load(files: Sequence[str], today: date | None = None) -> Policy:
    """The policy of these files, in their order. Raises PolicyError that names file and place."""
    day = today or datetime.now(UTC).date()
    now = datetime.now(UTC) if today is None else datetime(today.year, today.month, today.day, tzinfo=UTC)
    rules: dict[str, Rule] = {}
    passed: list[Passed] = []
    for file in files:
        path = Path(file)
        told = document.read_document(path)
        for table, entry in told.entries():
            if entry.expires < day:
                passed.append(Passed(table=table, entry=entry, file=file, why=f"expired on {entry.expires.isoformat()}"))
                continue
            before = rules.pop(entry.id, None)
            if before is not None:
                passed.append(Passed(table=before.table, entry=before.entry, file=before.file, why=f"replaced by {file}"))
            rules[entry.id] = _rule(table, entry, told, path, now)
    return Policy(tuple(rules.values()), passed)


def _rule(table: str, entry: Entry, told: Document, path: Path, now: datetime) -> Rule:
    name, file = told.name or path.stem, str(path)
    if isinstance(entry, KnownBad):
        values = _values(entry, path, now)
        unused = tuple(sorted(values.unused.items()))
        match = matching.known_bad(values)
        return Rule(table=table, entry=entry, policy=name, file=file, match=match, values=len(values), unused=unused)
    return Rule(table=table, entry=entry, policy=name, file=file, match=_match(entry, told))


def _match(entry: Entry, told: Document) -> Match:
    if isinstance(entry, document.TrustedDomain):
        return matching.trusted_domain(entry)
    if isinstance(entry, document.DistributionServer):
        return matching.distribution_server(entry)
    if isinstance(entry, document.Updater):
        return matching.updater(entry)
    if isinstance(entry, document.AllowedUtility):
        return matching.allowed_utility(entry, told.groups)
    assert isinstance(entry, document.InternalNetwork)
    return matching.internal_network(entry)


def _values(entry: KnownBad, path: Path, now: datetime) -> indicators.Indicators:
    """The indicators of an entry; a file is looked for beside the policy."""
    if entry.file is not None:
        return indicators.read_list(path.parent / entry.file, entry.format, now)
    found = indicators.Indicators()
    for value in entry.values:
        found.add(value)
    return found
