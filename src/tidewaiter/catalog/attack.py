"""Typed, frozen reader of knowledge/attack.toml: what ATT&CK calls what a transfer shows, and who else did so."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.catalog.places import below
from tidewaiter.catalog.roles import file_type
from tidewaiter.errors import KnowledgeError
from tidewaiter.schema.transfer import Transfer

LINK = "https://attack.mitre.org/"
"""Where ATT&CK describes its objects; only shown, never contacted."""
_KINDS = {"G": "group", "C": "campaign", "S": "software"}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Strategy(_Table, frozen=True):
    """A detection strategy."""

    id: str
    name: str
    technique: str


class PlatformAnalytic(_Table, frozen=True):
    """What the strategy looks for on one platform, and the data components that it needs."""

    id: str
    platform: str
    says: str
    components: tuple[str, ...]


class Component(_Table, frozen=True):
    """A data component: the kinds of event that give it, and those that give a part of it."""

    id: str
    name: str
    source: str  # the classic data source that it belonged to
    kinds: frozenset[str]
    partly: frozenset[str] = frozenset()


class Mitigation(_Table, frozen=True):
    """A mitigation that ATT&CK lists for T1105."""

    id: str
    name: str


class Shows(_Table, frozen=True):
    """Circumstances that show a technique: every one that is given must hold, by any of its members."""

    technique: str
    programs: frozenset[str] = frozenset()  # the utility, the asking program, or what runs the content
    utilities: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    dest: tuple[str, ...] = ()  # parts of the landing path in comparison form
    words: tuple[str, ...] = ()  # parts of the command line in lower case


class Procedure(_Table, frozen=True):
    """A way of bringing files in, and the groups, campaigns and software that ATT&CK documents for it, by any sign."""

    says: str
    by: tuple[str, ...]
    utilities: frozenset[str] = frozenset()
    techniques: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    def is_that_of(self, transfer: Transfer) -> bool:
        """Whether a transfer went this way."""
        return (
            transfer.utility in self.utilities
            or transfer.protocol in self.protocols
            or not self.techniques.isdisjoint(transfer.techniques)
            or file_type(transfer.file.name) in self.types
            or below(transfer.src.hostname, self.domains) is not None
        )


class Attack(_Table, frozen=True):
    """Everything of knowledge/attack.toml."""

    strategy: Strategy
    analytic: tuple[PlatformAnalytic, ...]
    component: tuple[Component, ...]
    mitigation: tuple[Mitigation, ...]
    shows: tuple[Shows, ...]
    techniques: Mapping[str, str]
    names: Mapping[str, str]
    procedure: tuple[Procedure, ...]

    def component_of(self, identity: str) -> Component:
        """The data component of that id."""
        return next(one for one in self.component if one.id == identity)

    def without_parents(self, techniques: Iterable[str]) -> list[str]:
        """Each technique once, in order; one is left out where a sub-technique of it is there."""
        known = list(dict.fromkeys(techniques))
        parents = {one.split(".")[0] for one in known if "." in one}
        return [one for one in known if one not in parents]


class Named(msgspec.Struct, frozen=True):
    """An object of ATT&CK: id, name, and what it is where that is not plain."""

    id: str
    name: str
    kind: str = ""


class Documented(msgspec.Struct, frozen=True):
    """A procedure and those whom ATT&CK documents for it."""

    procedure: str
    by: tuple[Named, ...]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What ATT&CK says around one transfer. Context for a reader, never attribution."""

    techniques: tuple[Named, ...]
    strategy: Named | None
    analytics: tuple[Named, ...]
    components: tuple[Named, ...]  # data components that its evidence gives
    documented: tuple[Documented, ...]
    mitigations: tuple[Named, ...]


_STAGE_COMPONENTS = {
    "commanded": ("DC0032", "DC0064"),
    "connected": ("DC0082", "DC0078"),
    "carried": ("DC0085",),
    "landed": ("DC0039",),
}


def context(transfer: Transfer) -> Context:
    """The techniques by name, the analytics and data components that apply, and who else is documented for the procedure."""
    attack = load()
    platforms = set(_platforms(transfer))
    ingress = attack.strategy.technique in transfer.techniques
    seen = {name for name, record in transfer.stages.items() if record.state == "seen"}
    components = dict.fromkeys(one for stage in _STAGE_COMPONENTS if stage in seen for one in _STAGE_COMPONENTS[stage])
    return Context(
        techniques=tuple(Named(one, attack.techniques.get(one, "")) for one in transfer.techniques),
        strategy=Named(attack.strategy.id, attack.strategy.name) if ingress else None,
        analytics=tuple(
            Named(one.id, one.says, one.platform) for one in attack.analytic if ingress and one.platform in platforms
        ),
        components=tuple(Named(one, attack.component_of(one).name) for one in components),
        documented=tuple(
            Documented(one.says, tuple(Named(by, attack.names[by], _KINDS[by[0]]) for by in one.by))
            for one in attack.procedure
            if one.is_that_of(transfer)
        ),
        mitigations=tuple(Named(one.id, one.name) for one in attack.mitigation),
    )


def _platforms(transfer: Transfer) -> Iterator[str]:
    """The platforms whose logs gave evidence; what the wire alone shows is of no platform."""
    for row in transfer.evidence:
        platform = row.log_source.split("_", 1)[0]
        if platform in ("windows", "linux", "macos", "esxi"):
            yield platform


def parse(text: str, file: str) -> Attack:
    """The knowledge of a TOML text; raises KnowledgeError with file and place, also where an id is named that is not there."""
    try:
        attack = msgspec.toml.decode(text, type=Attack)
    except msgspec.DecodeError as error:
        problem, _, place = str(error).partition(" - at ")
        raise KnowledgeError(file, place.strip("`") or "file", problem) from None
    components = {one.id for one in attack.component}
    for analytic in attack.analytic:
        if missing := set(analytic.components) - components:
            raise KnowledgeError(file, analytic.id, f"names {', '.join(sorted(missing))}, which is no component here")
    for shows in attack.shows:
        if shows.technique not in attack.techniques:
            raise KnowledgeError(file, "shows", f"names {shows.technique}, which has no name here")
    for procedure in attack.procedure:
        if missing := {one for one in procedure.by if one not in attack.names or one[0] not in _KINDS}:
            raise KnowledgeError(file, procedure.says, f"names {', '.join(sorted(missing))}, which has no name here")
    return attack


@functools.cache
def load() -> Attack:
    """The shipped knowledge; raises KnowledgeError when the file is wrong."""
    return kept.worked_out("attack", Attack, ("knowledge/attack.toml", "catalog/attack.py"), _shipped)


def _shipped() -> Attack:
    file = resources.files("tidewaiter") / "knowledge" / "attack.toml"
    return parse(file.read_text(encoding="utf-8"), file.name)
