"""Cmdlets that compute: what they return is worked out instead of being recorded."""

from __future__ import annotations

from collections.abc import Callable

from tidewaiter.reading.powershell_calls import Bound
from tidewaiter.reading.powershell_drives import Drives
from tidewaiter.reading.powershell_nodes import Command, Literal, Node, Pipeline, Variable
from tidewaiter.reading.powershell_operators import unknown
from tidewaiter.reading.powershell_rounds import Watch, alone, compiled
from tidewaiter.reading.powershell_text import whole
from tidewaiter.reading.powershell_values import (
    PLAIN,
    Blend,
    Closure,
    Instance,
    MethodRef,
    Table,
    Value,
    content_of,
    is_known,
    merge,
    to_list,
    to_text,
)

MOST_IDLE = 8
"""How many rounds of a loop are read that neither start nor find out anything."""
MOST_ACTING = 32
"""How many rounds of a loop that starts something are read."""
LEAF = ("\\", "/")


class Cmdlets(Drives):
    """The computing cmdlets."""

    def builtin(self, name: str, bound: Bound, piped: list[Value] | None, node: Command) -> list[Value] | None:
        """Evaluate a cmdlet that computes; None where it is none of those."""
        handler = BUILTINS.get(name)
        return None if handler is None else handler(self, bound, piped, node)

    def each_round(self, items: list[Value], run: Callable[[Value], list[Value]]) -> list[Value]:
        """Run a loop's body for every item, within bounds where the body starts something."""
        found: list[Value] = []
        acting = idle = 0
        self.exact += 1
        watch, touched = Watch(self.budget), self.touched
        self.touched = set()
        for item in items:
            before, learned, length = len(self.script.invocations), self.learned, len(found)
            found.extend(run(item))
            if self.learned == learned and not any(type(value) in PLAIN for value in found[length:]):
                idle += 1
            else:
                idle = 0
            if len(self.script.invocations) > before:
                acting += 1
                if acting >= MOST_ACTING:
                    self.cut_short(len(items))
                    break
            elif self.leaving in ("break", "return") or idle >= MOST_IDLE:
                break
            self.leaving = ""
            if watch.is_over():
                self.cut_short(len(items))
                self.forget()
                break
        self.leaving = ""
        self.exact -= 1
        self.touched |= touched
        return found

    def forget(self) -> None:
        """What a loop that was cut short has set is not known."""
        for name in self.touched:
            value = self.variables.get(name)
            self.variables[name] = Blend("$" + name, content_of(value), opaque=True)

    def foreach_object(self, bound: Bound, piped: list[Value] | None, node: Command) -> list[Value] | None:
        """ForEach-Object: its blocks in place, or a member of every item."""
        items = piped if piped is not None else to_list(bound.named.get("inputobject"))
        blocks = [
            value
            for value in (*bound.positional, *(bound.named.get(key) for key in ("process", "parallel")))
            if type(value) is Closure
        ]
        if not blocks:
            name = to_text(bound.take("membername"))
            rest = bound.positional[1:] if "membername" not in bound.named else bound.positional
            arguments = to_list(bound.named.get("argumentlist")) or [item for value in rest for item in to_list(value)]
            return [value for item in items for value in to_list(self.item_member(item, name, arguments, node))]
        begin = [bound.named[key] for key in ("begin",) if key in bound.named]
        end = [bound.named[key] for key in ("end",) if key in bound.named]
        if len(blocks) > 1 and "process" not in bound.named:
            begin, blocks, end = blocks[:1], blocks[1:2], blocks[2:3] or end
        outer = self.variables.get("_")
        found: list[Value] = []
        for closure in begin:
            found.extend(to_list(self.call_block(closure, [], own=False)))

        def one(item: Value) -> list[Value]:
            self.variables["_"] = item
            out: list[Value] = []
            for closure in blocks:
                out.extend(to_list(self.call_block(closure, [], own=False)))
            return out

        single = single_expression(blocks)
        if single is not None:
            found.extend(self.map_items(items, blocks[0], single))
        else:
            found.extend(self.each_round(items or [Blend("$_", opaque=True)], one) if piped is None or items else [])
        for closure in end:
            found.extend(to_list(self.call_block(closure, [], own=False)))
        if outer is None:
            self.variables.pop("_", None)
        else:
            self.variables["_"] = outer
        return found

    def map_items(self, items: list[Value], closure: Closure, expression: Node) -> list[Value]:
        """A block of one expression over all items: what most decoders are, so it is kept short."""
        if type(expression) is Literal:
            self.budget.grow(len(items))
            return [expression.value] * len(items)
        outer, self.source = self.source, closure.block.source if closure.block is not None else self.source
        variables, invocations = self.variables, self.script.invocations

        def other(node: Node, item: Value) -> Value:
            variables["_"] = item
            return self.value(node)

        run = compiled(expression, lambda node: type(node) is Variable and node.name in ("_", "psitem"), other, self.budget)
        watch = Watch(self.budget)
        found: list[Value] = []
        acting = 0
        for item in items:
            before = len(invocations)
            value = run(item)
            found.extend(value if type(value) is list else () if value is None else (value,))
            if len(invocations) > before:
                acting += 1
            if acting >= MOST_ACTING or watch.is_over():
                self.cut_short(len(items))
                found.append(Blend("...", content_of(items), opaque=True))
                break
        self.source = outer
        return found

    def cut_short(self, rounds: int) -> None:
        """Say that not all rounds of a loop were read."""
        if rounds > MOST_ACTING and "loop cut short" not in self.budget.limits:
            self.budget.limits.append("loop cut short")

    def item_member(self, item: Value, name: str, arguments: list[Value], node: Command) -> Value:
        """`% Name` and `% Method arguments`."""
        lower = name.lower()
        value = self.property(item, lower, node) if not arguments else None
        if arguments or type(value) is MethodRef:
            value = self.call(item, lower, arguments, node)
        return self.named(value, node)

    def where_object(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Where-Object: what surely does not pass is left out."""
        items = piped or []
        block = next((value for value in (bound.named.get("filterscript"), *bound.positional) if type(value) is Closure), None)
        if block is None:
            return list(items)
        outer = self.variables.get("_")

        def one(item: Value) -> list[Value]:
            self.variables["_"] = item
            self.learned += 1
            return [] if self.call_block(block, [], own=False) in (False, None, []) else [item]

        kept = self.each_round(list(items), one)
        if outer is None:
            self.variables.pop("_", None)
        else:
            self.variables["_"] = outer
        return kept

    def select_object(self, bound: Bound, piped: list[Value] | None, node: Command) -> list[Value] | None:
        """Select-Object: counts, places and -ExpandProperty."""
        if piped is None or not bound.named:
            return None
        items = list(piped)
        named = bound.named
        if all(type(item) is Blend for item in items):
            return None
        if "index" in named:
            places = [whole(place) for place in to_list(named["index"])]
            items = [items[place] for place in places if -len(items) <= place < len(items)]
        if "skip" in named:
            items = items[whole(named["skip"]) :]
        if "first" in named:
            items = items[: whole(named["first"])]
        elif "last" in named:
            items = items[-whole(named["last"]) :] if whole(named["last"]) else []
        if "expandproperty" in named:
            name = to_text(named["expandproperty"]).lower()
            items = [value for item in items for value in to_list(self.named(self.property(item, name, node), node))]
        return items

    def new_object(self, bound: Bound, _piped: list[Value] | None, node: Command) -> list[Value] | None:
        """New-Object: a .NET or COM object."""
        if "comobject" in bound.named:
            made: Value = Instance(self.knowledge.com_class(to_text(bound.named["comobject"])), self.spelled(node))
        else:
            type_value = bound.take("typename")
            rest = bound.positional if "typename" in bound.named else bound.positional[1:]
            arguments = to_list(bound.named["argumentlist"]) if "argumentlist" in bound.named else []
            for value in rest:
                arguments = [*arguments, *(value if type(value) is list else [value])]
            if type(type_value) is list and type_value:  # New-Object Type,argument
                type_value, arguments = type_value[0], [*type_value[1:], *arguments]
            type_name = self.knowledge.canonical_type(to_text(type_value))
            given = bound.take("argumentlist", 1)
            if type(given) is bytes or (type(given) is list and given and type(given[0]) is int and "io.m" in type_name):
                arguments = [given]
            made = self.construct(type_name, list(arguments), node)
        properties = bound.named.get("property")
        if type(made) is Instance and type(properties) is Table:
            made.fields.update(properties)
        return [made]

    # paths and text ---------------------------------------

    def join_path(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Join-Path."""
        parts = [
            value for value in (bound.named.get("path"), *bound.positional, bound.named.get("childpath")) if value is not None
        ]
        if piped and "path" not in bound.named:
            parts = [piped[0], *parts]
        texts = [to_text(part) for part in parts]
        text = texts[0].rstrip("\\/") if texts else ""
        for part in texts[1:]:
            text += "\\" + part.lstrip("\\/")
        return [text if is_known(parts) else Blend(text, content_of(parts))]

    def split_path(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Split-Path -Leaf and -Parent."""
        value = bound.take("path")
        if value is None and piped:
            value = piped[0]
        text = to_text(value).replace("/", "\\")
        if type(value) is Blend and value.opaque:
            return [unknown(value)]
        parent, _, leaf = text.rpartition("\\")
        part = leaf if "leaf" in bound.named else parent
        return [part if is_known(value) else Blend(part, content_of(value))]

    def out_string(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Out-String and Join-String."""
        values = self.passed(bound, piped)
        if not is_known(values):
            return list(values)
        return [to_text(values, "\r\n")]

    def write_output(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Write-Output of values that are known or carry content."""
        values = self.passed(bound, piped)
        return values if content_of(values) else None

    def tee_object(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Tee-Object -Variable; with a file it is recorded."""
        if "variable" not in bound.named:
            return None
        items = piped or []
        self.assign(to_text(bound.named["variable"]).lower(), items[0] if len(items) == 1 else items)
        return items

    def secure_string(self, bound: Bound, piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """ConvertTo-SecureString: plain text stays, with a key it cannot be known."""
        value = bound.take("string")
        value = value if value is not None else (piped or [None])[0]
        if "asplaintext" in bound.named:
            return [value]
        self.budget.note("ConvertTo-SecureString", "encrypted text that is not decrypted")
        return [Blend("", merge(content_of(value), ()), opaque=True)]

    def out_null(self, _bound: Bound, _piped: list[Value] | None, _node: Command) -> list[Value] | None:
        """Out-Null, Set-StrictMode and others that leave nothing."""
        return []


def single_expression(blocks: list[Closure]) -> Node | None:
    """The expression that a block without parameters consists of; None where it holds anything else."""
    block = blocks[0].block
    if len(blocks) != 1 or block is None or block.parameters or len(block.body) != 1:
        return None
    return alone(block.body[0]) if type(block.body[0]) is Pipeline else None


BUILTINS: dict[str, Callable[[Cmdlets, Bound, list[Value] | None, Command], list[Value] | None]] = {
    "foreach-object": Cmdlets.foreach_object,
    "where-object": Cmdlets.where_object,
    "select-object": Cmdlets.select_object,
    "new-object": Cmdlets.new_object,
    "set-variable": Cmdlets.set_variable,
    "new-variable": Cmdlets.set_variable,
    "get-variable": Cmdlets.get_variable,
    "set-item": Cmdlets.set_item,
    "get-item": Cmdlets.get_item,
    "get-childitem": Cmdlets.get_item,
    "set-alias": Cmdlets.set_alias,
    "new-alias": Cmdlets.set_alias,
    "get-alias": Cmdlets.get_alias,
    "get-command": Cmdlets.get_command,
    "get-member": Cmdlets.get_member,
    "join-path": Cmdlets.join_path,
    "split-path": Cmdlets.split_path,
    "out-string": Cmdlets.out_string,
    "write-output": Cmdlets.write_output,
    "tee-object": Cmdlets.tee_object,
    "convertto-securestring": Cmdlets.secure_string,
    "out-null": Cmdlets.out_null,
}
