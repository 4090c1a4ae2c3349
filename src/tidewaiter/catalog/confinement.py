"""Typed, frozen reader of knowledge/confinement.toml: what a confined scan may reach beside what it was given."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from tidewaiter.errors import KnowledgeError


class Reach(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Paths: read and executed, read, read and written, and those in the home of a database's user."""

    programs: tuple[str, ...]
    read: tuple[str, ...]
    devices: tuple[str, ...]
    database: tuple[str, ...]


@functools.cache
def load() -> Reach:
    """The shipped knowledge. Raises KnowledgeError when the file is wrong."""
    file = resources.files("tidewaiter") / "knowledge" / "confinement.toml"
    try:
        return msgspec.toml.decode(file.read_text(encoding="utf-8"), type=Reach)
    except msgspec.DecodeError as error:
        raise KnowledgeError(file.name, "file", str(error)) from None
