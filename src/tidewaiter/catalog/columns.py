"""Typed reader of the files in knowledge/ that say how logs with named columns call what we read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import msgspec

from tidewaiter.errors import KnowledgeError

_NOISE = re.compile(r"[^a-z0-9]+")


def plain(name: str) -> str:
    """The name of a column in lower case, without spaces, marks and punctuation: `Bytes Sent` and `bytes_sent` are one."""
    return _NOISE.sub("", name.lower())


class Columns:
    """Which column holds what: the names of one file of knowledge, and by them the places in a header."""

    def __init__(self, names: Mapping[str, Iterable[str]], *, exact: bool) -> None:
        self._exact = exact
        self._meaning: dict[str, str] = {}
        self._rank: dict[str, int] = {}
        for meaning, spelled in names.items():
            for rank, name in enumerate(spelled):
                key = self._key(name)
                self._meaning.setdefault(key, meaning)
                self._rank.setdefault(key, rank)

    def _key(self, name: str) -> str:
        return name.lower() if self._exact else plain(name)

    def meaning(self, name: str) -> str | None:
        """What a column of this name holds, or None."""
        return self._meaning.get(self._key(name))

    def rank(self, name: str) -> int:
        """The place of the name among those of its meaning; large where it has none."""
        return min(self._rank.get(self._key(name), 99), 99)

    def places(self, header: Iterable[str]) -> dict[str, int]:
        """Meaning -> place of the column that holds it; where several do, the one whose name comes first in the file."""
        found: dict[str, tuple[int, int]] = {}
        for place, name in enumerate(header):
            key = self._key(name)
            meaning = self._meaning.get(key)
            if meaning is not None:
                found[meaning] = min(found.get(meaning, (len(self._rank), 0)), (self._rank[key], place))
        return {meaning: place for meaning, (_, place) in found.items()}


def decode(text: str, source: str) -> dict[str, list[str]]:
    """`meaning = [names]` of a TOML text; raises KnowledgeError naming `source` when it is anything else."""
    try:
        return msgspec.toml.decode(text, type=dict[str, list[str]])
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KnowledgeError(source, "file", str(error)) from None


@functools.cache
def shipped(name: str) -> dict[str, list[str]]:
    """The names of one shipped file, for example `w3c_fields`; raises KnowledgeError when it is wrong."""
    text = (resources.files("tidewaiter") / "knowledge" / f"{name}.toml").read_text(encoding="utf-8")
    return decode(text, f"{name}.toml")


def own(path: Path, meanings: Iterable[str]) -> dict[str, list[str]]:
    """The names of a file that the user gives; raises KnowledgeError when it cannot be read or names a meaning we lack."""
    try:
        names = decode(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(str(path), "file", str(error)) from None
    unknown = sorted(set(names) - set(meanings))
    if unknown:
        raise KnowledgeError(str(path), unknown[0], f"unknown meaning; known ones: {', '.join(sorted(meanings))}")
    return names
