"""Members of values: properties and methods of strings, arrays, .NET objects, COM objects and reflection."""

from __future__ import annotations

from tidewaiter.reading.powershell_nodes import Literal, Member, Node, Type, Variable
from tidewaiter.reading.powershell_operators import lift, unknown
from tidewaiter.reading.powershell_properties import MEMBER, OWNER, Properties
from tidewaiter.reading.powershell_static import static_call
from tidewaiter.reading.powershell_streams import COMPRESSED, READERS, STREAMS
from tidewaiter.reading.powershell_text import METHODS, string_method, whole, wildcard
from tidewaiter.reading.powershell_values import (
    Blend,
    Char,
    Closure,
    Instance,
    MethodRef,
    Table,
    TypeRef,
    Value,
    content_of,
    from_list,
    is_known,
    merge,
    to_list,
    to_text,
    to_word,
)

GATHERING = ("com:", "system.net.sockets.", "system.xml.")
"""Types whose objects keep what their methods brought: a property read later gives it out."""
READS = {"read", "receive", "readasync", "readblock", "recv"}
RUN_TEXT = {"invokescript", "newscriptblock", "addscript"}
REFLECTION = {"getmethod", "getmethods", "getmember", "getproperty"}


class Objects(Properties):
    """Member access."""

    def member(self, node: Member) -> Value:
        """`target.name`, `target::name` and the call of it."""
        target: Value
        if type(node.target) is Type:
            target = TypeRef(self.knowledge.canonical_type(node.target.name))
        else:
            target = self.value(node.target)
        name_value = node.name.value if type(node.name) is Literal else self.value(node.name)
        if type(name_value) is MethodRef:
            name_value = name_value.name
        name = to_text(name_value).lower().strip()
        if node.arguments is None:
            return self.named(self.property(target, name, node), node)
        arguments = [self.value(argument) for argument in node.arguments]
        self.weigh(target, *arguments)
        result = self.named(self.call(target, name, arguments, node), node)
        if name in READS and node.arguments and type(node.arguments[0]) is Variable and content_of(target):
            self.assign(node.arguments[0].name, Blend("", content_of(target), opaque=True))
        return result

    # calls ------------------------------------------------

    def call(self, target: Value, name: str, arguments: list[Value], node: Node) -> Value:
        """The call of a method."""
        kind = type(target)
        if kind is TypeRef:
            return self.static(target, name, arguments, node)
        if kind is Instance:
            return self.instance_call(target, name, arguments, node)
        if kind is Closure:
            return self.closure_call(target, name, arguments, node)
        if kind is MethodRef:
            if name in ("invoke", "invokereturnasis", "dynamicinvoke"):
                return self.call(target.target, target.name.lower(), self.reflected(target, arguments), node)
            return target.name if name == "tostring" else unknown(target, *arguments)
        if kind is Blend:
            return self.blend_call(target, name, arguments, node)
        if kind in (list, bytes):
            return self.list_call(target, name, arguments, node)
        if kind is Table:
            return self.table_call(target, name, arguments)
        if name in ("foreach", "where") and arguments and type(arguments[0]) is Closure:
            return self.list_call([target], name, arguments, node)
        if name == "gettype":
            return TypeRef("system.string" if kind in (str, Char) else "system.int32")
        if kind in (str, Char):
            if any(type(argument) is Blend for argument in arguments):
                if name == "replace":
                    content = content_of(arguments)
                    return Blend(to_text(string_method(target, name, arguments, self.budget)), content)
                return unknown(*arguments)
            result = string_method(str(target), name, arguments, self.budget)
            return unknown(target, *arguments) if result is NotImplemented else result
        return to_text(target) if name == "tostring" and not arguments else unknown(target, *arguments)

    def reflected(self, method: MethodRef, arguments: list[Value]) -> list[Value]:
        """The arguments of MethodInfo.Invoke(object, array), or of PSMethod.Invoke(arguments...)."""
        if len(arguments) == 2 and type(arguments[1]) is list and (arguments[0] is None or type(arguments[0]) is Instance):
            if type(arguments[0]) is Instance:
                method.target = arguments[0]
            return list(arguments[1])
        return arguments

    def blend_call(self, target: Blend, name: str, arguments: list[Value], node: Node) -> Value:
        """A method of something unknown."""
        type_name = self.knowledge.types.methods.get(name)
        if type_name is not None and not (target.constant or ""):
            return self.act(type_name, name, arguments, node, target)
        if name in ("foreach", "where") and arguments and type(arguments[0]) is Closure:
            return self.list_call([target], name, arguments, node)
        if target.constant is not None:
            result = string_method(target.constant, name, arguments, self.budget)
            return unknown(target) if result is NotImplemented else result
        if name == "invoke" and target.content:  # the method of a loaded assembly, a fetched block
            return unknown(target, *arguments)
        if name in METHODS and not target.opaque:
            return lift(target, lambda text: string_method(text, name, arguments, self.budget))
        return unknown(target, *arguments)

    def closure_call(self, target: Closure, name: str, arguments: list[Value], node: Node) -> Value:
        """A method of a script block."""
        if name in ("invoke", "invokereturnasis", "invokewithcontext"):
            if target.block is None:
                return from_list(self.run_text(target.text, node))
            return self.call_block(target, arguments)
        return to_text(target) if name == "tostring" and target.block else target

    def list_call(self, target: Value, name: str, arguments: list[Value], node: Node) -> Value:
        """A method of an array or list; other methods are those of its elements."""
        items = to_list(target)
        if name in ("foreach", "where") and arguments and type(arguments[0]) is Closure:
            found: list[Value] = []
            for item in items:
                self.budget.spend()
                self.variables["_"] = item
                out = self.call_block(arguments[0], [], own=False)
                found.extend(to_list(out) if name == "foreach" else [item] if out is not False else [])
            return found
        if type(target) is list and name in ("add", "push", "enqueue", "addrange", "insert", "writebyte"):
            self.budget.grow(8)
            target.extend(to_list(arguments[-1]) if arguments and name == "addrange" else arguments[-1:])
            return None
        if type(target) is list and name in ("reverse", "clear", "sort"):
            if name == "reverse":
                target.reverse()
            return None
        if name in ("toarray", "clone", "getenumerator", "tolist", "asenumerable"):
            return list(items)
        if name in ("getvalue", "get_item", "item", "elementat", "get") and arguments:
            return self.index(target, arguments[0])
        if name in ("contains", "indexof"):
            return unknown(target)
        if name == "gettype" or len(items) > 2_000:
            return unknown(target, *arguments)
        if name == "invoke" and items and type(items[0]) is MethodRef:
            return self.call(items[0], name, arguments, node)
        return [self.call(item, name, list(arguments), node) for item in items]

    def table_call(self, target: Table, name: str, arguments: list[Value]) -> Value:
        """A method of a hash table."""
        if name in ("add", "set_item") and len(arguments) == 2:
            target.put(to_text(arguments[0]), arguments[1])
            return None
        if name in ("item", "get_item") and arguments:
            return target.get(to_text(arguments[0]).lower())
        if name in ("containskey", "contains", "containskey") and arguments:
            return to_text(arguments[0]).lower() in target
        if name == "getenumerator":
            spelled = target.spelled
            return [
                Instance("entry", fields={"key": spelled.get(k, k), "name": spelled.get(k, k), "value": v})
                for k, v in target.items()
            ]
        return unknown(target, *arguments)

    def index(self, target: Value, index: Value) -> Value:
        """`target[index]`: an element, several, or a key's value."""
        if type(target) is Blend and target.constant is not None:
            target = target.constant
        kind = type(target)
        if kind is Table:
            return (
                target.get(to_text(index).lower())
                if type(index) is not list
                else [target.get(to_text(i).lower()) for i in index]
            )
        if kind is Instance and target.type == "psmembers":
            return MethodRef(target.fields[OWNER], to_text(index))
        if kind is list and type(index) is str and not index.lstrip("-").isdigit():
            chosen = [item for item in target if type(item) is MethodRef and item.name.lower() == index.lower()]
            return chosen[0] if chosen else unknown(target)
        if kind not in (str, list, bytes, Char) or not is_known(index):
            self.weigh(target, index)
            return unknown(target, index)  # never the list itself: lists that hold themselves grow without bound
        if type(index) is list:
            self.budget.grow(len(index) // 4)
            return [item for item in (self.index(target, one) for one in index) if item is not None]
        place = whole(index)
        if not -len(target) <= place < len(target):
            return None
        return Char(target[place]) if kind in (str, Char) else target[place]

    # types and objects ------------------------------------

    def static(self, target: TypeRef, name: str, arguments: list[Value], node: Node) -> Value:
        """A static method, a constructor, or reflection on the type."""
        type_name = target.name
        if name == "new":
            return self.construct(type_name, arguments, node)
        if type_name == "system.activator" and name == "createinstance" and arguments:
            made = (
                arguments[0] if type(arguments[0]) is TypeRef else TypeRef(self.knowledge.canonical_type(to_text(arguments[0])))
            )
            return self.construct(made.name, [item for rest in arguments[1:] for item in to_list(rest)], node)
        if type_name == "system.type" and name.startswith("gettypefrom") and arguments:
            return TypeRef(self.knowledge.com_class(to_text(arguments[0])))
        if (type_name == "system.type" or type_name.endswith(".psreference")) and name == "gettype" and arguments:
            return (
                TypeRef(self.knowledge.canonical_type(to_text(arguments[0]))) if is_known(arguments[0]) else unknown(*arguments)
            )
        if name in REFLECTION:
            return MethodRef(target, to_text(arguments[0])) if arguments and is_known(arguments[0]) else unknown(*arguments)
        if name == "invokemember" and arguments:
            owner = arguments[3] if len(arguments) > 3 and type(arguments[3]) is Instance else target
            return self.call(owner, to_text(arguments[0]).lower(), to_list(arguments[4]) if len(arguments) > 4 else [], node)
        if name in ("getconstructor", "getconstructors", "gettype"):
            return MethodRef(target, "new")
        if type_name.endswith(".scriptblock") and name == "create":
            return Closure(None, arguments[0] if arguments else "")
        if type_name == "system.management.automation.powershell" and name == "create":
            return Instance(type_name, self.spelled(node))
        result = static_call(type_name, name, arguments, self.budget)
        if result is not NotImplemented:
            return result
        if self.knowledge.is_pure(type_name):
            return unknown(*arguments)
        return self.static_act(type_name, name, arguments, node)

    def static_act(self, type_name: str, name: str, arguments: list[Value], node: Node) -> Value:
        """A static method that does something: recorded; what it returns carries its content."""
        construct = self.knowledge.types.construct
        if type_name == "system.io.file" and name in construct.opens:
            return Instance("system.io.filestream", self.spelled(node), {"path": arguments[0] if arguments else ""})
        if type_name in ("system.net.webrequest", "system.net.httpwebrequest", "system.net.filewebrequest") and name.startswith(
            "create"
        ):
            made = self.emit_method("system.net.webrequest.create", self.words(arguments), node)
            return Instance("system.net.httpwebrequest", self.spelled(node), content=[made])
        known = self.knowledge.types.methods.get(name)
        return self.act(known if known == "urlmon" else type_name, name, arguments, node, None)

    def act(self, type_name: str, name: str, arguments: list[Value], node: Node, target: Value) -> Value:
        """Record the call of a method and return its unknown output."""
        if type_name == "urlmon":
            name = name.removesuffix("a").removesuffix("w") if name.startswith("urldownloadtofile") else name
        invocation = self.emit_method(f"{type_name}.{name}", self.words(arguments), node, content_of(target))
        return self.result(invocation, node)

    def instance_call(self, target: Instance, name: str, arguments: list[Value], node: Node) -> Value:
        """A method of an object."""
        type_name = target.type
        if name in ("invoke", "invokereturnasis") and MEMBER in target.fields:
            return self.call(target.fields[OWNER], target.fields[MEMBER], arguments, node)
        if type_name == "psmembers" and name in ("item", "match") and arguments:
            return MethodRef(target.fields[OWNER], to_text(arguments[0]))
        if name == "gettype":
            return TypeRef(type_name)
        if name == "tostring" and type_name != "system.text.stringbuilder":
            return Blend(target.spelled, content_of(target), opaque=True)
        if type_name == "system.text.encoding":
            return self.encoding_call(target, name, arguments)
        if (
            name in RUN_TEXT
            and arguments
            and ("invokecommand" in type_name or type_name.endswith(("automation.powershell", ".invokecommand")))
        ):
            if name == "newscriptblock":
                return Closure(None, arguments[0])
            outputs = self.run_text(arguments[0], node)
            target.content = list(merge(tuple(target.content), content_of(outputs)))
            return target if name == "addscript" else from_list(outputs)
        if "invokecommand" in type_name:
            return self.command_lookup(name, arguments)
        if type_name == "system.text.stringbuilder":
            return self.builder_call(target, name, arguments)
        if type_name in STREAMS or type_name in COMPRESSED or type_name in READERS:
            return self.stream_call(target, name, arguments, node)
        if name in ("copyto", "copytoasync") and arguments:
            return self.copy_stream(target, arguments[0], node)
        return self.instance_act(target, name, arguments, node)

    def instance_act(self, target: Instance, name: str, arguments: list[Value], node: Node) -> Value:
        """A method that does something, or that hands on what flowed into its object."""
        type_name = target.type
        if type_name == "system.io.filestream" and "path" in target.fields:
            if name.startswith("write"):
                data = arguments[:1] or [unknown()]
                self.emit_method("system.io.filestream.write", [to_word(target.fields["path"]), *self.words(data)], node)
            return unknown(target)
        if type_name in self.knowledge.types.construct.passing and name != "getrequeststream":
            return Instance("system.net.webresponse", self.spelled(node), content=target.content)
        if self.knowledge.is_pure(type_name) or (MEMBER in target.fields and not type_name.startswith("com:")):
            target.content = list(merge(tuple(target.content), content_of(arguments)))
            return unknown(target, *arguments)
        if name in ("add_downloadstringcompleted", "dispose", "close"):
            return unknown(target)
        if type_name.startswith("system.net.sockets.") and (name.startswith("get") or name in READS):
            return Instance("system.net.sockets.networkstream", self.spelled(node), {OWNER: target}, target.content)
        if arguments and "baseaddress" in target.fields:
            arguments = [self.absolute(target.fields["baseaddress"], arguments[0]), *arguments[1:]]
        invocation = self.emit_method(f"{type_name}.{name}", self.words(arguments), node, content_of(target))
        if type_name.startswith(GATHERING):
            owner = target
            while OWNER in owner.fields:
                owner = owner.fields[OWNER]
            owner.content = list(merge(tuple(owner.content), (*content_of(arguments), invocation)))
            return Instance(f"{type_name}.{name}", self.spelled(node), {OWNER: owner}, list(owner.content))
        return self.result(invocation, node)

    def command_lookup(self, name: str, arguments: list[Value]) -> Value:
        """$ExecutionContext.InvokeCommand.GetCommand and its like: a name by pattern; ExpandString."""
        if name == "expandstring" and arguments:
            return arguments[0]
        return self.command_by_pattern(to_text(arguments[0])) if arguments and name.startswith("getc") else unknown(*arguments)

    def command_by_pattern(self, pattern: str) -> Value:
        """The command that Get-Command finds."""
        pattern = pattern.strip()
        if not any(mark in pattern for mark in "*?["):
            return pattern
        for command in self.knowledge.commands.wildcards:
            if wildcard(pattern, command):
                return command
        return unknown()
