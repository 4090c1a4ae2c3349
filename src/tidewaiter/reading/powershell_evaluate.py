"""Evaluation of a PowerShell script: constants are worked out, what it starts is recorded, nothing is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidewaiter.reading.powershell_calls import MISSING
from tidewaiter.reading.powershell_cmdlets import MOST_ACTING, Cmdlets
from tidewaiter.reading.powershell_nodes import (
    Array,
    Assign,
    Block,
    Cast,
    Chain,
    Command,
    Expand,
    Foreach,
    Function,
    Group,
    Hash,
    If,
    Increment,
    Index,
    Leave,
    Literal,
    Loop,
    Member,
    Node,
    Pipeline,
    Splat,
    Switch,
    Try,
    Type,
    Unary,
    Variable,
)
from tidewaiter.reading.powershell_operators import binary, cast, join, match, split, unknown
from tidewaiter.reading.powershell_statements import StatementParser
from tidewaiter.reading.powershell_values import (
    Blend,
    Char,
    Closure,
    Content,
    Instance,
    Table,
    TypeRef,
    Value,
    content_of,
    from_list,
    is_known,
    merge,
    to_list,
    to_number,
    to_text,
    truth,
)

DEEPEST_CALLS = 24


class Evaluator(Cmdlets):
    """Statements and expressions."""

    # texts and blocks -----------------------------------------------------------------------------------------------------------

    def read_text(self, text: str, step: str) -> list[Value]:
        """Read text as a script in this scope; its parse errors make the whole incomplete."""
        if not text.strip():
            return []
        if self.budget.depth_left <= 0:
            if "nested too deeply" not in self.budget.limits:
                self.budget.limits.append("nested too deeply")
            return []
        if step:
            self.budget.note(step, text)
        parser = StatementParser(text, self.budget)
        statements = parser.script()
        self.script.complete &= not parser.incomplete
        outer, self.source = self.source, parser.text
        self.budget.depth_left -= 1
        try:
            if len(statements) == 1 and (block := only_block(statements[0])) is not None:
                return self.run(block.body)
            return self.run(statements)
        finally:
            self.source = outer
            self.budget.depth_left += 1

    def run(self, statements: list[Node]) -> list[Value]:
        """Run statements; their output in order."""
        found: list[Value] = []
        for statement in statements:
            self.budget.spend()
            found.extend(self.statement(statement))
            if self.leaving:
                break
        return found

    def statement(self, node: Node) -> list[Value]:
        """Run one statement; its output."""
        return STATEMENTS[type(node)](self, node) if type(node) in STATEMENTS else to_list(self.value(node))

    def call_block(
        self, closure: Closure, arguments: list[Value], piped: list[Value] | None = None, *, own: bool = True
    ) -> Value:
        """Run a script block or function body with its arguments; the output as one value."""
        block = closure.block
        if block is None:
            return from_list(self.run_text(closure.text, Literal(0, 0, "")))
        if self.calls >= DEEPEST_CALLS:
            return unknown(arguments)
        outer = (self.source, self.variables, self.uncertain)
        self.source, self.uncertain = block.source, 0
        if own:
            self.variables = dict(self.variables)
        if own or arguments:
            self.bind_parameters(block, arguments)
        if piped is not None:
            self.variables["input"] = piped
            self.variables.setdefault("_", from_list(piped))
        self.calls += 1
        try:
            found = self.run(block.body)
        finally:
            self.calls -= 1
            self.source, self.uncertain = outer[0], outer[2]
            if own:
                self.variables = outer[1]
        if self.leaving == "return":
            self.leaving = ""
        return from_list(found)

    def bind_parameters(self, block: Block, arguments: list[Value]) -> None:
        """Set the parameters of a block; what a call leaves out has its default or is unknown."""
        for position, parameter in enumerate(block.parameters):
            value = arguments[position] if position < len(arguments) else MISSING
            if value is MISSING:
                value = self.value(parameter.default) if parameter.default is not None else MISSING
            if value is MISSING:
                self.variables.pop(parameter.name, None)
            else:
                self.variables[parameter.name] = value
        rest = arguments[len(block.parameters) :]
        self.variables["args"] = [value for value in rest if value is not MISSING]

    def read_uncalled(self) -> None:
        """Read the functions that nothing called, once, with unknown parameters."""
        for _ in range(3):
            names = [name for name in self.functions if name not in self.functions_read]
            if not names:
                return
            for name in names:
                self.functions_read.add(name)
                self.call_block(Closure(self.functions[name]), [])
                self.leaving = ""

    # statements -----------------------------------------------------------------------------------------------------------------

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
            if any(last is one for one in content_of(value)):
                last.assigned = node.target.name
        if node.operator not in ("=", "??="):
            target = node.target
            old = None if type(target) is Variable and target.name not in self.variables else self.value(target)
            value = self.named(binary(node.operator[0], old, value, self.budget), node)
        self.store(node.target, value)
        return []

    def store(self, target: Node, value: Value) -> None:
        """Put a value into a variable, element, property or list of them."""
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
        acting = 0
        self.exact += 1
        outer, self.uncertain = self.uncertain, 0
        while True:
            self.budget.spend()
            before = len(self.script.invocations)
            found.extend(self.run(node.body))
            acting += len(self.script.invocations) > before
            if self.leaving in ("break", "return"):
                break
            self.leaving = ""
            self.run(node.step)
            if endless(node.condition) or acting >= MOST_ACTING or self.holds(node) is not True:
                break
        self.exact -= 1
        self.uncertain = outer
        self.leaving = self.leaving if self.leaving == "return" else ""
        return found

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

    # expressions ----------------------------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Value:
        """Evaluate an expression."""
        return EXPRESSIONS[type(node)](self, node) if type(node) in EXPRESSIONS else from_list(self.statement(node))

    def expand(self, node: Expand) -> Value:
        """A string with variables."""
        texts: list[str] = []
        content: Content = ()
        known = opaque = True
        constants: list[str] | None = []
        for part in node.parts:
            if type(part) is str:
                texts.append(part)
                opaque = False
                if constants is not None:
                    constants.append(part)
                continue
            value = self.value(part)  # type: ignore[arg-type]
            text = to_text(value, self.separator())
            texts.append(text)
            constants = (
                None
                if constants is None or (type(value) is Blend and value.constant is None)
                else [*constants, value.constant if type(value) is Blend else text]
            )
            if not is_known(value):
                known = False
                opaque &= type(value) is Blend and value.opaque
                content = merge(content, content_of(value))
            else:
                opaque = False
        text = "".join(texts)
        self.budget.grow(len(text))
        return text if known else Blend(text, content, opaque=opaque, constant="".join(constants) if constants else None)

    def variable(self, node: Variable) -> Value:
        """`$name`."""
        name = node.name
        value = self.variables.get(name)
        if value is not None and type(value) is not Blend:
            return value
        return self.lookup(
            name, self.spelled(node) if node.end <= len(self.source) and self.spelled(node).startswith("$") else "$" + name
        )

    def group(self, node: Group) -> Value:
        """`( )`, `$( )`, `@( )`."""
        if len(node.body) == 1:
            value = self.outcome(node.body[0]) if not isinstance(node.body[0], Assign) else self.assigned_value(node.body[0])
        else:
            value = from_list(self.run(node.body))
        return list(to_list(value)) if node.kind == "@" else self.named(value, node)

    def assigned_value(self, node: Assign) -> Value:
        """`($x = value)` gives the value."""
        self.assignment(node)
        return self.value(node.target)

    def hash(self, node: Hash) -> Value:
        """`@{ }`."""
        table = Table()
        for key, value in node.pairs:
            table.put(to_text(self.value(key)), self.outcome(value))
        return table

    def chain(self, node: Chain) -> Value:
        """Binary operators from left to right."""
        left = self.value(node.first)
        for operator, operand in node.rest:
            if node.precedence == 1:
                left = self.logical(operator, left, operand)
                continue
            right = self.value(operand)
            if operator.lstrip("ci") in ("match", "notmatch"):
                left = self.matched(operator, left, right)
            else:
                left = binary(operator, left, right, self.budget)
        return self.named(left, node)

    def matched(self, operator: str, left: Value, right: Value) -> Value:
        """`-match` and `-notmatch`, with $matches."""
        outcome, found = match(left, right, case=operator[0] == "c")
        if found is not None:
            table = Table()
            for position, text in enumerate((found[0], *found.groups())):
                table.put(str(position), text)
            for name, text in found.groupdict().items():
                table.put(name, text)
            self.variables["matches"] = table
        elif type(outcome) is Blend:
            self.variables["matches"] = Blend("$matches", outcome.content, opaque=True)
        return outcome if "not" not in operator or type(outcome) is Blend else not outcome

    def logical(self, operator: str, left: Value, operand: Node) -> Value:
        """`-and`, `-or`, `-xor`; the right side is read in any case."""
        first, second = truth(left), truth(self.value(operand))
        if operator == "and" and (first is False or second is False):
            return False
        if operator == "or" and (first or second):
            return True
        if first is None or second is None:
            return unknown(left)
        return first != second if operator == "xor" else second if operator == "and" else False

    def unary(self, node: Unary) -> Value:
        """A prefix operator."""
        value = self.value(node.operand)
        if node.operator == "join":
            return self.named(join(value if type(value) in (list, Blend) else to_list(value), "", self.budget), node)
        if node.operator in ("split", "isplit"):
            return split(value, None, self.budget, case=False)
        if node.operator == "not":
            outcome = truth(value)
            return self.named(unknown(value), node) if outcome is None else not outcome
        number = to_number(value) if type(value) is not Blend else None
        if number is None:
            return self.named(unknown(value), node)
        return -number if node.operator == "-" else ~int(number) if node.operator == "bnot" else number

    def cast(self, node: Cast) -> Value:
        """`[type]value`."""
        name = self.knowledge.canonical_type(node.name)
        value = self.value(node.operand)
        if name.startswith("system.io.") and not name.endswith("]") and type(value) in (bytes, list, Blend):
            return self.construct(name, [value], node)
        if type(value) is str and name in ("system.management.managementclass",):
            return Instance(f"wmi:{value.lower()}", self.spelled(node))
        return self.named(cast(name, value, self.separator()), node)

    def increment(self, node: Increment) -> Value:
        """`$x++`."""
        fresh = type(node.target) is Variable and node.target.name not in self.variables
        old = 0 if fresh else self.value(node.target)
        number = to_number(old) if type(old) is not Blend else None
        new: Any = unknown(old) if number is None else number + node.by
        self.store(node.target, new)
        return old if node.after else new

    def subscript(self, node: Index) -> Value:
        """`target[index]`."""
        return self.named(self.index(self.value(node.target), self.value(node.index)), node)


def only_block(node: Node) -> Block | None:
    """The block that a text consists of: logged script blocks come with their braces."""
    if type(node) is Pipeline and len(node.elements) == 1 and type(node.elements[0]) is Block:
        return node.elements[0]
    return None


def endless(condition: list[Node] | None) -> bool:
    """Whether a loop's condition is a constant."""
    if condition is None or not condition:
        return True
    node = condition[0]
    if type(node) is Pipeline and len(node.elements) == 1:
        inner = node.elements[0]
        return type(inner) is Literal or (type(inner) is Variable and inner.name == "true")
    return False


STATEMENTS: dict[type, Callable[[Evaluator, Any], list[Value]]] = {
    Pipeline: Evaluator.pipeline,
    Assign: Evaluator.assignment,
    If: Evaluator.branch,
    Loop: Evaluator.loop,
    Foreach: Evaluator.foreach,
    Switch: Evaluator.switch,
    Try: Evaluator.attempt,
    Function: Evaluator.define,
    Leave: Evaluator.leave,
}
EXPRESSIONS: dict[type, Callable[[Evaluator, Any], Value]] = {
    Literal: lambda _, node: node.value,
    Expand: Evaluator.expand,
    Variable: Evaluator.variable,
    Group: Evaluator.group,
    Hash: Evaluator.hash,
    Chain: Evaluator.chain,
    Unary: Evaluator.unary,
    Cast: Evaluator.cast,
    Increment: Evaluator.increment,
    Index: Evaluator.subscript,
    Member: Evaluator.member,
    Array: lambda self, node: [self.value(item) for item in node.items],
    Block: lambda _, node: Closure(node),
    Type: lambda self, node: TypeRef(self.knowledge.canonical_type(node.name)),
    Splat: lambda self, node: self.lookup(node.name, "@" + node.name),
    Char: lambda _, node: node,
}
