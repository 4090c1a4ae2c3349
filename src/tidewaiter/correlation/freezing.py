"""The state of a fold as JSON and back: what a live engine keeps, so that it can go on where it was.

A fold's state is a graph: a draft knows its process, the process its parent and its drafts. Each object is written once, as a
row of a table with its type and the fields that differ from their defaults; whoever refers to it writes its number. What
belongs to one object alone, and is most of a state, stands where it is used. Nothing but the types named here is ever made
from a state, whatever the text says.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec

from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.pending import Waiting
from tidewaiter.correlation.processes import Process, Processes, Told
from tidewaiter.correlation.wire_flow import Flow
from tidewaiter.correlation.wire_ftp import Command
from tidewaiter.correlation.wire_ranges import RangedFile
from tidewaiter.correlation.wire_tunnels import Queries
from tidewaiter.errors import StateError
from tidewaiter.schema.action import Action
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event
from tidewaiter.schema.finding import Evidence, Finding

VERSION = 2

_NODES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Draft, Waiting, Process, Processes, Flow, Command, RangedFile, Queries)
}
_LEAVES: dict[str, type[Any]] = {kind.__name__: kind for kind in (Action, Carried, Event, Evidence, Finding)}
_INNER: dict[str, type[Any]] = {kind.__name__: kind for kind in (Glimpse, Told)}
_PLAIN = frozenset({str, int, float, bool, type(None)})


def frozen(state: dict[str, Any]) -> bytes:
    """The attributes of a fold by name as JSON. Raises TypeError where one holds what no state may hold."""
    told = _Writer().written(state)
    parts = [b'{"version":%d,"root":%b,"objects":[' % (VERSION, msgspec.json.encode(told["root"])), *told.pop("objects"), b"]}"]
    if len(parts) > 2:  # commas stand between objects; all is joined once: it is large
        parts[:2], parts[-2:] = [parts[0] + bytes(parts[1])], [bytes(parts[-2]) + parts[-1]]
        return b",".join(parts)
    return b"".join(parts)


def thawed(data: bytes) -> dict[str, Any]:
    """The attributes again, with the same objects shared. Raises StateError where the text is no state of this version."""
    try:
        held = msgspec.json.decode(data)
        if held["version"] != VERSION:
            raise StateError(f"state of version {held['version']}, this program knows {VERSION}")
        return _Reader(held["objects"]).root(held["root"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StateError(f"a kept state cannot be read: {type(error).__name__}: {error}") from error


def _defaults(kind: type[Any]) -> dict[str, Any]:
    """Field -> its default; a fresh container for those that are made by a factory, a marker where there is none."""
    found = {}
    for one in dataclasses.fields(kind):
        if one.default is not dataclasses.MISSING:
            found[one.name] = one.default
        elif one.default_factory is not dataclasses.MISSING:
            found[one.name] = one.default_factory()
        else:
            found[one.name] = _NOTHING
    return found


_NOTHING: Any = object()


def _fields_of(kind: type[Any], sample: Any) -> dict[str, Any]:
    """The fields of an object of this type: a dataclass's, else its attributes, with defaults."""
    if dataclasses.is_dataclass(kind):
        return _defaults(kind)
    return dict.fromkeys(_attributes(sample), _NOTHING)


def _attributes(sample: Any) -> list[str]:
    names = list(getattr(sample, "__dict__", ()))
    for kind in type(sample).__mro__:
        names += [name for name in getattr(kind, "__slots__", ()) if name not in names and hasattr(sample, name)]
    return names


def _packed(row: list[Any]) -> msgspec.Raw:
    """A row as text at once: as objects, the rows of a busy host would take many times the memory."""
    return msgspec.Raw(msgspec.json.encode(row))


class _Writer:
    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.held: list[Any] = []  # keeps what was numbered alive, so that no id is used twice
        self.rows: list[Any] = []
        self.waiting: list[Any] = []
        self.fields: dict[type[Any], dict[str, Any]] = {}

    def written(self, state: dict[str, Any]) -> dict[str, Any]:
        root = {name: self.value(value) for name, value in state.items()}
        while self.waiting:  # no recursion from object to object: chains of processes are long
            node = self.waiting.pop()
            self.rows[self.numbers[id(node)]] = _packed([type(node).__name__, self.node(node)])
        return {"root": root, "objects": self.rows}

    def node(self, node: Any) -> dict[str, Any]:
        kind = type(node)
        fields = self.fields.get(kind)
        if fields is None:
            fields = self.fields[kind] = _fields_of(kind, node)
        told = {}
        for name, default in fields.items():
            value = getattr(node, name)
            if value is default:
                continue
            if type(value) in _PLAIN:
                told[name] = value
            elif type(value) is not type(default) or value != default:
                told[name] = self.value(value)
        return told

    def value(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is Glimpse or kind is Told:
            return ["i", kind.__name__, value]
        if kind in (list, tuple):
            return ["l" if kind is list else "t", *map(self.value, value)]
        if kind in (set, frozenset):
            return ["s" if kind is set else "f", *sorted(map(self.value, value), key=repr)]
        if kind in (dict, OrderedDict):
            return ["d" if kind is dict else "o", *([self.value(key), self.value(one)] for key, one in value.items())]
        if kind is deque:
            return ["q", value.maxlen, *map(self.value, value)]
        name = kind.__name__
        if _NODES.get(name) is not kind and _LEAVES.get(name) is not kind:
            raise TypeError(f"a state holds a {name}, which cannot be kept")
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.rows)
            self.held.append(value)
            if name in _NODES:
                self.rows.append(None)
                self.waiting.append(value)
            else:
                self.rows.append(_packed([name, value]))
        return ["r", number]


class _Reader:
    def __init__(self, rows: list[Any]) -> None:
        self.objects: list[Any] = []
        for name, told in rows:
            if name in _NODES:
                kind = _NODES[name]
                self.objects.append(object.__new__(kind))
            else:
                self.objects.append(msgspec.convert(told, _LEAVES[name]))
        fresh: dict[str, Callable[[], dict[str, Any]]] = {
            name: lambda kind=kind: _defaults(kind)  # type: ignore[misc]  # a new container for each object
            for name, kind in _NODES.items()
            if dataclasses.is_dataclass(kind)
        }
        for (name, told), node in zip(rows, self.objects, strict=True):
            if name not in _NODES:
                continue
            if name in fresh:
                for field, default in fresh[name]().items():
                    if field not in told:
                        if default is _NOTHING:
                            raise StateError(f"a kept state of {name} lacks {field}")
                        setattr(node, field, default)
            for field, value in told.items():
                setattr(node, field, self.value(value))

    def root(self, told: dict[str, Any]) -> dict[str, Any]:
        return {name: self.value(value) for name, value in told.items()}

    def value(self, told: Any) -> Any:
        if not isinstance(told, list):
            return told
        kind, rest = told[0], told[1:]
        if kind == "r":
            return self.objects[rest[0]]
        if kind == "i":
            return msgspec.convert(rest[1], _INNER[rest[0]])
        if kind == "q":
            return deque(map(self.value, rest[1:]), maxlen=rest[0])
        if kind in ("d", "o"):
            pairs = ((self.value(key), self.value(one)) for key, one in rest)
            return dict(pairs) if kind == "d" else OrderedDict(pairs)
        return _SEQUENCES[kind](map(self.value, rest))


_SEQUENCES: dict[str, Callable[[Any], Any]] = {"l": list, "t": tuple, "s": set, "f": frozenset}
