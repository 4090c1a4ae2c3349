"""The syntax tree of a PowerShell script, as small as reading it needs. Positions are character offsets into the text."""

from __future__ import annotations

from dataclasses import dataclass, field


class Char(str):
    """A [char]: converts to a number by its code."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Node:
    """Any part of a script; `start` and `end` cut its spelling out of the text."""

    start: int
    end: int


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A constant: string, number or bare word."""

    value: object
    bare: bool = False


@dataclass(slots=True, eq=False)
class Expand(Node):
    """A double-quoted string or a bare word with variables in it."""

    parts: list[str | Node]


@dataclass(slots=True, eq=False)
class Variable(Node):
    """`$name`, `${name}`, `$scope:name`; `name` is lower case with `env:`, `variable:` or `function:` kept."""

    name: str


@dataclass(slots=True, eq=False)
class Splat(Node):
    """`@name` as an argument."""

    name: str


@dataclass(slots=True, eq=False)
class Group(Node):
    """Statements in `( )` (kind "("), `$( )` (kind "$") or `@( )` (kind "@")."""

    kind: str
    body: list[Node]


@dataclass(slots=True, eq=False)
class Hash(Node):
    """`@{ key = value }`."""

    pairs: list[tuple[Node, Node]]


@dataclass(slots=True, eq=False)
class Parameter(Node):
    """A declared parameter of a function or block."""

    name: str
    default: Node | None


@dataclass(slots=True, eq=False)
class Block(Node):
    """`{ ... }` with its parameters."""

    source: str
    parameters: list[Parameter]
    body: list[Node]


@dataclass(slots=True, eq=False)
class Type(Node):
    """`[name]`."""

    name: str


@dataclass(slots=True, eq=False)
class Cast(Node):
    """`[name]operand`."""

    name: str
    operand: Node


@dataclass(slots=True, eq=False)
class Unary(Node):
    """A prefix operator in lower case, without dash for words: "not", "join", "-"."""

    operator: str
    operand: Node


@dataclass(slots=True, eq=False)
class Chain(Node):
    """Operands of one precedence joined from left to right; a list, so that long concatenations do not nest."""

    precedence: int
    first: Node
    rest: list[tuple[str, Node]]


@dataclass(slots=True, eq=False)
class Array(Node):
    """`a, b, c`. Runs of constants, which decoders hold by the thousand, are in `constants` (`items` is empty then)."""

    items: list[Node]
    constants: list[object] | None = None


@dataclass(slots=True, eq=False)
class Member(Node):
    """`target.name`, `target::name`, and with `arguments` the call of it."""

    target: Node
    name: Node
    arguments: list[Node] | None = None


@dataclass(slots=True, eq=False)
class Index(Node):
    """`target[index]`."""

    target: Node
    index: Node


@dataclass(slots=True, eq=False)
class Increment(Node):
    """`$x++`, `--$x`; the value is that before the change where `after` is set."""

    target: Node
    by: int
    after: bool


@dataclass(slots=True, eq=False)
class Option(Node):
    """`-name` or `-name:value` among the arguments of a command; `name` as spelled without ticks and dash."""

    name: str
    value: Node | None


@dataclass(slots=True, eq=False)
class Redirect(Node):
    """`2>> target`; `stream` is "1" where none is given; target None for `2>&1`."""

    stream: str
    append: bool
    target: Node | None


@dataclass(slots=True, eq=False)
class Command(Node):
    """A command call: `called` is "&", "." or empty."""

    called: str
    name: Node
    elements: list[Node]
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Pipeline(Node):
    """Elements joined by `|`; redirections of an expression stand here."""

    elements: list[Node]
    redirects: list[Redirect]
    background: bool


@dataclass(slots=True, eq=False)
class Assign(Node):
    """`target operator value`, operator "=", "+=" and so on."""

    target: Node
    operator: str
    value: Node


@dataclass(slots=True, eq=False)
class If(Node):
    """`if`, `elseif` with their bodies, and `else`."""

    clauses: list[tuple[list[Node], list[Node]]]
    otherwise: list[Node] | None


@dataclass(slots=True, eq=False)
class Loop(Node):
    """`for`, `while`, `do`: the condition is None where there is none; `first` marks do-loops, `until` the negation."""

    before: list[Node]
    condition: list[Node] | None
    step: list[Node]
    body: list[Node]
    first: bool = False
    until: bool = False


@dataclass(slots=True, eq=False)
class Foreach(Node):
    """`foreach ($variable in values) { body }`."""

    variable: str
    values: list[Node]
    body: list[Node]


@dataclass(slots=True, eq=False)
class Switch(Node):
    """`switch (values) { label { body } }`; the label None is `default`."""

    values: list[Node]
    clauses: list[tuple[Node | None, list[Node]]]


@dataclass(slots=True, eq=False)
class Try(Node):
    """`try`, its `catch` bodies and `finally`."""

    bodies: list[list[Node]]


@dataclass(slots=True, eq=False)
class Function(Node):
    """A function definition."""

    name: str
    block: Block


@dataclass(slots=True, eq=False)
class Leave(Node):
    """`return`, `throw`, `break`, `continue`, `exit` with a value where there is one."""

    kind: str
    value: Node | None
