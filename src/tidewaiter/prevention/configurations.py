"""Renders the configurations of knowledge/sensors/: each part says in comments what it shows and what it costs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from tidewaiter.catalog import attack, sensors
from tidewaiter.catalog.sensor_files import Part, SensorFile, load, text_of
from tidewaiter.errors import UsageError

WIDTH = 110
"""Columns of a comment, its mark included."""
_PLACE = re.compile(r"^(.*?)@(about|part [a-z_]+)@$")
_BASIS = {"measured": "measured", "estimate": "an estimate"}


def names() -> list[str]:
    """The names of the configurations, in the order of the file."""
    return [one.name for one in load()]


def named(name: str) -> SensorFile:
    """The configuration of that name. Raises UsageError where there is none, with the names that are there."""
    for one in load():
        if one.name == name:
            return one
    raise UsageError(f"no configuration is called {name!r}; there are {', '.join(names())}")


def render(sensor: SensorFile, program: str = "/usr/bin/tidewaiter") -> str:
    """The configuration, ready to be used. `program` is the absolute path that a service starts."""
    lines: list[str] = []
    parts = {part.id: part for part in sensor.part}
    for line in text_of(sensor).splitlines():
        place = _PLACE.match(line)
        if place is None:
            lines.append(line.replace("@program@", program))
        elif place[2] == "about":
            lines += _comment(_about(sensor), place[1])
        else:
            lines += _comment(_described(parts[place[2].removeprefix("part ")]), place[1])
    return "\n".join(lines) + "\n"


def stages(part: Part) -> tuple[list[str], list[str]]:
    """The stages that a part makes visible, and those that it shows in part, by what sensors.toml says of its kinds."""
    wholly: list[str] = []
    partly: list[str] = []
    for stage in sensors.load().stage:
        found = stage.by(_with_bases(part))
        (wholly if found == "visible" else partly if found == "partly" else []).append(stage.name)
    return wholly, partly


def stages_together(sensor: SensorFile) -> list[str]:
    """The stages that a configuration shows, all its parts together; those that it shows in part are in parentheses."""
    kinds = {kind for part in sensor.part for kind in _with_bases(part)}
    states = {stage.name: stage.by(kinds) for stage in sensors.load().stage}
    return [name if state == "visible" else f"({name})" for name, state in states.items() if state != "not_visible"]


def components(part: Part) -> list[str]:
    """The data components of ATT&CK that a part gives, as `DC0032 Process Creation`; in part only: with `(partly)`."""
    kinds = _with_bases(part)
    told = []
    for one in attack.load().component:
        if one.kinds & kinds:
            told.append(f"{one.id} {one.name}")
        elif one.partly & kinds:
            told.append(f"{one.id} {one.name} (partly)")
    return told


def cost(part: Part) -> str | None:
    """What a part costs, and whether that was measured."""
    return None if part.cost is None or part.basis is None else f"{part.cost} ({_BASIS[part.basis]})"


def _with_bases(part: Part) -> set[str]:
    """The kinds of a part; `process_start:command_line` is a `process_start` too."""
    return {*part.kinds, *(kind.split(":")[0] for kind in part.kinds)}


def shown(part: Part) -> str:
    """The stages in words."""
    wholly, partly = stages(part)
    told = [", ".join(wholly)] if wholly else []
    told += [f"in part: {', '.join(partly)}"] if partly else []
    return "; ".join(told) or "no stage by itself"


def _about(sensor: SensorFile) -> Iterator[str]:
    yield sensor.title
    yield ""
    yield f"Needs: {sensor.needs}"
    yield f"Put it at: {sensor.place}"
    yield from _listed("Load:", sensor.load)
    yield from _listed("Check:", sensor.check)
    yield from _listed("Undo:", sensor.undo)
    yield f"Then read: {sensor.logs}"
    for note in sensor.notes:
        yield f"Note: {note}"
    for one, why in sensor.left_out.items():
        yield f"Left out: {one}: {why}"


def _listed(head: str, commands: tuple[str, ...]) -> Iterator[str]:
    if commands:
        yield head
        yield from (f"    {command}" for command in commands)


def _described(part: Part) -> Iterator[str]:
    yield part.says
    if part.kinds:
        yield f"Shows: {shown(part)}. ATT&CK: {', '.join(components(part)) or 'no data component of DET0060'}."
    told = cost(part)
    if told is not None:
        yield f"Cost: {told}."


def _comment(paragraphs: Iterator[str], mark: str) -> Iterator[str]:
    """Comment lines. Commands (indented) are never broken: a broken command would be a wrong one."""
    for paragraph in paragraphs:
        if not paragraph or paragraph.startswith(" "):
            yield f"{mark}{paragraph}".rstrip()
            continue
        indent = "  " if ": " in paragraph[:12] else ""
        wrapper = textwrap.TextWrapper(WIDTH, break_long_words=False, break_on_hyphens=False)
        wrapper.initial_indent, wrapper.subsequent_indent = mark, mark + indent
        yield from wrapper.wrap(paragraph)
