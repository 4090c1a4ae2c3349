"""Typed, frozen reader of knowledge/drill.toml: the methods by which a drill brings its marker in, and their servers."""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.errors import KnowledgeError

PLACEHOLDERS = frozenset({"name", "address", "port", "served", "user", "ssh", "smb"})
DRILLED = ("commanded", "connected", "carried", "landed", "checked", "run")
"""The stages that a drill makes; it spreads nothing."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Server(_Table, frozen=True):
    """A kind of server: the module in drill/servers/ that starts it, and what that needs."""

    kind: str
    says: str
    programs: tuple[str, ...] = ()
    port: int = 0  # the well-known one; 0: any, one for each method
    must_have: bool = False  # it cannot do without that port


class Method(_Table, frozen=True):
    """One way of bringing the marker in."""

    id: str
    utility: str  # as the records call it
    protocol: str
    server: str
    programs: tuple[str, ...]
    fetch: tuple[str, ...]  # arguments with placeholders
    lands: Literal["file", "memory"] = "file"
    exact: bool = True  # the landed file is the marker byte for byte, not only holds its text
    why: Mapping[str, str] = {}  # stage -> why even good logs may not show it

    def command(self, values: Mapping[str, str]) -> list[str]:
        """The arguments with the placeholders filled in."""
        return [word.format_map(values) for word in self.fetch]


class Drill(_Table, frozen=True):
    """Everything of knowledge/drill.toml."""

    server: tuple[Server, ...]
    method: tuple[Method, ...]

    def server_of(self, method: Method) -> Server:
        """The server that a method fetches from."""
        return next(one for one in self.server if one.kind == method.server)


def parse(text: str, file: str) -> Drill:
    """The knowledge of a TOML text; raises KnowledgeError with file and place."""
    try:
        drill = msgspec.toml.decode(text, type=Drill)
    except msgspec.DecodeError as error:
        problem, _, place = str(error).partition(" - at ")
        raise KnowledgeError(file, place.strip("`") or "file", problem) from None
    kinds = {one.kind for one in drill.server}
    known: set[str] = set()
    for method in drill.method:
        if problem := _problem(method, kinds, known):
            raise KnowledgeError(file, method.id, problem)
        known.add(method.id)
    return drill


def _problem(method: Method, kinds: set[str], known: set[str]) -> str:
    if method.id in known:
        return "stands there twice"
    if not method.id.replace("-", "").isalnum() or method.id != method.id.lower():
        return "is part of file names: small letters, digits and hyphens only"
    if method.server not in kinds:
        return f"names the server {method.server}, which is none"
    if not method.fetch or method.fetch[0] not in ("sh", *method.programs):
        return "starts a program that is not among those it needs"
    if strangers := set(method.why) - set(DRILLED):
        return f"names {', '.join(sorted(strangers))}, which is no stage of a drill"
    try:
        fields = {field for word in method.fetch for _, field, _, _ in string.Formatter().parse(word) if field is not None}
    except ValueError as error:
        return f"has a wrong placeholder: {error}"
    if strangers := fields - PLACEHOLDERS:
        return f"has the unknown placeholder {', '.join(sorted(strangers))}"
    return ""


@functools.cache
def load() -> Drill:
    """The shipped knowledge; raises KnowledgeError when the file is wrong."""
    file = resources.files("tidewaiter") / "knowledge" / "drill.toml"
    return parse(file.read_text(encoding="utf-8"), file.name)
