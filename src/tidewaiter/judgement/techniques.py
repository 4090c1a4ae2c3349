"""ATT&CK ids of a transfer: T1105 or T1570, and what else it shows by knowledge/attack.toml."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tidewaiter.catalog import attack, roles
from tidewaiter.catalog.attack import Shows
from tidewaiter.reading import paths
from tidewaiter.schema.case import Case

_COMMAND = re.compile(r"(?:^|\||&&|;)\s*(?:sudo\s+(?:-\S+\s+)*)?[\"']?([^\s\"'|;&]+)")
_LONGEST = 16_384


def techniques(case: Case, reasons: Iterable[str]) -> list[str]:
    """Technique ids, the one of the transfer itself first; `reasons` are the ids of those that hold."""
    first = "T1570" if case.transfer.direction == "lateral" else "T1105"
    held = frozenset(reasons)
    known = attack.load()
    others = [one for one in (*case.action.techniques, *_shown(_facts(case, held))) if one not in ("T1105", "T1570")]
    return known.without_parents([first, *others])


def _facts(case: Case, reasons: frozenset[str]) -> _Facts:
    transfer = case.transfer
    utility = case.action.utility
    names = (transfer.file.name, case.dest, *(url.split("?", 1)[0] for url in case.urls[:8]))
    return _Facts(
        reasons=reasons,
        utility=utility,
        stages=frozenset(name for name, record in transfer.stages.items() if record.state == "seen"),
        line=(transfer.process.command_line or "")[:_LONGEST].lower(),
        dest="/" + paths.path_key(case.dest),
        types=frozenset(filter(None, map(roles.file_type, names))),
        programs=frozenset({utility, case.program, *_runners(case)}),
    )


@functools.lru_cache(maxsize=512)
def _shown(facts: _Facts) -> tuple[str, ...]:
    """The techniques whose conditions hold; transfers of one kind come in great numbers."""
    return tuple(one.technique for one in attack.load().shows if facts.show(one))


class _Facts(NamedTuple):
    """What the conditions of knowledge/attack.toml are asked of."""

    reasons: frozenset[str]
    utility: str
    stages: frozenset[str]
    line: str
    dest: str
    types: frozenset[str]
    programs: frozenset[str]

    def show(self, one: Shows) -> bool:
        """Whether every condition that is given holds."""
        return (
            (not one.programs or not one.programs.isdisjoint(self.programs))
            and (not one.utilities or self.utility in one.utilities)
            and (not one.reasons or not one.reasons.isdisjoint(self.reasons))
            and one.stages <= self.stages
            and (not one.types or not one.types.isdisjoint(self.types))
            and (not one.dest or any(part in self.dest for part in one.dest))
            and (not one.words or any(word in self.line for word in one.words))
        )


def _runners(case: Case) -> Iterator[str]:
    """The programs that run the content: those of the same command line, and what the evidence of the stage names."""
    transfer = case.transfer
    if case.action.runs:
        for word in _COMMAND.findall((transfer.process.command_line or "")[:_LONGEST])[:50]:
            yield roles.program_name(word)
    for index in transfer.stages["run"].evidence:
        summary = transfer.evidence[index].summary if index < len(transfer.evidence) else ""
        kind, _, line = summary.partition(": ")
        if line and " " not in kind:
            yield from (roles.program_name(word) for word in _COMMAND.findall(line)[:1])
