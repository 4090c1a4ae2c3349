"""Statements of a script while it is evaluated: pipelines, assignments, branches and loops."""

from __future__ import annotations

from tidewaiter.reading.powershell_cmdlets import MOST_ACTING, Cmdlets
from tidewaiter.reading.powershell_nodes import (
    Array,
    Assign,
    Cast,
    Chain,
    Command,
    Foreach,
    Function,
    If,
    Index,
    Leave,
    Literal,
    Loop,
    Member,
    Node,
    Pipeline,
    Switch,
    Try,
    Type,
    Variable,
)
from tidewaiter.reading.powershell_operators import binary, cast, unknown
from tidewaiter.reading.powershell_rounds import Watch, alone, compiled, element_loop, is_element
from tidewaiter.reading.powershell_values import (
    PLAIN,
    Blend,
    Instance,
    Table,
    TypeRef,
    Value,
    content_of,
    from_list,
    is_known,
    to_list,
    to_number,
    to_text,
    truth,
)


class Statements(Cmdlets):
    """Everything that is not an expression."""

    def run(self, statements: list[Node]) -> list[Value]:
        """Run statements; their output in order."""
        raise NotImplementedError

    def statement(self, node: Node) -> list[Value]:
        """Run one statement; its output."""
        raise NotImplementedError

    def pipeline(self, node: Pipeline) -> list[Value]:
        """Elements from left to right."""
        piped: list[Value] | None = None
        before = len(self.script.invocations)
        for element in node.elements:
            piped = self.command(element, piped) if type(element) is Command else to_list(self.value(element))
        values = piped or []
        if node.background:
            for invocation in self.script.invocations[before:]:
                invocation.background = True
        if node.redirects and self.bare_redirect(values, node.redirects, node):
            return []
        return values

    def outcome(self, node: Node) -> Value:
        """The value of a statement: of an expression as it is, of anything else its output."""
        if type(node) is Pipeline and len(node.elements) == 1 and not node.redirects and type(node.elements[0]) is not Command:
            return self.value(node.elements[0])
        return from_list(self.statement(node))

    def assignment(self, node: Assign) -> list[Value]:
        """`target = value`."""
        before = len(self.script.invocations)
        value = self.outcome(node.value)
        if len(self.script.invocations) > before and type(node.target) is Variable:
            last = self.script.invocations[-1]
            if node.target.name != "null" and any(last is one for one in content_of(value)):
                last.assigned = node.target.name
        if node.operator not in ("=", "??="):
            target = node.target
            old = None if type(target) is Variable and target.name not in self.variables else self.value(target)
            value = self.named(binary(node.operator[0], old, value, self.budget), node)
        self.store(node.target, value)
        return []

    def store(self, target: Node, value: Value) -> None:
        """Put a value into a variable, element, property or list of them."""
        self.learned += type(value) in PLAIN
        if type(target) is Variable:
            self.assign(target.name, value)
        elif type(target) is Cast:
            self.store(target.operand, cast(target.name, value, self.separator()))
        elif type(target) is Array:
            values = to_list(value)
            for position, item in enumerate(target.items):
                last = position == len(target.items) - 1
                part = from_list(values[position:]) if last else values[position] if position < len(values) else None
                self.store(item, unknown(value) if type(value) is Blend else part)
        elif type(target) is Index:
            self.store_element(target, value)
        elif type(target) is Member:
            holder = TypeRef(target.target.name) if type(target.target) is Type else self.value(target.target)
            name = to_text(self.value(target.name)).lower()
            if type(holder) is Instance:
                holder.fields[name] = value
                if name == "position":
                    holder.fields.pop(name)
            elif type(holder) is Table:
                holder.put(name, value)

    def store_element(self, target: Index, value: Value) -> None:
        """`$array[i] = value`, `$table['key'] = value`."""
        holder, index = self.value(target.target), self.value(target.index)
        if type(holder) is bytes:
            holder = list(holder)
            self.store(target.target, holder)
        if type(holder) is Table:
            holder.put(to_text(index), value)
        elif type(holder) is list:
            place = to_number(index)
            if place is not None and -len(holder) <= place < len(holder):
                holder[int(place)] = value

    def branch(self, node: If) -> list[Value]:
        """`if`: the branch that is taken, and outside of unrolled loops what the others start as well."""
        found: list[Value] = []
        taken = False
        for condition, body in node.clauses:
            outcome = truth(from_list(self.run(condition)))
            if outcome is None:
                self.uncertain += 1
                found.extend(self.run(body))
                self.uncertain -= 1
            elif outcome and not taken:
                found.extend(self.run(body))
                taken = True
                if self.leaving:
                    return found
            else:
                self.not_taken(body)
        if node.otherwise is not None:
            if taken:
                self.not_taken(node.otherwise)
            else:
                found.extend(self.run(node.otherwise))
        return found

    def not_taken(self, body: list[Node]) -> None:
        """Read a branch that the constants rule out, without effect on variables: a condition may be wrong about a host."""
        if self.exact:
            return
        outer = self.variables
        self.variables = dict(outer)
        self.uncertain += 1
        self.run(body)
        self.uncertain -= 1
        self.variables = outer

    def loop(self, node: Loop) -> list[Value]:
        """`for`, `while`, `do`: as often as the condition is known to hold, once where it is not known."""
        found = self.run(node.before)
        if not node.first and node.condition is not None and self.holds(node) is False:
            return found
        if self.element_loop(node):
            return found
        acting = 0
        self.exact += 1
        outer, self.uncertain = self.uncertain, 0
        watch, touched = Watch(self.budget), self.touched
        self.touched = set()
        while True:
            before = len(self.script.invocations)
            found.extend(self.run(node.body))
            acting += len(self.script.invocations) > before
            if self.leaving in ("break", "return"):
                break
            self.leaving = ""
            self.run(node.step)
            if watch.is_over():
                self.cut_short(1 << 10)
                self.forget()
                break
            if endless(node.condition) or acting >= MOST_ACTING or self.holds(node) is not True:
                break
        self.exact -= 1
        self.touched |= touched
        self.uncertain = outer
        self.leaving = self.leaving if self.leaving == "return" else ""
        return found

    def element_loop(self, node: Loop) -> bool:
        """Run a loop that rewrites an array element by element; False where it is another loop or not all is known."""
        shape = element_loop(node)
        if shape is None:
            return False
        array, index, expression = shape
        holder, start = self.variables.get(array.name), self.variables.get(index.name)
        condition = alone((node.condition or [])[0])
        if type(condition) is not Chain or type(holder) not in (bytes, list) or type(start) is not int or holder is None:
            return False
        stop = to_number(self.value(condition.rest[0][1]))
        if stop is None or not 0 <= start <= stop <= len(holder):
            return False
        items = list(holder)

        def other(inner: Node, _item: Value) -> Value:
            self.variables[index.name] = place
            return self.value(inner)

        run = compiled(expression, is_element(array.name, index.name), other, self.budget)
        watch = Watch(self.budget)
        self.assign(array.name, items)
        for place in range(start, int(stop)):
            items[place] = run(items[place])
            if watch.is_over():
                self.cut_short(len(items))
                self.variables[array.name] = Blend("$" + array.name, content_of(holder), opaque=True)
                break
        self.assign(index.name, int(stop))
        return True

    def holds(self, node: Loop) -> bool | None:
        """Whether the loop goes on, where that is known."""
        outcome = truth(from_list(self.run(node.condition or [])))
        return outcome if outcome is None else outcome != node.until

    def foreach(self, node: Foreach) -> list[Value]:
        """`foreach`: once for every known item."""
        values = self.outcome(node.values[0]) if len(node.values) == 1 else from_list(self.run(node.values))
        items = to_list(values)
        if not items and values is not None and not is_known(values):
            items = [values]
        outer, self.uncertain = self.uncertain, 0

        def one(item: Value) -> list[Value]:
            self.variables[node.variable] = (
                Blend("$" + node.variable, item.content, opaque=True) if type(item) is Blend and item.opaque else item
            )
            return self.run(node.body)

        found = self.each_round(items, one)
        self.uncertain = outer
        return found

    def switch(self, node: Switch) -> list[Value]:
        """`switch`: the clauses that match, or all where that is not known."""
        value = from_list(self.run(node.values))
        known = is_known(value) and type(value) is not list
        found: list[Value] = []
        matched = False
        for label, body in node.clauses:
            label_value = self.value(label) if label is not None else None
            fits = (
                known and label is not None and is_known(label_value) and to_text(label_value).lower() == to_text(value).lower()
            )
            if fits or not known or (label is None and not matched):
                matched |= fits
                self.uncertain += not known
                found.extend(self.run(body))
                self.uncertain -= not known
            else:
                self.not_taken(body)
        self.leaving = "" if self.leaving == "break" else self.leaving
        return found

    def attempt(self, node: Try) -> list[Value]:
        """`try`, `catch` and `finally`: all of them."""
        found: list[Value] = []
        for body in node.bodies:
            self.uncertain += 1
            found.extend(self.run(body))
            self.uncertain -= 1
        return found

    def define(self, node: Function) -> list[Value]:
        """`function`."""
        self.functions[node.name] = node.block
        return []

    def leave(self, node: Leave) -> list[Value]:
        """`return` and the like: what they give out counts, they end the reading only where they are sure to run."""
        found = to_list(self.outcome(node.value)) if node.value is not None and node.kind in ("return", "exit", "throw") else []
        if not self.uncertain and self.exact and node.kind in ("return", "break", "continue"):
            self.leaving = node.kind
        return found if node.kind == "return" else []


def endless(condition: list[Node] | None) -> bool:
    """Whether a loop's condition is a constant."""
    if condition is None or not condition:
        return True
    node = condition[0]
    if type(node) is Pipeline and len(node.elements) == 1:
        inner = node.elements[0]
        return type(inner) is Literal or (type(inner) is Variable and inner.name == "true")
    return False
