"""What each entry of a policy would do to transfers, taken by itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tidewaiter.policy.policy import Policy, with_reasons
from tidewaiter.schema.transfer import SEVERITIES, Transfer

EXAMPLES = 5
"""Transfers that are named per entry and direction."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One transfer before and after."""

    id: str
    time: str | None
    host: str | None
    utility: str | None
    matched: str
    before: str  # severity and score
    after: str


class Effect(msgspec.Struct, kw_only=True):
    """What one entry does: how many transfers it speaks of, silences (no longer medium), lowers and raises in severity."""

    id: str
    table: str
    policy: str
    file: str
    owner: str
    reason: str
    expires: str
    matched: int = 0
    silenced: int = 0
    lowered: int = 0  # silenced ones included
    raised: int = 0
    values: int = 0
    unused: dict[str, int] = {}
    examples: list[Change] = []


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that was passed over."""

    id: str
    table: str
    file: str
    why: str


class Trial(msgspec.Struct, kw_only=True):
    """The outcome for all entries."""

    transfers: int = 0
    entries: list[Effect] = []
    ignored: list[Ignored] = []


def tried(policy: Policy, transfers: Iterable[Transfer]) -> Trial:
    """Ask every entry about every transfer; transfers that hold an earlier policy's reasons are judged without them."""
    effects = {
        rule.entry.id: Effect(
            id=rule.entry.id,
            table=rule.table,
            policy=rule.policy,
            file=rule.file,
            owner=rule.entry.owner,
            reason=rule.entry.reason,
            expires=rule.entry.expires.isoformat(),
            values=rule.values,
            unused=dict(rule.unused),
        )
        for rule in policy.rules
    }
    trial = Trial(entries=list(effects.values()))
    trial.ignored = [Ignored(id=one.entry.id, table=one.table, file=one.file, why=one.why) for one in policy.passed]
    medium = SEVERITIES.index("medium")
    for transfer in transfers:
        trial.transfers += 1
        plain = with_reasons(transfer, ())
        for rule, what in policy.matches(plain):
            effect = effects[rule.entry.id]
            effect.matched += 1
            after = with_reasons(plain, [(rule, what)])
            old, new = SEVERITIES.index(plain.severity), SEVERITIES.index(after.severity)
            effect.lowered += new < old
            effect.raised += new > old
            effect.silenced += new < medium <= old
            if len(effect.examples) < EXAMPLES and new != old:
                effect.examples.append(_change(plain, after, what))
    return trial


def _change(before: Transfer, after: Transfer, what: str) -> Change:
    return Change(
        id=before.id,
        time=before.time,
        host=before.device.hostname or before.device.ip,
        utility=before.utility,
        matched=what,
        before=f"{before.severity} {before.score}",
        after=f"{after.severity} {after.score}",
    )
