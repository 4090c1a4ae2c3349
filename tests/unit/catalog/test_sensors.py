"""The knowledge about sensors agrees with what the program reads and with what correlation says is visible."""

from __future__ import annotations

from importlib import resources

import pytest

from tidewaiter.catalog import attack, sensors, utilities
from tidewaiter.catalog.sensors import Shown
from tidewaiter.correlation.assemble import _SHOWN_BY
from tidewaiter.errors import KnowledgeError
from tidewaiter.log_source import REGISTER
from tidewaiter.schema.event import EventKind
from tidewaiter.schema.transfer import STAGES

KNOWN = sensors.load()
KINDS = {kind.value for kind in EventKind}


def plain(kind: str) -> set[str]:
    """The kinds of event in `file_create+connection` or `process_start:command_line`."""
    return {part.split(":")[0] for part in kind.split("+")}


def test_every_platform_has_log_sources() -> None:
    found = {KNOWN.platform_of(entry.name) for entry in REGISTER}

    assert found == {"windows", "linux", "macos", "esxi", "any"}
    assert KNOWN.platform_of("linux_auditd") == "linux"
    assert KNOWN.platform_of("zeek") == "any"


def test_every_stage_is_there_and_shown_by_what_correlation_says() -> None:
    assert tuple(stage.name for stage in KNOWN.stage) == STAGES
    for stage in KNOWN.stage:
        shown = {part for kind in (*stage.kinds, *stage.partly) for part in (kind, *plain(kind))}
        assert _SHOWN_BY[stage.name] <= shown, stage.name


def test_only_kinds_of_event_are_named() -> None:
    lists = [(*one.kinds, *one.partly) for one in (*KNOWN.stage, *KNOWN.utilities)] + [one.kinds for one in KNOWN.setting]
    lists += [tuple(kind for component in attack.load().component for kind in component.kinds | component.partly)]

    assert {kind for kinds in lists for one in kinds for kind in plain(one)} - KINDS == set()


def test_settings_give_what_log_sources_make() -> None:
    sources = {entry.name for entry in REGISTER}
    for setting in KNOWN.setting:
        for marker in setting.gives:
            log_source, kind, *_ = marker.split(":")
            assert log_source in sources, marker
            assert kind in KINDS, marker
            assert kind in {part for one in setting.kinds for part in plain(one)}, marker


def test_every_kind_that_shows_something_wholly_has_a_setting() -> None:
    given = {kind for setting in KNOWN.setting for kind in setting.kinds}

    assert {kind for one in (*KNOWN.stage, *KNOWN.utilities) for kind in one.needs()} - given == set()


def test_every_utility_of_a_platform_is_in_a_group() -> None:
    catalog = utilities.load()
    for platform in ("windows", "linux", "macos", "esxi"):
        groups = [group for group in KNOWN.utilities if platform in group.platforms]
        named = {name for group in groups for name in KNOWN.names(group, platform, catalog)}
        assert named >= {one.name for one in catalog.utilities if platform in one.platforms}


def test_a_group_names_only_utilities_that_are_there() -> None:
    names = {one.name for one in utilities.load().utilities}

    assert {name for group in KNOWN.utilities for name in group.members} - names == set()


@pytest.mark.parametrize(
    ("kinds", "state"),
    [({"a"}, "partly"), ({"a", "b"}, "visible"), ({"c"}, "visible"), ({"b"}, "not_visible"), (set(), "not_visible")],
)
def test_two_kinds_may_be_needed_together(kinds: set[str], state: str) -> None:
    assert Shown(kinds=("a+b", "c"), partly=("a",)).by(kinds) == state


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('id = "sysmon-1"\nplatform = "windows"', 'id = "sysmon-1"\nplatform = "amiga"', "amiga"),
        ('instead = ["sysmon-1"]', 'instead = ["sysmon-99"]', "sysmon-99"),
        ("[platforms]", "[plattforms]", "plattforms"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(before: str, after: str, says: str) -> None:
    text = (resources.files("tidewaiter") / "knowledge" / "sensors.toml").read_text(encoding="utf-8")

    with pytest.raises(KnowledgeError, match=says):
        sensors.parse(text.replace(before, after, 1), "sensors.toml")
