"""Typed, frozen reader of knowledge/sensors.toml: what logs can show, and which setting of which sensor makes them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.catalog.utilities import Catalog
from tidewaiter.errors import KnowledgeError

Visibility = Literal["visible", "partly", "not_visible"]
PLATFORMS = ("windows", "linux", "macos", "esxi", "network")
"""The platforms of ATT&CK's T1105."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Shown(_Table, frozen=True):
    """Kinds of event that show something, wholly or partly. A kind `a+b` needs both."""

    kinds: tuple[str, ...]
    partly: tuple[str, ...]

    def by(self, kinds: Collection[str]) -> Visibility:
        """How much of it events of these kinds show."""
        if any(all(part in kinds for part in kind.split("+")) for kind in self.kinds):
            return "visible"
        return "partly" if any(kind in kinds for kind in self.partly) else "not_visible"

    def needs(self) -> set[str]:
        """Every kind that would show it wholly."""
        return {part for kind in self.kinds for part in kind.split("+")}


class Stage(Shown, frozen=True):
    """One of the seven stages."""

    name: str


class UtilityGroup(Shown, frozen=True):
    """A way of bringing something in, with the utilities that go it."""

    id: str
    says: str
    platforms: tuple[str, ...]
    members: tuple[str, ...] = ()
    prefix: str | None = None  # utilities whose names begin so belong here too
    rest: bool = False


class Setting(_Table, frozen=True):
    """A setting of a sensor: what it gives (`log source:kind`), and which kinds that are."""

    id: str
    platform: str
    sensor: str
    title: str
    how: str
    gives: tuple[str, ...]
    kinds: tuple[str, ...]
    configuration: str | None = None  # what `tidewaiter sensors` prints of it, by name
    instead: tuple[str, ...] = ()  # settings that give the same and are to be preferred


class Sensors(_Table, frozen=True):
    """Everything of knowledge/sensors.toml."""

    platforms: Mapping[str, str]
    stage: tuple[Stage, ...]
    utilities: tuple[UtilityGroup, ...]
    setting: tuple[Setting, ...]

    def platform_of(self, log_source: str) -> str:
        """The platform of a log source; "any" where it says nothing of one."""
        return next((name for name, prefix in self.platforms.items() if log_source.startswith(prefix)), "any")

    def names(self, group: UtilityGroup, platform: str, catalog: Catalog) -> list[str]:
        """The utilities of a group that a platform has."""
        taken = {name for other in self.utilities if platform in other.platforms for name in self._own(other, catalog)}
        own = self._own(group, catalog)
        return [
            utility.name
            for utility in catalog.utilities
            if (utility.name in own or (group.rest and utility.name not in taken))
            and (platform in utility.platforms or "any" in utility.platforms)
        ]

    @staticmethod
    def _own(group: UtilityGroup, catalog: Catalog) -> set[str]:
        begun = (one.name for one in catalog.utilities if group.prefix is not None and one.name.startswith(group.prefix))
        return {*group.members, *begun}


def parse(text: str, file: str) -> Sensors:
    """The knowledge of a TOML text; raises KnowledgeError with file and place."""
    try:
        sensors = msgspec.toml.decode(text, type=Sensors)
    except msgspec.DecodeError as error:
        problem, _, place = str(error).partition(" - at ")
        raise KnowledgeError(file, place.strip("`") or "file", problem) from None
    known = {one.id for one in sensors.setting}
    for setting in sensors.setting:
        if setting.platform not in PLATFORMS:
            raise KnowledgeError(file, setting.id, f"names {setting.platform}, which is no platform")
        if missing := set(setting.instead) - known:
            raise KnowledgeError(file, setting.id, f"names {', '.join(sorted(missing))}, which is no setting")
    return sensors


@functools.cache
def load() -> Sensors:
    """The shipped knowledge; raises KnowledgeError when the file is wrong."""
    file = resources.files("tidewaiter") / "knowledge" / "sensors.toml"
    return parse(file.read_text(encoding="utf-8"), file.name)
