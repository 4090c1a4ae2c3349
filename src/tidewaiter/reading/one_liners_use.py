"""One call in a program text: its arguments by place or name, and the address that they spell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidewaiter.catalog.languages import Call
from tidewaiter.reading.one_liners_values import Value, readable

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_engine import Engine

_REMOTE = re.compile(r"(?i)(?:https?|ftps?|sftp|smb|tftp|webdavs?|davs?|scp|ssh2\.\w+)://|\\\\[\w.-]+[\\@]|//[\w.-]+/\w")


@dataclass(slots=True)
class Use:
    """One call: the function as a value, its positional and its named arguments."""

    engine: Engine
    spec: Call
    callee: Value
    args: list[Value]
    keys: dict[str, Value]

    @property
    def receiver(self) -> Value | None:
        """What the method belongs to."""
        return self.callee.receiver

    @property
    def everything(self) -> list[Value]:
        """All arguments, named ones too."""
        return [*self.args, *self.keys.values()]

    def pick(self, places: Sequence[str]) -> Value | None:
        """The first argument that stands at one of the places."""
        for place in places:
            found: Value | None = None
            if place == "receiver":
                found = self.receiver
            elif place.endswith("="):
                found = self._named(place[:-1])
            elif int(place) < len(self.args):
                found = self.args[int(place)]
            if found is not None:
                return found
        return None

    def _named(self, name: str) -> Value | None:
        if name in self.keys:
            return self.keys[name]
        for number, arg in enumerate(self.args):
            if name in arg.keys:
                return arg.keys[name]
            if arg.name == name and number + 1 < len(self.args):  # perl: PeerAddr, "host:port"
                return self.args[number + 1]
        return None

    def result(self, **changes: object) -> Value:
        """A new value that remembers which call made it."""
        return replace(Value(name=self.callee.name + "()"), **changes)  # type: ignore[arg-type]  # callers name fields of Value


def is_remote(text: str | None) -> bool:
    """Whether a text names a place on another host."""
    return text is not None and _REMOTE.match(text) is not None


def address(use: Use) -> tuple[str | None, bool]:
    """The URL of a fetch, and whether it is worth calling one."""
    value = use.pick(use.spec.url)
    if value is None:
        return (use.receiver.host if use.receiver is not None else None), not use.spec.remote_only
    if value.text is None and value.items:
        value = next((item for item in value.items if item.text is not None), value)
    text = value.text if value.text is not None else _from_keys(value.keys, use.spec.scheme)
    base = (use.receiver.host if use.receiver is not None else None) or value.host
    if text is None:
        return base, bool(base) or not use.spec.remote_only
    text = re.sub(r"^(?:script|scriptlet):", "", readable(text).strip(), flags=re.IGNORECASE)
    text = re.sub(r"^RETR\s+", "", text, flags=re.IGNORECASE)
    path = use.pick(use.spec.also) if use.spec.also else None
    if not is_remote(text) and path is not None and path.text is not None and path.text.startswith("/"):
        return f"{use.spec.scheme}://{text}{path.text}", True
    if base is not None and not is_remote(text):
        return base.rstrip("/") + "/" + text.lstrip("/"), True
    if re.match(r"(?i)(?:file|data|php|zip|phar|glob|node|blob):", text):
        return None, False
    return text, is_remote(text) or not use.spec.remote_only


def _from_keys(keys: dict[str, Value], scheme: str) -> str | None:
    """A URL given as an object: {url: ...} or {host: ..., port: ..., path: ...}."""
    for name in ("url", "uri", "href"):
        if name in keys and keys[name].text is not None:
            return keys[name].text
    host = next((keys[name].text for name in ("hostname", "host") if name in keys), None)
    if host is None:
        return None
    port = keys["port"].text if "port" in keys else None
    path = keys["path"].text if "path" in keys else "/"
    return f"{scheme}://{host}{':' + port if port else ''}{path or ''}"
