"""Evaluation of a PowerShell script: constants are worked out, what it starts is recorded, nothing is executed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidewaiter.reading.powershell_branches import Statements
from tidewaiter.reading.powershell_calls import MISSING
from tidewaiter.reading.powershell_nodes import (
    Array,
    Assign,
    Block,
    Cast,
    Chain,
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


class Evaluator(Statements):
    """Statements and expressions."""

    # texts and blocks -------------------------------------

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
                value = MISSING if value is None else value  # $(throw "..."), or nothing that says anything
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

    def value(self, node: Node) -> Value:
        """Evaluate an expression."""
        return EXPRESSIONS[type(node)](self, node) if type(node) in EXPRESSIONS else from_list(self.statement(node))

    def expand(self, node: Expand) -> Value:
        """A string with variables."""
        texts: list[str] = []
        constants: list[str | None] = []
        content: Content = ()
        known, opaque = True, True
        for position, part in enumerate(node.parts):
            if position & 63 == 63:
                self.budget.spend(16)
            if isinstance(part, str):
                texts.append(part)
                constants.append(part)
                opaque = False
                continue
            value = self.value(part)
            self.weigh(value)
            opaque_group = type(part) is Group and type(value) is Blend and value.opaque
            texts.append(self.spelled(part) if opaque_group else to_text(value, self.separator()))
            constants.append(value.constant if type(value) is Blend else texts[-1])
            if is_known(value):
                opaque = False
            else:
                known = False
                opaque &= type(value) is Blend and value.opaque
                content = merge(content, content_of(value))
        text = "".join(texts)
        self.budget.grow(len(text))
        if known:
            return text
        whole_constant = None if None in constants else "".join(part for part in constants if part is not None)
        return Blend(text, content, opaque=opaque, constant=whole_constant)

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
            self.weigh(left, right)
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
        self.weigh(value)
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
        self.weigh(value)
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

    def array(self, node: Array) -> Value:
        """`a, b, c`."""
        return [self.value(item) for item in node.items] if node.constants is None else list(node.constants)

    def subscript(self, node: Index) -> Value:
        """`target[index]`."""
        return self.named(self.index(self.value(node.target), self.value(node.index)), node)


def only_block(node: Node) -> Block | None:
    """The block that a text consists of: logged script blocks come with their braces."""
    if type(node) is Pipeline and len(node.elements) == 1 and type(node.elements[0]) is Block:
        return node.elements[0]
    return None


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
    Array: Evaluator.array,
    Block: lambda _, node: Closure(node),
    Type: lambda self, node: TypeRef(self.knowledge.canonical_type(node.name)),
    Splat: lambda self, node: self.lookup(node.name, "@" + node.name),
}
