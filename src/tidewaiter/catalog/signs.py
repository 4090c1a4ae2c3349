"""Typed, frozen reader of knowledge/signs.toml: how text looks that names another machine or hides what it says."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from tidewaiter.errors import KnowledgeError


class Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of sign: any of its patterns shows it. `<` and `>` are the start and the end of a word."""

    name: str
    patterns: tuple[str, ...]
    marks: str = ""  # characters of which every pattern needs one; empty: none is sure to be there


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    sign: tuple[Sign, ...]


@functools.cache
def load() -> tuple[Sign, ...]:
    """All signs. Raises KnowledgeError when the file is wrong."""
    item = resources.files("tidewaiter") / "knowledge" / "signs.toml"
    try:
        return msgspec.toml.decode(item.read_bytes(), type=_File).sign
    except msgspec.DecodeError as problem:
        raise KnowledgeError("signs.toml", "file", str(problem)) from None
