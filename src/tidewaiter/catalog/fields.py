"""Typed, frozen reader of knowledge/fields.toml: every event field with its type and its OCSF and ECS path."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.errors import KnowledgeError

FieldType = Literal["string", "integer", "boolean", "string list", "object"]


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One field of schema.event.Event. A path is None where the vocabulary has no place for it."""

    name: str
    type: FieldType
    says: str
    ocsf: str | None = None
    ecs: str | None = None


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    field: tuple[Field, ...]


def parse_fields(text: str, file: str) -> tuple[Field, ...]:
    """The fields from TOML text, in file order; raises KnowledgeError with file and place."""
    try:
        fields = msgspec.convert(tomllib.loads(text), _Table).field
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        problem, _, place = str(error).partition(" - at ")
        raise KnowledgeError(file, place.strip("`") or "file", problem) from None
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise KnowledgeError(file, name, "is there twice")
    return fields


@functools.cache
def load() -> tuple[Field, ...]:
    """The shipped field table."""
    file = resources.files("tidewaiter") / "knowledge" / "fields.toml"
    return parse_fields(file.read_text(encoding="utf-8"), file.name)
