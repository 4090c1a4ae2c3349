"""Typed, frozen reader of knowledge/utilities/*.toml: one program, its option grammar, its forms and its examples.

The format is described in docs/adding/utility.md. An unknown key, role or selector is a KnowledgeError that names the file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError

Style = Literal["gnu", "windows", "single", "keyvalue", "powershell", "socat", "none"]
Platform = Literal["windows", "linux", "macos", "esxi", "network", "any"]
SinkKind = Literal["run", "extract", "write", "transform", "install", "view"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Target(_Table, frozen=True):
    """One candidate for the destination, used where all of `when` holds."""

    value: str
    when: tuple[str, ...] = ()


class Form(_Table, frozen=True):
    """One way of using the program. The first form whose conditions hold and whose sources exist is the reading."""

    id: str
    action: Literal["ingress", "lateral", "upload", "verify_hash", "portproxy", "package", "remote_execution", "benign"]
    verb: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    sourceless: bool = False  # the form holds without any source on the line
    to: tuple[Target | str, ...] = ()
    decoded: bool = False  # ingress only where a decoder takes the output: text in DNS answers
    bare: Literal["benign", "ingress"] = "benign"  # what it is when the content goes to standard output and no further
    runs: bool = False
    runs_when: tuple[str, ...] = ()
    memory: bool = False
    file: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    mount: str | None = None  # selector of the drive letter or folder at which the source becomes visible
    techniques: tuple[str, ...] = ()
    confidence: int = 90
    note: str = ""


class Sink(_Table, frozen=True):
    """What the program does with content that is piped or handed to it."""

    kind: SinkKind
    when: tuple[str, ...] = ()
    to: tuple[Target | str, ...] = ()
    passes: bool = False  # what it writes also goes on to standard output, as with tee
    content: tuple[str, ...] = ()  # argument words that may hold the content; empty: standard input, or any argument


class Code(_Table, frozen=True):
    """The program takes a script: in an argument, on standard input or from a file."""

    language: str  # bash, cmd, powershell, or a name in knowledge/languages/
    text: tuple[str, ...] = ()  # selectors of the script text; several values are joined by a space
    when: tuple[str, ...] = ()
    stdin: bool = False
    file: tuple[str, ...] = ()  # selectors of the script file, read where an earlier command of the same text wrote it
    remote: str | None = None  # selector of the host on which the script runs
    session: str | None = None  # selector of the peer, for languages of file-transfer sessions
    session_port: tuple[str, ...] = ()  # selectors of the peer's port; what is no number is none


class Wrap(_Table, frozen=True):
    """The program starts another one: sudo, timeout, xargs, start ..."""

    args: str = "args"  # selector of the inner command's words
    when: tuple[str, ...] = ()
    shell: str | None = None  # the words are joined and read as text of this shell
    remote: str | None = None  # selector of the host on which the inner command runs
    stdin: bool = False  # known words of standard input, or behind `:::`, join the inner words, as xargs and parallel do
    bare: Literal["benign", "ingress"] = "benign"  # "ingress": what the inner command only prints was still fetched on purpose


class Example(_Table, frozen=True):
    """A line and what must be read from it. CI proves each."""

    command: str
    platform: Platform
    label: Literal["ingress", "lateral", "upload", "verify_hash", "portproxy", "benign"]
    urls: tuple[str, ...] = ()
    dest: str | None = None
    runs: bool = False


class Utility(_Table, frozen=True):
    """One program that carries, checks, runs or wraps."""

    name: str
    summary: str
    names: tuple[str, ...]  # lower-case base names without .exe/.com
    platforms: tuple[Platform, ...] = ("any",)
    original_names: tuple[str, ...] = ()  # PE OriginalFileName, lower case
    style: Style = "gnu"
    strict_order: bool = False  # options end at the first positional argument
    strict_after: int = 0  # options end at this positional argument (2: `docker run IMAGE`)
    own_names: bool = False  # several programs of one grammar: each is shown by its own name
    carrier: bool = False  # its name is shown before that of the program it starts: "busybox wget"
    options: Mapping[str, str] = {}
    distinctive: tuple[str, ...] = ()  # conditions under which a renamed copy is recognised by its arguments alone
    form: tuple[Form, ...] = ()
    sink: tuple[Sink, ...] = ()
    code: tuple[Code, ...] = ()
    wrap: tuple[Wrap, ...] = ()
    example: tuple[Example, ...] = ()
    references: tuple[str, ...] = ()


class Option(msgspec.Struct, frozen=True):
    """One spelling of an option: the role it plays and whether it takes a value."""

    role: str
    value: Literal["none", "required", "attached"]


_SPELLING = re.compile(r"^(?P<name>\S+?)(?P<value>=|\[=\])?$")


def option_table(utility: Utility, file: str = "") -> dict[str, Option]:
    """Spelling -> option. `-o=` takes a value (attached or the next word), `-O[=]` only an attached one."""
    table: dict[str, Option] = {}
    for role, spellings in utility.options.items():
        for spelling in spellings.split():
            match = _SPELLING.match(spelling)
            if match is None:  # pragma: no cover - the pattern accepts any word
                raise KnowledgeError(file, f"options.{role}", f"cannot read {spelling!r}")
            kind: Literal["none", "required", "attached"] = (
                "required" if match["value"] == "=" else "attached" if match["value"] else "none"
            )
            name = match["name"]
            if name in table and table[name].role != role:
                raise KnowledgeError(file, f"options.{role}", f"{name} is also {table[name].role}")
            table[name] = Option(role, kind)
    return table


class Catalog:
    """All utilities, by name and by PE original name."""

    def __init__(self, utilities: tuple[Utility, ...]) -> None:
        self.utilities = utilities
        self.by_name: dict[str, list[Utility]] = {}
        self.by_original: dict[str, list[Utility]] = {}
        for utility in utilities:
            for name in utility.names:
                self.by_name.setdefault(name, []).append(utility)
            for name in utility.original_names:
                self.by_original.setdefault(name.removesuffix(".exe"), []).append(utility)
        self._tables: dict[str, dict[str, Option]] = {}
        self.distinctive = tuple(utility for utility in utilities if utility.distinctive)

    def named(self, program: str, platform: str) -> Utility | None:
        """The utility of that base name (lower case, without .exe), those of the platform first."""
        found = self.by_name.get(program) or []
        for utility in found:
            if platform in utility.platforms:
                return utility
        for utility in found:
            if "any" in utility.platforms:
                return utility
        return found[0] if found else None

    def candidates(self, program: str, platform: str) -> list[Utility]:
        """All utilities of that base name that a platform can have, those made for it first."""
        found = self.by_name.get(program) or []
        own = [utility for utility in found if platform in utility.platforms]
        own += [utility for utility in found if "any" in utility.platforms and utility not in own]
        return own or [utility for utility in found if utility.platforms != ("network",)]

    def original(self, name: str) -> Utility | None:
        """The utility whose PE OriginalFileName this is."""
        found = self.by_original.get(name.lower().removesuffix(".exe"))
        return found[0] if found else None

    def options(self, utility: Utility) -> dict[str, Option]:
        """The option table of a utility."""
        table = self._tables.get(utility.name)
        if table is None:
            table = self._tables[utility.name] = option_table(utility, utility.name)
        return table


def parse_utility(text: str, file: str) -> Utility:
    """One utility from TOML text; raises KnowledgeError with file and place."""
    try:
        utility = msgspec.toml.decode(text, type=Utility)
    except msgspec.DecodeError as error:
        message = str(error)
        place = message.rsplit(" - at ", 1)[-1] if " - at " in message else "file"
        raise KnowledgeError(file, place, message) from None
    option_table(utility, file)
    return utility


@functools.cache
def load() -> Catalog:
    """The shipped catalog. Raises KnowledgeError when a file is wrong or two utilities share a name."""
    sources = ("knowledge/utilities", "catalog/utilities.py")
    return Catalog(kept.worked_out("utilities", tuple[Utility, ...], sources, _shipped))


def _shipped() -> tuple[Utility, ...]:
    folder = resources.files("tidewaiter") / "knowledge" / "utilities"
    utilities: list[Utility] = []
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".toml"):
            utility = parse_utility(item.read_text(encoding="utf-8"), item.name)
            if utility.name != item.name.removesuffix(".toml"):
                raise KnowledgeError(item.name, "name", f"is {utility.name!r}; name the file {utility.name}.toml")
            utilities.append(utility)
    return tuple(utilities)
