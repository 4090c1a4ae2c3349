"""Typed, frozen reader of knowledge/places.toml: hosting services, distributors and updaters."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError


class Updater(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Programs that fetch their own updates, and from where."""

    id: str
    programs: frozenset[str]
    domains: frozenset[str]


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Domains by what they are; each stands for everything below it."""

    hosting: frozenset[str]
    distributors: frozenset[str]
    updater: tuple[Updater, ...]

    def updater_of(self, host: str | None, program: str) -> str | None:
        """The id of the updater for which both the source and the asking program speak."""
        for updater in self.updater:
            if program in updater.programs and below(host, updater.domains):
                return updater.id
        return None


def below(host: str | None, domains: frozenset[str]) -> str | None:
    """The domain of the set that a host is or lies below."""
    if not host:
        return None
    return _below_short(host, domains) if len(host) < _SHORT else _below(host, domains)


def _below(host: str, domains: frozenset[str]) -> str | None:
    name = host.lower().rstrip(".")
    while name:
        if name in domains:
            return name
        name = name.partition(".")[2]
    return None


_SHORT = 256
_below_short = functools.lru_cache(maxsize=8_192)(_below)
"""The same hosts are asked about for every file that comes from them. What is too long for a name is not remembered."""


@functools.cache
def load() -> Places:
    """The shipped places; raises KnowledgeError when the file is wrong."""
    return kept.worked_out("places", Places, ("knowledge/places.toml", "catalog/places.py"), _shipped)


def _shipped() -> Places:
    text = (resources.files("tidewaiter") / "knowledge" / "places.toml").read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=Places)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KnowledgeError("places.toml", "file", str(error)) from None
