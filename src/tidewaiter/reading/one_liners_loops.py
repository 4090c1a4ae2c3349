"""The variables of a `for` in a program text, and what they run over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidewaiter.reading.one_liners_values import Value, merge

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_expressions import Expressions

PREFIXES = frozenset(
    {"new", "await", "typeof", "delete", "void", "yield", "my", "our", "local", "var", "let", "const", "set", "dim", "async"}
)
"""Words before a name that is bound or a value that is made."""


def bind_loop(parser: Expressions) -> None:
    """Bind the variables of a `for` to what they run over."""
    names, value = loop(parser)
    for name in names:
        parser.engine.variables[name] = Value(sources=merge([value]))


def loop(parser: Expressions) -> tuple[list[str], Value]:
    """The variables of a `for` and what they run over; no variables where it is another kind of loop."""
    place, names = 0, list[str]()
    while (token := parser.peek(place)) is not None and place < 14:
        if token.kind == "name" and token.value.lower() in ("in", "of"):
            break
        if token.kind == "op" and token.value == ":" and names:
            break
        if token.kind == "name" and token.value.lower() not in PREFIXES:
            names.append(token.value)
        elif token.kind == "op" and token.value == "(" and names:
            break  # perl: foreach my $x (list)
        elif not (token.kind == "name" or (token.kind == "op" and token.value in "(,)")):
            return [], Value()
        place += 1
    else:
        return [], Value()
    php = parser.engine.language.name == "php"
    if php or token is None:
        return [], Value()
    parser.at += place + (0 if token.value == "(" else 1)
    return names, parser.expression()
