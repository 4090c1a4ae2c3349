"""Frozen reader of knowledge/windows_environment.toml: what environment variables hold on a default installation."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError


class WindowsEnvironment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values and spellings by lower-case name."""

    variables: Mapping[str, str]
    spelled: Mapping[str, str]


@functools.cache
def load() -> WindowsEnvironment:
    """The shipped table. Raises KnowledgeError when the file is wrong."""
    return kept.worked_out(
        "windows_environment",
        WindowsEnvironment,
        ("knowledge/windows_environment.toml", "catalog/windows_environment.py"),
        _shipped,
    )


def _shipped() -> WindowsEnvironment:
    name = "windows_environment.toml"
    text = (resources.files("tidewaiter") / "knowledge" / name).read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=WindowsEnvironment)
    except msgspec.DecodeError as error:
        raise KnowledgeError(name, "file", str(error)) from None
