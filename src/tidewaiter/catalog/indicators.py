"""Typed, frozen reader of knowledge/indicators.toml: how lists of indicators call what a transfer can be compared with."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.errors import KnowledgeError

IndicatorKind = Literal["hash", "domain", "address", "url"]


class IndicatorNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Names by format: CSV columns by kind, STIX object paths and MISP attribute types to their kinds."""

    columns: Mapping[Literal["hash", "domain", "address", "url", "any"], frozenset[str]]
    stix: Mapping[str, IndicatorKind]
    misp: Mapping[str, tuple[Literal["hash", "domain", "address", "url", "-"], ...]]

    def column(self, name: str) -> str | None:
        """What a column of this plain name holds; None where it holds nothing of use."""
        return next((kind for kind, names in self.columns.items() if name in names), None)


@functools.cache
def load() -> IndicatorNames:
    """The shipped names; raises KnowledgeError when the file is wrong."""
    text = (resources.files("tidewaiter") / "knowledge" / "indicators.toml").read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=IndicatorNames)
    except msgspec.DecodeError as error:
        raise KnowledgeError("indicators.toml", "file", str(error)) from None
