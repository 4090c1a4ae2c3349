"""Typed, frozen reader of knowledge/sensors/: the configurations that `tidewaiter sensors` prints, and what each part shows."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.errors import KnowledgeError

_PLACE = re.compile(r"@part ([a-z_]+)@")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Part(_Table, frozen=True):
    """One part of a configuration: what it gives, the kinds of event that become of it, and what it costs."""

    id: str
    says: str
    kinds: tuple[str, ...] = ()  # as in sensors.toml; empty: a setting that only helps the others
    ids: tuple[str, ...] = ()  # event ids, system calls, logs or record types, in the sensor's words
    cost: str | None = None
    basis: Literal["measured", "estimate"] | None = None  # of the cost


class SensorFile(_Table, frozen=True):
    """One configuration: its text is `file` in the same folder."""

    name: str
    title: str
    platform: str
    file: str
    place: str
    needs: str
    load: tuple[str, ...]
    check: tuple[str, ...]
    undo: tuple[str, ...]
    logs: str  # what to give to the program then
    log_source: str | None = None
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}  # ids that are read but not turned on, and why
    part: tuple[Part, ...] = ()


class _Everything(_Table, frozen=True):
    """The whole file."""

    sensor: tuple[SensorFile, ...]


def parse(text: str, file: str) -> tuple[SensorFile, ...]:
    """The descriptions of a TOML text. Raises KnowledgeError with file and place."""
    try:
        found = msgspec.toml.decode(text, type=_Everything).sensor
    except msgspec.DecodeError as error:
        problem, _, place = str(error).partition(" - at ")
        raise KnowledgeError(file, place.strip("`") or "file", problem) from None
    for sensor in found:
        for part in sensor.part:
            if (part.cost is None) != (part.basis is None):
                raise KnowledgeError(file, f"{sensor.name}.{part.id}", "has a cost without its basis, or the reverse")
    return found


@functools.cache
def load() -> tuple[SensorFile, ...]:
    """The shipped descriptions, each with a text that has a place for each of its parts. Raises KnowledgeError."""
    found = parse(_read("index.toml"), "index.toml")
    for sensor in found:
        _agree(sensor, _PLACE.findall(text_of(sensor)))
    return found


def text_of(sensor: SensorFile) -> str:
    """The configuration with its places (`@about@`, `@part ID@`, `@program@`) still empty."""
    return _read(sensor.file)


def _agree(sensor: SensorFile, places: Iterable[str]) -> None:
    named, known = sorted(places), sorted(part.id for part in sensor.part)
    if named != known:
        odd = ", ".join(sorted(set(named) ^ set(known))) or "one of them twice"
        raise KnowledgeError(sensor.file, "file", f"its parts are not those of index.toml: {odd}")


def _read(name: str) -> str:
    return (resources.files("tidewaiter") / "knowledge" / "sensors" / name).read_text(encoding="utf-8")
