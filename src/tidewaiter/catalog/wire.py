"""Typed, frozen reader of knowledge/wire.toml: clients, content, carriers and roles of what crosses the wire."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError

ContentClass = Literal["executable", "script", "archive", "picture", "document"]


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A program by its User-Agent: how it begins, or one of what it holds. All in lower case."""

    utility: str
    begins: tuple[str, ...]
    holds: tuple[str, ...] = ()
    program: str | None = None  # the name by which an updater knows it
    browser: bool = False


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of content: how its magic begins, its MIME types, the extensions that fit it."""

    id: str
    kind: ContentClass = msgspec.field(name="class")
    magic: tuple[str, ...]
    mime: frozenset[str]
    extensions: frozenset[str]


class Carrier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A protocol that exists to carry files, and the fewest bytes of a flow that count."""

    protocol: str
    least: int


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything of knowledge/wire.toml."""

    inside: tuple[str, ...]
    pipes: frozenset[str]
    ftp_pull: frozenset[str]
    ftp_push: frozenset[str]
    push_methods: frozenset[str]
    not_files: frozenset[str]
    not_file_types: frozenset[str]
    harmless: frozenset[str]
    harmless_types: tuple[str, ...]
    carrier: tuple[Carrier, ...]
    client: tuple[Client, ...]
    content: tuple[Content, ...]

    def least(self, protocol: str | None) -> int | None:
        """The fewest bytes of a flow of this carrying protocol that count; None where it is no carrier."""
        return next((one.least for one in self.carrier if one.protocol == protocol), None)


@functools.cache
def load() -> Wire:
    """The shipped knowledge; raises KnowledgeError when the file is wrong."""
    return kept.worked_out("wire", Wire, ("knowledge/wire.toml", "catalog/wire.py"), _shipped)


def _shipped() -> Wire:
    text = (resources.files("tidewaiter") / "knowledge" / "wire.toml").read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=Wire)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KnowledgeError("wire.toml", "file", str(error)) from None


@functools.lru_cache(maxsize=4_096)
def client_of(user_agent: str) -> Client | None:
    """The known program that a User-Agent names: a browser's both begins and holds what it says, others do one of them."""
    text = user_agent.strip().lower()
    for client in load().client:
        begins, holds = text.startswith(client.begins), any(part in text for part in client.holds)
        if (begins and holds) if client.browser else (begins or holds):
            return client
    return None


@functools.lru_cache(maxsize=4_096)
def content_of(seen: str) -> Content | None:
    """What content is, by its magic text or MIME type as the sensor gives it."""
    text = seen.strip()
    mime = text.split(";", 1)[0].strip().lower()
    for content in load().content:
        if text.startswith(content.magic) or mime in content.mime:
            return content
    return next((one for one in load().content if one.kind == "script" and _named(text, one)), None)


def _named(text: str, content: Content) -> bool:
    """Whether magic text such as `a /usr/bin/perl script, ASCII text executable` names a script further on."""
    return "script" in text and any(magic in text[:120] for magic in content.magic)
