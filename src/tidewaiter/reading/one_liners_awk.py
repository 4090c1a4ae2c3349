"""The streams of awk: pipes, redirected output and `/inet/tcp` sockets (gawk manual, 12.4 and 12.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tidewaiter.reading.one_liners_use import is_remote
from tidewaiter.reading.one_liners_values import Source, Value, merge

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_engine import Engine
    from tidewaiter.reading.one_liners_expressions import Expressions


def source_of(engine: Engine, value: Value) -> Value:
    """A stream of awk: `/inet/tcp/0/host/port` is a socket, another text is a command or a file."""
    if value.text is None or value.sources:
        return value
    match = re.match(r"/inet[46]?/(?:tcp|udp)/[^/]*/([^/]+)/([^/]+)", value.text)
    if match is None:
        return value
    endpoint = f"{match.group(1)}:{match.group(2)}"
    known = next((source for source in engine.sources if source.urls == [endpoint]), None)
    return Value(sources=(known or engine.add_source(Source([endpoint], socket=True)),))


def getline(parser: Expressions, left: Value) -> Value:
    """`stream |& getline x`, `"command" | getline x` and `getline x < "file"`."""
    operator = parser.tokens[parser.at].value
    parser.at += 2
    stream = source_of(parser.engine, left)
    sources = stream.sources
    if operator == "|" and left.text is not None and not sources:
        sources = parser.engine.shell_output("shell", left.text)
    token = parser.peek()
    names = ["$0", "$1", "$2"]
    if token is not None and token.kind == "name" and token.value.lower() not in parser.syntax.keywords:
        parser.at += 1
        names = [token.value]
    for name in names:
        parser.engine.variables[name] = Value(sources=sources)
    return Value()


def output(parser: Expressions, args: list[Value], operator: str) -> None:
    """`print x > file`, `print x | "sh"` and `print x |& stream`."""
    parser.at += 1
    target = parser.expression(comparisons=False)
    sources = merge(args) or merge([parser.engine.variables.get("$0", Value())] if not args else [])
    if operator in (">", ">>"):
        for source in sources:
            source.land(target.text)
        return
    if operator == "|&" or target.sources or is_remote(target.text):
        source_of(parser.engine, target)
        return
    if target.text is not None and re.match(r"\s*(?:\S*/)?(?:sh|bash|dash|zsh|python\d?|perl)\b", target.text):
        for source in sources:
            source.runs = True
