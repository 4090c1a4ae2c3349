"""Typed, frozen reader of knowledge/powershell.toml: what the PowerShell reader knows by name.

An unknown key is a KnowledgeError that names the file and the place.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError

FILE = "powershell.toml"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Cmdlet(_Table, frozen=True):
    """The parameters of one cmdlet, lower case, those that win a tie of prefixes first."""

    values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    short: dict[str, str] = {}
    each: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


class Commands(_Table, frozen=True):
    """What holds for all cmdlets."""

    also_programs: tuple[str, ...]
    common_values: tuple[str, ...]
    common_switches: tuple[str, ...]
    common_short: dict[str, str]
    verbs: frozenset[str]
    transparent: frozenset[str]
    wildcards: tuple[str, ...]


class Pure(_Table, frozen=True):
    """Types whose members only compute."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]


class Construct(_Table, frozen=True):
    """Types by what making one means."""

    acts: frozenset[str]
    files: frozenset[str]
    opens: frozenset[str]
    passing: frozenset[str]


class Types(_Table, frozen=True):
    """.NET types by their names in scripts."""

    namespaces: frozenset[str]
    accelerators: dict[str, str]
    pure: Pure
    construct: Construct
    methods: dict[str, str]
    members: dict[str, tuple[str, ...]]


class Com(_Table, frozen=True):
    """COM classes: ProgIDs of the same class, class ids to ProgIDs."""

    same: dict[str, str]
    classes: dict[str, str]


class Variables(_Table, frozen=True):
    """Values of a default installation; the opaque ones stay as spelled where they are part of a text."""

    known: dict[str, str]
    spelled: dict[str, str]
    opaque: dict[str, str]


class HostParameter(_Table, frozen=True):
    """A parameter of powershell.exe: its name and the fewest characters that name it."""

    name: str
    least: int
    short: tuple[str, ...]


class Host(_Table, frozen=True):
    """The parameters of powershell.exe and pwsh."""

    encoded: HostParameter
    command: HostParameter
    file: HostParameter
    values: dict[str, int]
    short: dict[str, str]


class PowerShell(_Table, frozen=True):
    """The whole file."""

    aliases: dict[str, str]
    commands: Commands
    cmdlets: dict[str, Cmdlet]
    types: Types
    com: Com
    variables: Variables
    host: Host

    def parameter(self, cmdlet: str, spelled: str) -> tuple[str, bool] | None:
        """The full name of a parameter (any unambiguous or first-listed prefix) and whether it takes a value."""
        return _parameter(cmdlet, spelled.lower()[:64])

    def find_parameter(self, cmdlet: str, name: str) -> tuple[str, bool] | None:
        """What `parameter` remembers."""
        table = self.cmdlets.get(cmdlet)
        if table is not None:
            name = table.short.get(name, name)
            if name in table.values:
                return name, True
            if name in table.switches:
                return name, False
            for candidates, takes in ((table.values, True), (table.switches, False)):
                for candidate in candidates:
                    if candidate.startswith(name):
                        return candidate, takes
        commands = self.commands
        name = commands.common_short.get(name, name)
        for candidates, takes in ((commands.common_values, True), (commands.common_switches, False)):
            for candidate in candidates:
                if candidate == name or (table is not None and candidate.startswith(name)):
                    return candidate, takes
        return None

    def canonical_type(self, name: str) -> str:
        """The full lower-case name of a type as scripts spell it; arrays end in "[]"."""
        return _canonical_type(name[:200])

    def find_type(self, name: str) -> str:
        """What `canonical_type` remembers."""
        name = name.strip().lower().removeprefix("[").replace(" ", "")
        if name.endswith("]") and not name.endswith("[]"):
            name = name.removesuffix("]")
        name = name.partition(",")[0]
        array = name.endswith("[]")
        name = re.sub(r"`\d+|\[.*", "", name.removesuffix("[]"))
        full = self.types.accelerators.get(name)
        if full is None:
            full = name
            if not name.startswith("system.") and name.partition(".")[0] in self.types.namespaces:
                full = "system." + name
        return full + "[]" if array else full

    def com_class(self, name: str) -> str:
        """The canonical type name of a COM class by ProgID or class id: "com:msxml2.xmlhttp"."""
        name = name.strip().lower().removeprefix("new:")
        name = self.com.classes.get(name.strip("{}"), name)
        return "com:" + self.com.same.get(name, name)

    def is_pure(self, type_name: str) -> bool:
        """Whether calls of the type's members only compute."""
        return type_name in self.types.pure.exact or type_name.startswith(self.types.pure.prefixes)


@functools.lru_cache(4_096)
def _parameter(cmdlet: str, name: str) -> tuple[str, bool] | None:
    return load().find_parameter(cmdlet, name)


@functools.lru_cache(4_096)
def _canonical_type(name: str) -> str:
    return load().find_type(name)


@functools.cache
def load() -> PowerShell:
    """The knowledge file. Raises KnowledgeError where it is wrong."""
    return kept.worked_out("powershell", PowerShell, (f"knowledge/{FILE}", "catalog/powershell.py"), _shipped)


def _shipped() -> PowerShell:
    content = resources.files("tidewaiter.knowledge").joinpath(FILE).read_bytes()
    try:
        return msgspec.toml.decode(content, type=PowerShell)
    except msgspec.ValidationError as problem:
        raise KnowledgeError(FILE, str(problem).rpartition("`")[0].rpartition("`")[2], str(problem)) from problem
    except msgspec.DecodeError as problem:
        raise KnowledgeError(FILE, "its syntax", str(problem)) from problem
