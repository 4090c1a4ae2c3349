"""Typed, frozen reader of knowledge/weights.toml."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError
from tidewaiter.schema.transfer import SEVERITIES, Severity


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reason: what it adds to the score and how it reads."""

    weight: int
    text: str


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All reasons, and the lowest score of each severity."""

    severity: Mapping[str, int]
    reason: Mapping[str, Weight]

    def severity_of(self, score: int) -> Severity:
        """The severity of a score between 0 and 100."""
        found: Severity = "informational"
        for name in SEVERITIES[1:]:
            if score >= self.severity[name]:
                found = name
        return found


@functools.cache
def load() -> Weights:
    """The shipped weights; raises KnowledgeError when the file is wrong."""
    return kept.worked_out("weights", Weights, ("knowledge/weights.toml", "catalog/weights.py"), _shipped)


def _shipped() -> Weights:
    text = (resources.files("tidewaiter") / "knowledge" / "weights.toml").read_text(encoding="utf-8")
    try:
        weights = msgspec.toml.decode(text, type=Weights)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KnowledgeError("weights.toml", "file", str(error)) from None
    missing = set(SEVERITIES[1:]) - set(weights.severity)
    if missing:
        raise KnowledgeError("weights.toml", "severity", f"misses {', '.join(sorted(missing))}")
    return weights
