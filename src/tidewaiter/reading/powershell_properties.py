"""Properties of values: strings, arrays, hash tables, types and .NET objects."""

from __future__ import annotations

from tidewaiter.reading.powershell_nodes import Node
from tidewaiter.reading.powershell_operators import unknown
from tidewaiter.reading.powershell_static import static_property, stream_data
from tidewaiter.reading.powershell_streams import COMPRESSED, READERS, STREAMS, Streams
from tidewaiter.reading.powershell_text import METHODS
from tidewaiter.reading.powershell_values import Blend, Char, Instance, MethodRef, Table, TypeRef, Value, from_list, is_known

OWNER, MEMBER = "\0owner", "\0member"
ITSELF = {"value", "name", "path", "source", "definition", "content", "originalstring", "absoluteuri", "displayname"}
ITSELF |= {"fullname", "text", "psobject", "baseobject", "output", "result", "strings", "rawcontent", "responsetext"}
ITSELF |= {"innertext", "current"}


class Properties(Streams):
    """Properties, read and enumerated."""

    def property(self, target: Value, name: str, node: Node) -> Value:
        """The value of a property."""
        kind = type(target)
        if kind is TypeRef:
            return self.type_property(target, name)
        if kind is Instance:
            return self.instance_property(target, name, node)
        if name in ("length", "count", "longlength") and kind in (str, Char, list, bytes, Table):
            return len(target) if name == "length" or kind not in (str, Char) else 1
        if kind is Table:
            return self.table_property(target, name)
        if kind is MethodRef:
            return target.name if name == "name" else target
        if kind in (str, Char):
            return MethodRef(target, name) if name in METHODS else target if name in ITSELF else unknown()
        if kind is list:
            return self.list_property(target, name, node)
        if kind is Blend:
            if name == "length" and target.constant is not None:
                return len(target.constant)
            if name in ITSELF and not target.opaque:
                return target
            return MethodRef(target, name) if name in self.knowledge.types.methods else unknown(target)
        return target if name in ITSELF else unknown(target)

    def list_property(self, target: list[Value], name: str, node: Node) -> Value:
        """Member enumeration."""
        if name in ("psobject", "value", "syncroot"):
            return target
        if len(target) > 2_000 or not target:
            return unknown(target)
        return from_list([self.property(item, name, node) for item in target])

    def table_property(self, target: Table, name: str) -> Value:
        """A value by key, or the keys and values."""
        if name in target:
            return target[name]
        if name == "keys":
            return [target.spelled.get(key, key) for key in target]
        if name == "values":
            return list(target.values())
        return target if name == "psobject" else None if is_known(target) else unknown(target)

    def type_property(self, target: TypeRef, name: str) -> Value:
        """A static property; reflection on the type."""
        if name in ("fullname", "name"):
            return target.name if name == "fullname" else target.name.rpartition(".")[2]
        if name in ("assembly", "module", "psobject", "type", "basetype"):
            return target
        return static_property(target.name, name)

    def instance_property(self, target: Instance, name: str, node: Node) -> Value:
        """A property that was set, a sub-object, or a method without call."""
        if name in target.fields:
            return target.fields[name]
        if name in ("psobject", "baseobject", "psbase"):
            return target
        if name in ("methods", "members", "properties") and not target.type.startswith("com:"):
            known = self.knowledge.types.members.get(target.type)
            if known:
                return [MethodRef(target, member) for member in known]
            return Instance("psmembers", fields={OWNER: target})
        if target.type in STREAMS or target.type in COMPRESSED or target.type in READERS:
            data = stream_data(target)
            if name == "length" and type(data) is bytes:
                return len(data)
            return target if name == "basestream" else unknown(target)
        if target.type in ("system.net.webresponse", "system.net.httpwebrequest"):
            return Instance(target.type, self.spelled(node), content=target.content)
        return Instance(f"{target.type}.{name}", self.spelled(node), {OWNER: target, MEMBER: name}, target.content)
