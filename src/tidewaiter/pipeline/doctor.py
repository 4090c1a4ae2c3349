"""What the given logs can and cannot show, and which setting would show it: the diagnosis of a survey.

Nothing here reads a log. Stages, utilities and settings are those of knowledge/sensors.toml, the coverage is that of
knowledge/attack.toml. A network sensor speaks for every host whose logs are of the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from tidewaiter.catalog import attack, sensors, utilities
from tidewaiter.catalog.sensors import PLATFORMS, Sensors, Setting, Visibility
from tidewaiter.pipeline.inputs import Unreadable
from tidewaiter.pipeline.survey import NETWORK, Sight, Survey
from tidewaiter.schema.account import Account
from tidewaiter.schema.moments import render_time

HELD_BY_NEARLY_ALL = 0.9
"""Share of events that must hold a command line or hash for the whole kind to count as such."""
NAMED = 12
"""Utilities and unread inputs that are named; all are counted."""
Coverage = Literal["covered", "partly", "not", "no_logs"]


class LogKind(msgspec.Struct, kw_only=True):
    """Events of one kind of one log source: how many, and how many of them hold a command line or a hash."""

    log_source: str
    kind: str
    events: int
    held: dict[str, int] = {}


class GroupView(msgspec.Struct, kw_only=True):
    """Whether a group of utilities can be seen; `names` are some of the `utilities` in it."""

    id: str
    says: str
    state: Visibility
    utilities: int
    names: list[str]


class HostView(msgspec.Struct, kw_only=True):
    """One host: what its logs hold, and what they can show."""

    host: str
    platform: str
    first: str | None
    last: str | None
    events: int
    logs: list[LogKind]
    stages: dict[str, Visibility]
    utilities: list[GroupView]
    settings: list[str]  # ids of settings that would show more


class Advice(msgspec.Struct, kw_only=True):
    """A setting that would show more: on how many hosts, and what."""

    id: str
    platform: str
    sensor: str
    title: str
    how: str
    configuration: str | None  # what `tidewaiter sensors` prints of it, by name
    hosts: int
    shows: list[str]


class PlatformView(msgspec.Struct, kw_only=True):
    """One platform: its hosts in the evidence, and per stage the state of the best and the worst of them."""

    platform: str
    hosts: int
    stages: dict[str, Visibility]


class ComponentView(msgspec.Struct, kw_only=True):
    """A data component of ATT&CK."""

    id: str
    name: str
    state: Coverage


class AnalyticView(msgspec.Struct, kw_only=True):
    """An analytic of the detection strategy, covered as far as its data components are."""

    id: str
    platform: str
    says: str
    state: Coverage
    components: list[ComponentView]


class Diagnosis(msgspec.Struct, kw_only=True):
    """Everything that `tidewaiter doctor` says."""

    inputs: dict[str, int]  # how many were recognised as what
    unread: int
    unread_named: list[str]
    network: list[LogKind]
    network_first: str | None
    network_last: str | None
    platforms: list[PlatformView]
    stages: dict[str, Visibility]
    hosts: list[HostView]
    settings: list[Advice]
    strategy: str
    analytics: list[AnalyticView]
    components: list[ComponentView]


class Seen:
    """What is there of one host or of the network."""

    def __init__(self, found: Mapping[str, Sight]) -> None:
        self.markers = dict(found)
        total = Sight()
        for marker, sight in found.items():
            if marker.count(":") == 1:
                total.add(sight)
        self.total = total
        self.kinds = set(self._kinds())

    def _kinds(self) -> Iterator[str]:
        """Kinds of event; one that only some events hold counts where nearly all do."""
        for marker, sight in self.markers.items():
            log_source, _, kind = marker.partition(":")
            whole = self.markers[f"{log_source}:{kind.split(':')[0]}"].events
            if ":" not in kind or sight.events >= HELD_BY_NEARLY_ALL * whole:
                yield kind

    def holds(self, marker: str) -> bool:
        """Whether events that count as such are there."""
        sight = self.markers.get(marker)
        base = self.markers.get(":".join(marker.split(":")[:2]))
        return sight is not None and base is not None and sight.events >= HELD_BY_NEARLY_ALL * base.events

    def logs(self) -> list[LogKind]:
        """What is there, for showing."""
        found: dict[tuple[str, str], LogKind] = {}
        for marker, sight in sorted(self.markers.items(), key=lambda pair: (pair[0].count(":"), pair[0])):
            log_source, kind, *held = marker.split(":")
            if not held:
                found[log_source, kind] = LogKind(log_source=log_source, kind=kind, events=sight.events)
            else:
                found[log_source, kind].held[held[0]] = sight.events
        return list(found.values())

    def overlaps(self, other: Seen) -> bool:
        """Whether the two are of the same time; what has no time speaks for all."""
        if self.total.first is None or self.total.last is None or other.total.first is None or other.total.last is None:
            return True
        return self.total.first <= other.total.last and other.total.first <= self.total.last


def diagnose(
    survey: Survey, names: Mapping[str, str], accounts: Iterable[Account], unreadable: Iterable[Unreadable]
) -> Diagnosis:
    """The diagnosis of what readers counted; `names` are host keys with the name as logs spell it."""
    known = sensors.load()
    network = Seen(survey.hosts.get(NETWORK, {}))
    hosts: list[tuple[HostView, Seen]] = []
    for key, found in sorted(survey.hosts.items()):
        if key != NETWORK:
            seen = Seen(found)
            hosts.append((_host(names.get(key, key), seen, network, known), seen))
    unread = list(unreadable)
    analytics, components = _coverage(hosts, network)
    return Diagnosis(
        inputs=_counted(account.recognised_as or "unknown" for account in accounts),
        unread=len(unread),
        unread_named=[f"{one.log_file}: {one.problem}" for one in unread[:NAMED]],
        network=network.logs(),
        network_first=render_time(network.total.first) if network.total.first else None,
        network_last=render_time(network.total.last) if network.total.last else None,
        platforms=[_platform(platform, hosts, network, known) for platform in PLATFORMS],
        stages=_overall([view.stages for view, _ in hosts] or [_stages(network.kinds, known)]),
        hosts=[view for view, _ in hosts],
        settings=_advice(hosts, network, known),
        strategy=attack.load().strategy.id,
        analytics=analytics,
        components=components,
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    """The most frequent first; the order of reading has no say."""
    return dict(sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])))


# ---------------------------------------------------------------------- one host
def _host(name: str, seen: Seen, network: Seen, known: Sensors) -> HostView:
    platform = _platform_of(seen, known)
    kinds = seen.kinds | (network.kinds if seen.overlaps(network) else set())
    groups = list(_groups(seen.kinds, platform, known))
    wanted = _wanted(kinds, platform, known)
    return HostView(
        host=name,
        platform=platform,
        first=render_time(seen.total.first) if seen.total.first else None,
        last=render_time(seen.total.last) if seen.total.last else None,
        events=seen.total.events,
        logs=seen.logs(),
        stages=_stages(kinds, known),
        utilities=groups,
        settings=[one.id for one in _missing(seen, platform, wanted, known)],
    )


def _platform_of(seen: Seen, known: Sensors) -> str:
    """The platform of most of a host's events; "unknown" where no log source tells."""
    counted: Counter[str] = Counter()
    for marker, sight in seen.markers.items():
        counted[known.platform_of(marker.split(":", 1)[0])] += sight.events
    for name, _ in counted.most_common():
        if name in PLATFORMS:
            return name
    return "unknown"


def _stages(kinds: set[str], known: Sensors) -> dict[str, Visibility]:
    return {stage.name: stage.by(kinds) for stage in known.stage}


def _groups(kinds: set[str], platform: str, known: Sensors) -> Iterator[GroupView]:
    catalog = utilities.load()
    spelled = {one.name: one.names[0] for one in catalog.utilities}
    for group in known.utilities:
        if platform in group.platforms:
            members = known.names(group, platform, catalog)
            shown = sorted((spelled[name] for name in members), key=lambda name: ":" in name)[:NAMED]
            state = group.by(kinds)
            yield GroupView(id=group.id, says=group.says, state=state, utilities=len(members), names=shown)


def _wanted(kinds: set[str], platform: str, known: Sensors) -> dict[str, list[str]]:
    """Kind of event -> the stages and groups of utilities that it would show better than they are."""
    wanted: dict[str, list[str]] = {}
    for stage in known.stage:
        if stage.by(kinds) != "visible":
            for kind in _useful(stage, kinds):
                wanted.setdefault(kind, []).append(stage.name)
    for group in known.utilities:
        if platform in group.platforms and group.by(kinds) != "visible":
            for kind in _useful(group, kinds):
                wanted.setdefault(kind, []).append(group.id)
    return wanted


def _useful(shown: sensors.Shown, kinds: set[str]) -> set[str]:
    """Kinds that would raise the state: those that show it wholly, and where nothing shows it yet, those that do partly."""
    return (shown.needs() | (set(shown.partly) if shown.by(kinds) == "not_visible" else set())) - kinds


def _missing(seen: Seen, platform: str, wanted: Mapping[str, list[str]], known: Sensors) -> Iterator[Setting]:
    """The settings of a platform that are not at work and would give something wanted."""
    useful = [
        one
        for one in known.setting
        if one.platform == platform and not any(map(seen.holds, one.gives)) and any(kind in wanted for kind in one.kinds)
    ]
    offered = {one.id for one in useful}
    yield from (one for one in useful if not offered & set(one.instead) or one.id == _cheaper(one, seen))


def _cheaper(one: Setting, seen: Seen) -> str | None:
    """A setting that only adds to what is logged already is worth naming beside the one that is to be preferred."""
    bases = {":".join(marker.split(":")[:2]) for marker in one.gives if marker.count(":") > 1}
    return one.id if any(base in seen.markers for base in bases) else None


# ------------------------------------------------------------------- all together
def _overall(several: list[dict[str, Visibility]]) -> dict[str, Visibility]:
    """A stage is visible where it is on every host, not visible where it is on none."""
    told: dict[str, Visibility] = {}
    for name in several[0] if several else ():
        states = {one[name] for one in several}
        told[name] = next(iter(states)) if len(states) == 1 else "partly"
    return told


def _platform(platform: str, hosts: list[tuple[HostView, Seen]], network: Seen, known: Sensors) -> PlatformView:
    views = [view for view, _ in hosts if view.platform == platform]
    if platform == "network":
        stages = _stages(network.kinds, known)
        return PlatformView(platform=platform, hosts=0, stages=stages if network.total.events else {})
    return PlatformView(platform=platform, hosts=len(views), stages=_overall([view.stages for view in views]))


def _advice(hosts: list[tuple[HostView, Seen]], network: Seen, known: Sensors) -> list[Advice]:
    """Every setting that would show more, those that help most hosts and most stages first."""
    count: Counter[str] = Counter()
    shows: dict[str, dict[str, None]] = {}
    by_id = {one.id: one for one in known.setting}
    for view, seen in hosts:
        wanted = _wanted(seen.kinds | (network.kinds if seen.overlaps(network) else set()), view.platform, known)
        for name in view.settings:
            count[name] += 1
            told = [what for kind in by_id[name].kinds for what in wanted.get(kind, ())]
            shows.setdefault(name, {}).update(dict.fromkeys(told))
    for one, what in _network_advice(network, known):
        shows.setdefault(one.id, {}).update(dict.fromkeys(what))
    order = sorted(shows, key=lambda name: (-len(shows[name]), -count[name], name))
    return [
        Advice(
            id=name,
            platform=by_id[name].platform,
            sensor=by_id[name].sensor,
            title=by_id[name].title,
            how=by_id[name].how,
            configuration=by_id[name].configuration,
            hosts=count[name],
            shows=list(shows[name]),
        )
        for name in order
    ]


def _network_advice(network: Seen, known: Sensors) -> Iterator[tuple[Setting, list[str]]]:
    """Settings of the network's sensors: of those that are there, or of all where none that is there could show it."""
    carried = next(stage for stage in known.stage if stage.name == "carried")
    wanted: dict[str, str] = (
        {} if carried.by(network.kinds) == "visible" else dict.fromkeys(_useful(carried, network.kinds), "carried")
    )
    wanted |= {} if "flow" in network.kinds else {"flow": "Network Traffic Flow"}
    present = {marker.split(":", 1)[0] for marker in network.markers}
    for kind, what in sorted(wanted.items()):
        able = [one for one in known.setting if one.platform == "network" and kind in one.kinds]
        here = [one for one in able if present & {marker.split(":", 1)[0] for marker in one.gives}]
        for one in here or able:
            if not any(map(network.holds, one.gives)):
                yield one, [what]


# ------------------------------------------------------------------------ ATT&CK
def _coverage(hosts: list[tuple[HostView, Seen]], network: Seen) -> tuple[list[AnalyticView], list[ComponentView]]:
    """The analytics by platform, and the data components over everything."""
    known = attack.load()
    analytics = []
    for one in known.analytic:
        several = [
            (seen.kinds, network.kinds if seen.overlaps(network) else set())
            for view, seen in hosts
            if view.platform == one.platform
        ]
        if one.platform == "network" and network.markers:
            several = [(set(), network.kinds)]
        views = [_component(known.component_of(name), several) for name in one.components]
        states = {view.state for view in views}
        state: Coverage = next(iter(states)) if len(states) == 1 else "partly"
        analytics.append(AnalyticView(id=one.id, platform=one.platform, says=one.says, state=state, components=views))
    everything = [(seen.kinds, network.kinds if seen.overlaps(network) else set()) for _, seen in hosts]
    everything = everything or ([(set(), network.kinds)] if network.markers else [])
    return analytics, [_component(one, everything) for one in known.component]


def _component(component: attack.Component, several: list[tuple[set[str], set[str]]]) -> ComponentView:
    """Covered where every host has it, not where none has any of it. A host's own requests are not the network's flows."""
    states: set[Coverage] = set()
    for own, wire in several:
        kinds = own | wire
        states.add("covered" if kinds & component.kinds else "partly" if kinds & component.partly else "not")
    state: Coverage = "no_logs" if not states else next(iter(states)) if len(states) == 1 else "partly"
    return ComponentView(id=component.id, name=component.name, state=state)
