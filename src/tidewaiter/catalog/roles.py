"""Typed, frozen reader of knowledge/roles.toml: kinds of programs, folders and file types."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError


class Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sets of base names (lower case, without .exe), of file types (without the dot) and of path parts; ports by program."""

    runners: frozenset[str]
    runners_of_all_words: frozenset[str]
    shell_copy_words: frozenset[str]
    wrapper_words: frozenset[str]
    code_options: frozenset[str]
    value_options: frozenset[str]
    raw_carriers: frozenset[str]
    script_readers: frozenset[str]
    extractors: frozenset[str]
    copiers: frozenset[str]
    checkers: frozenset[str]
    receivers: frozenset[str]
    browsers: frozenset[str]
    agents: frozenset[str]
    web_workers: frozenset[str]
    socket_shells: frozenset[str]
    office: frozenset[str]
    writers_of_executables: frozenset[str]
    unusual: frozenset[str]
    package_tools: frozenset[str]
    own_files: tuple[str, ...]
    system_files: tuple[str, ...]
    open_folders: tuple[str, ...]
    startup_folders: tuple[str, ...]
    web_roots: tuple[str, ...]
    executable_types: frozenset[str]
    script_types: frozenset[str]
    archive_types: frozenset[str]
    document_types: frozenset[str]
    file_suffixes: frozenset[str]
    receiver_ports: dict[str, tuple[int, ...]]
    receiver_listeners: dict[str, tuple[str, ...]]
    protocols: dict[str, str]


def any_part(path: str, parts: tuple[str, ...]) -> bool:
    """Whether a path in comparison form holds one of the parts, or ends in one that begins with a dot."""
    for part in parts:  # noqa: SIM110 - a loop costs less, and it is asked for every new file
        if part in path and (part[0] != "." or path.endswith(part)):
            return True
    return False


def file_type(path: str | None) -> str:
    """The extension in lower case without the dot; empty where there is none. Streams count by the stream's name."""
    if not path or "." not in path:
        return ""
    base = path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].strip().lower()
    return base.rsplit(".", 1)[-1] if "." in base.lstrip(".") else ""


def may_be_of_type(path: str | None, types: frozenset[str]) -> bool:
    """Whether `file_type` may be one of these: never too seldom, and several times as fast."""
    return path is not None and path.rpartition(".")[2].rstrip().lower() in types


def program_name(path: str | None) -> str:
    """Base name of a program in lower case without .exe."""
    if not path:
        return ""
    return _short_name(path) if len(path) < _SHORT else _name(path)


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].lower().removesuffix(".exe")


_SHORT = 256
_short_name = functools.lru_cache(maxsize=4_096)(_name)
"""The same few programs fill a log."""
_KNOWN = 4_096


class Among(dict[str | None, bool]):
    """A program as an event spells it -> whether its name is one of these. What was asked once is remembered, within bounds."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def __missing__(self, path: str | None) -> bool:
        answer = program_name(path) in self._names
        if len(self) >= _KNOWN:
            self.clear()
        if path is None or len(path) < _SHORT:
            self[path] = answer
        return answer


@functools.cache
def load() -> Roles:
    """The shipped roles; raises KnowledgeError when the file is wrong."""
    return kept.worked_out("roles", Roles, ("knowledge/roles.toml", "catalog/roles.py"), _shipped)


def _shipped() -> Roles:
    text = (resources.files("tidewaiter") / "knowledge" / "roles.toml").read_text(encoding="utf-8")
    try:
        return msgspec.toml.decode(text, type=Roles)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise KnowledgeError("roles.toml", "file", str(error)) from None
