"""Typed, frozen reader of knowledge/ports.toml: which protocol is expected on which server port."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from tidewaiter.errors import KnowledgeError


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Protocols by the names that sensors give, and their ports."""

    names: frozenset[str]
    ports: frozenset[int]


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A service that speaks a protocol on ports of its own."""

    protocol: str
    ports: frozenset[int]
    service: str


class Ports(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Expected ports, listed exceptions, and protocols by ports that nothing else uses."""

    protocol: tuple[Expected, ...]
    exception: tuple[Known, ...]
    by_port: dict[int, str]

    def expected(self, protocol: str | None, port: int | None) -> bool | None:
        """Whether a protocol is expected on a server port; None where no port is expected of it or either is unknown."""
        if protocol is None or port is None:
            return None
        for known in self.protocol:
            if protocol in known.names:
                return port in known.ports
        return None

    def listed(self, protocol: str | None, port: int | None) -> str | None:
        """The service that speaks the protocol on this port by rule, or None."""
        for known in self.exception:
            if protocol == known.protocol and port in known.ports:
                return known.service
        return None


@functools.cache
def load() -> Ports:
    """The shipped ports; raises KnowledgeError when the file is wrong."""
    text = (resources.files("tidewaiter") / "knowledge" / "ports.toml").read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=Ports, strict=False)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KnowledgeError("ports.toml", "file", str(error)) from None
