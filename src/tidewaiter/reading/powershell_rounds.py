"""Decoders in loops: one expression over thousands of numbers, turned into Python closures so that it is quick."""

from __future__ import annotations

import time
from collections.abc import Callable

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_nodes import (
    Assign,
    Cast,
    Chain,
    Command,
    Group,
    Increment,
    Index,
    Literal,
    Loop,
    Node,
    Pipeline,
    Type,
    Variable,
)
from tidewaiter.reading.powershell_operators import ARITHMETIC, binary, cast
from tidewaiter.reading.powershell_values import Char, Value

Round = Callable[[Value], Value]
LOOP_SHARE = 0.5


class Watch:
    """The share of the time that one loop may take, so that what follows it is read as well."""

    def __init__(self, budget: Budget) -> None:
        now = time.process_time()
        self.deadline = now + max(0.0, budget.deadline - now) * LOOP_SHARE
        self.rounds = 0

    def is_over(self) -> bool:
        """Whether the loop has taken its share; looked at every 16 calls."""
        self.rounds += 1
        return self.rounds & 15 == 0 and time.process_time() > self.deadline


def alone(node: Node) -> Node | None:
    """The expression that a pipeline or group consists of; None where it holds anything else."""
    if type(node) is Group and node.kind == "(" and len(node.body) == 1:
        return alone(node.body[0])
    if type(node) is Pipeline:
        if len(node.elements) != 1 or node.redirects or node.background or type(node.elements[0]) is Command:
            return None
        return alone(node.elements[0])
    return None if type(node) is Group else node


def compiled(node: Node, is_item: Callable[[Node], bool], other: Callable[[Node, Value], Value], budget: Budget) -> Round:
    """A function of the item that gives the expression's value; `other` evaluates what has no quick way."""
    if is_item(node):
        return lambda item: item
    if type(node) is Literal:
        constant = node.value
        return lambda _item: constant
    if type(node) is Group:
        inner = alone(node)
        if inner is not None:
            return compiled(inner, is_item, other, budget)
    if type(node) is Cast:
        return compiled_cast(node.name, compiled(node.operand, is_item, other, budget))
    if type(node) is Chain and len(node.rest) == 1:
        operator, right = node.rest[0]
        if operator == "as" and type(right) is Type:
            return compiled_cast(right.name, compiled(node.first, is_item, other, budget))
        if operator in ARITHMETIC or operator == "+":
            return compiled_chain(
                operator, compiled(node.first, is_item, other, budget), compiled(right, is_item, other, budget), budget
            )
    return lambda item: other(node, item)


def compiled_cast(name: str, inner: Round) -> Round:
    """`[char]`, `[int]` and other casts."""
    if name == "char":

        def to_char(item: Value) -> Value:
            value = inner(item)
            return Char(chr(value)) if type(value) is int and 0 <= value < 0x110000 else cast("char", value)

        return to_char
    if name in ("int", "byte", "int32", "int16"):

        def to_int(item: Value) -> Value:
            value = inner(item)
            if type(value) is int:
                return value
            return int(value) if type(value) is str and value.isdecimal() and len(value) < 19 else cast(name, value)

        return to_int
    return lambda item: cast(name, inner(item))


def compiled_chain(operator: str, left: Round, right: Round, budget: Budget) -> Round:
    """Arithmetic on whole numbers at once, on anything else as everywhere."""
    if operator in ("bxor", "-", "band", "bor"):
        calculate = ARITHMETIC[operator]

        def quick(item: Value) -> Value:
            first, second = left(item), right(item)
            if type(first) is int and type(second) is int and -(1 << 60) < first < 1 << 60 and -(1 << 60) < second < 1 << 60:
                return calculate(first, second)
            return binary(operator, first, second, budget)

        return quick
    return lambda item: binary(operator, left(item), right(item), budget)


def element_loop(node: Loop) -> tuple[Variable, Variable, Node] | None:
    """`for (...; $i -lt ...; $i++) { $a[$i] = expression }` as array, index and expression; None for another loop."""
    if node.first or len(node.body) != 1 or len(node.step) != 1 or node.condition is None or len(node.condition) != 1:
        return None
    body, step, condition = node.body[0], alone(node.step[0]), alone(node.condition[0])
    if type(body) is not Assign or type(body.target) is not Index or type(step) is not Increment or step.by != 1:
        return None
    array, index = body.target.target, body.target.index
    if type(array) is not Variable or type(index) is not Variable or type(step.target) is not Variable:
        return None
    if step.target.name != index.name or type(condition) is not Chain or len(condition.rest) != 1:
        return None
    if type(condition.first) is not Variable or condition.first.name != index.name or condition.rest[0][0] not in ("lt", "ilt"):
        return None
    if body.operator != "=":
        return None
    expression = alone(body.value)
    return None if expression is None else (array, index, expression)


def is_element(array: str, index: str) -> Callable[[Node], bool]:
    """Whether a node is `$array[$index]`."""

    def check(node: Node) -> bool:
        if type(node) is not Index or type(node.target) is not Variable or type(node.index) is not Variable:
            return False
        return node.target.name == array and node.index.name == index

    return check
