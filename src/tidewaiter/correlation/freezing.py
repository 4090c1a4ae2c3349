"""The state of a fold as JSON and back: what a live engine keeps, so that it can go on where it was.

A fold's state is a graph: a draft knows its process, the process its parent and its drafts. Each object is written once, as a
row of a table with its number, its type and the fields that differ from their defaults; whoever refers to it writes the number.
The rows stand in the order in which they were made. What belongs to one object alone, and is most of a state, stands where it
is used. The rows of what a host has thousands of are all their fields, with numbers in the place of other objects: they are
written without a look at each value. Nothing but the types named here is ever made from a state, whatever the text says.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from operator import attrgetter, itemgetter
from typing import Any, get_type_hints

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

VERSION = 4

_NODES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Draft, Waiting, Process, Processes, Flow, Command, RangedFile, Queries)
}
_LEAVES: dict[str, type[Any]] = {kind.__name__: kind for kind in (Action, Carried, Event, Evidence, Finding)}
_INNER: dict[str, type[Any]] = {kind.__name__: kind for kind in (Glimpse, Told)}
_SHAPED: tuple[type[msgspec.Struct], ...] = (Process, Draft)
"""What a host has thousands of."""
_NO_STATE = frozenset({"told"})
"""Fields of these that belong to the engine at work."""
_PLAIN = frozenset({str, int, float, bool, type(None)})


def frozen(state: dict[str, Any]) -> Iterator[bytes]:
    """The attributes of a fold by name as JSON, piece by piece: all of it at once would take a watch much memory.

    The state has to stay as it is until the last piece is made. Raises TypeError where it holds what no state may hold.
    """
    collects = gc.isenabled()
    gc.disable()  # much is made and nothing thrown away: looking for rubbish would take most of the time
    try:
        yield from _Writer().written(state)
    finally:
        if collects:
            gc.enable()


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


class _Shape:
    """How the objects of a type are written as rows of all their fields."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        hints = get_type_hints(kind, localns=dict.fromkeys(_NODES, int))
        self.names = [name for name in kind.__struct_fields__ if name not in _NO_STATE]
        self.values = attrgetter(*self.names)
        self.references = [place for place, name in enumerate(self.names) if _NODE_NAME.search(str(kind.__annotations__[name]))]
        self.row = msgspec.defstruct(f"{kind.__name__}Row", [(name, hints[name]) for name in self.names], array_like=True)
        self._needed = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
        self._kind = kind

    def blank(self) -> Any:
        """An object of the type, whose fields say nothing yet."""
        return self._kind(*[None] * self._needed)

    def thaw(self, told: Any, node: Any, objects: list[Any]) -> None:
        """Fill an object from its row. Raises msgspec.ValidationError, IndexError."""
        values = list(msgspec.structs.astuple(msgspec.convert(told, self.row)))
        for place in self.references:
            value = values[place]
            if value is not None:
                values[place] = [objects[number] for number in value] if isinstance(value, list) else objects[value]
        for name, value in zip(self.names, values, strict=True):
            setattr(node, name, value)


@functools.cache
def _shape(name: str) -> _Shape:
    return _Shape(_NODES[name])


_NODE_NAME = re.compile(rf"\b(?:{'|'.join(_NODES)})\b")
_ROWS_AT_ONCE = 500


class _Writer:
    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.held: list[Any] = []  # keeps what was numbered alive, so that no id is used twice
        self.rows: list[tuple[int, str, Any]] = []  # number, type and what is told of it, of some objects
        self.waiting: list[Any] = []
        self.fields: dict[type[Any], dict[str, Any]] = {}

    def written(self, state: dict[str, Any]) -> Iterator[bytes]:
        root = {name: self.value(value) for name, value in state.items()}
        yield b'{"version":%d,"root":%b,"objects":[' % (VERSION, msgspec.json.encode(root))
        comma = b""
        while self.waiting or self.rows:  # no recursion from object to object: chains of processes are long
            if self.waiting:
                node = self.waiting.pop()
                kind = type(node)
                told = self.shaped(node, _shape(kind.__name__)) if kind in _SHAPED else self.node(node)
                self.rows.append((self.numbers[id(node)], kind.__name__, told))
            if len(self.rows) >= _ROWS_AT_ONCE or not self.waiting:
                yield comma + msgspec.json.encode(self.rows)[1:-1]
                comma = b","
                self.rows.clear()
        yield b"]}"

    def shaped(self, node: Any, shape: _Shape) -> list[Any]:
        values = list(shape.values(node))
        for place in shape.references:
            value = values[place]
            if value is not None:
                values[place] = list(map(self.number, value)) if type(value) is list else self.number(value)
        return values

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
        return ["r", self.number(value)]

    def number(self, value: Any) -> int:
        """The place of an object in the table."""
        number = self.numbers.get(id(value))
        if number is None:
            name = type(value).__name__
            if _NODES.get(name) is not type(value) and _LEAVES.get(name) is not type(value):
                raise TypeError(f"a state holds a {name}, which cannot be kept")
            number = self.numbers[id(value)] = len(self.held)
            self.held.append(value)
            if name in _NODES:
                self.waiting.append(value)
            else:
                self.rows.append((number, name, value))
        return number


class _Reader:
    def __init__(self, rows: list[Any]) -> None:
        self.objects: list[Any] = []
        rows.sort(key=itemgetter(0))
        for place, (number, name, told) in enumerate(rows):
            if number != place:
                raise StateError(f"object {place} of a kept state is missing")
            if name in _NODES:
                kind = _NODES[name]
                self.objects.append(_shape(name).blank() if kind in _SHAPED else object.__new__(kind))
            else:
                self.objects.append(msgspec.convert(told, _LEAVES[name]))
        fresh: dict[str, Callable[[], dict[str, Any]]] = {
            name: lambda kind=kind: _defaults(kind)  # type: ignore[misc]  # a new container for each object
            for name, kind in _NODES.items()
            if dataclasses.is_dataclass(kind)
        }
        for (_, name, told), node in zip(rows, self.objects, strict=True):
            if name not in _NODES:
                continue
            if _NODES[name] in _SHAPED:
                _shape(name).thaw(told, node, self.objects)
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
