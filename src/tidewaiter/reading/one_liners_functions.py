"""Where languages differ in grammar: definitions, lambdas, blocks, imports, loops in brackets, and the streams of awk."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tidewaiter.reading import one_liners_awk
from tidewaiter.reading.one_liners_loops import loop
from tidewaiter.reading.one_liners_values import Function, Value, merge

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_engine import Engine
    from tidewaiter.reading.one_liners_expressions import Expressions

DEFINES = frozenset({"def", "function", "sub", "fn", "func"})
COMPREHENDED_AT_MOST = 2_000
_ENDS = frozenset(["do", "function", "begin", "def", "class", "case", "then"])
_NO_BARE = frozenset(
    {"if", "unless", "while", "until", "and", "or", "not", "do", "then", "else", "end", "in", "return", "self", "nil", "true"}
)


def closing(parser: Expressions, start: int) -> int:
    """The place of the bracket that closes the one at `start`, or the end."""
    depth = 0
    for place in range(start, parser.end):
        token = parser.tokens[place]
        if token.kind != "op":
            continue
        if token.value in "([{":
            depth += 1
        elif token.value in ")]}":
            depth -= 1
            if not depth:
                return place
    return parser.end


def _body_end(parser: Expressions, start: int) -> int:
    """The end of an expression body: the first comma, semicolon or closer at its own level."""
    depth = 0
    for place in range(start, parser.end):
        token = parser.tokens[place]
        if token.kind != "op":
            continue
        if token.value in "([{":
            depth += 1
        elif token.value in ")]}":
            if not depth:
                return place
            depth -= 1
        elif token.value in ",;" and not depth:
            return place
    return parser.end


def _word_end(parser: Expressions, start: int) -> int:
    """The place of the `end` that closes a body of Ruby or Lua which begins at `start`."""
    depth = 1
    for place in range(start, parser.end):
        token = parser.tokens[place]
        if token.kind != "name":
            continue
        word = token.value.lower()
        before = parser.tokens[place - 1] if place else None
        opens = word in _ENDS or (
            word in ("if", "unless", "while") and (before is None or before.kind == "line" or before.value == ";")
        )
        if word == "then" or (word in ("if", "while", "for") and not parser.syntax.bare_methods):
            opens = word == "if" and not parser.syntax.bare_methods
        if opens:
            depth += 1
        elif word == "end":
            depth -= 1
            if not depth:
                return place
    return parser.end


def _make(parser: Expressions, names: list[str], start: int, end: int, after: int) -> Value:
    function = Function(tuple(names), start, end, parser.tokens)
    parser.engine.functions.append(function)
    parser.at = min(after, parser.end)
    return Value(function=function)


def _body(parser: Expressions, names: list[str], place: int) -> Value:
    """A function whose body begins at `place`: braces, `end`, or an expression."""
    if place < parser.end and parser.tokens[place].value == "{" and parser.tokens[place].kind == "op":
        stop = closing(parser, place)
        return _make(parser, names, place + 1, stop, stop + 1)
    if parser.syntax.blocks == "end":
        stop = _word_end(parser, place)
        return _make(parser, names, place, stop, stop + 1)
    stop = _body_end(parser, place)
    return _make(parser, names, place, stop, stop)


def _names(parser: Expressions, start: int, end: int) -> list[str]:
    """The parameter names between two places; types before them and defaults after them do not count."""
    found: list[str] = []
    fresh = True
    for place in range(start, end):
        token = parser.tokens[place]
        if token.kind == "name" and (fresh or (found and parser.tokens[place - 1].kind == "name")):
            if fresh:
                found.append(token.value)
            else:
                found[-1] = token.value  # Java: the type stands before the name
            fresh = False
        elif token.kind == "op" and token.value == ",":
            fresh = True
    return found


def arrow_is_lambda(parser: Expressions) -> bool:
    """Whether `=>` after a name begins a function rather than a pair."""
    return parser.syntax.interpolation == "javascript"


def read_lambda(parser: Expressions) -> Value | None:
    """A function without a name at the present place."""
    token = parser.peek()
    at = parser.at
    if token is None:
        return None
    if token.kind == "op" and token.value == "(":
        stop = closing(parser, at)
        if stop + 1 < parser.end and parser.tokens[stop + 1].value in ("=>", "->") and _has_arrows(parser, stop + 1):
            return _body(parser, _names(parser, at + 1, stop), stop + 2)
        return None
    if token.kind == "op" and token.value == "->" and parser.syntax.bare_methods:  # ruby ->(x) { }
        if parser.is_op("(", ahead=1):
            stop = closing(parser, at + 1)
            return _body(parser, _names(parser, at + 2, stop), stop + 1)
        return _body(parser, [], at + 1)
    if token.kind != "name":
        return None
    word = token.value.lower()
    if at + 1 < parser.end and parser.tokens[at + 1].value in ("=>", "->") and _has_arrows(parser, at + 1):
        return _body(parser, [token.value], at + 2)
    if word == "lambda" and parser.syntax.blocks == "indent":
        place = at + 1
        while place < parser.end and parser.tokens[place].value != ":":
            place += 1
        return _body(parser, _names(parser, at + 1, place), place + 1)
    if word in ("function", "fn", "sub"):
        return _anonymous(parser, word)
    return None


def _has_arrows(parser: Expressions, place: int) -> bool:
    """Whether the arrow at `place` makes a function in this language."""
    arrow = parser.tokens[place].value
    return (arrow == "=>" and parser.syntax.interpolation == "javascript") or (
        arrow == "->" and parser.engine.language.name == "java"
    )


def _anonymous(parser: Expressions, word: str) -> Value | None:
    place = parser.at + 1
    if place < parser.end and parser.tokens[place].kind == "name":  # function expressions may have a name
        place += 1
    if word == "sub" and place < parser.end and parser.tokens[place].value == "{":
        return _body(parser, ["$_"], place)
    if place >= parser.end or parser.tokens[place].value != "(":
        return None
    stop = closing(parser, place)
    names = _names(parser, place + 1, stop)
    after = stop + 1
    if after < parser.end and parser.tokens[after].value == "use":
        after = closing(parser, after + 1) + 1
    if after < parser.end and parser.tokens[after].value == "=>":
        after += 1
    return _body(parser, names, after)


def read_block(parser: Expressions) -> Value | None:
    """`{ |x| ... }` or `do |x| ... end` after a call in Ruby."""
    if not parser.syntax.bare_methods:
        return None
    token = parser.peek()
    if token is None or token.value not in ("{", "do") or token.kind == "text":
        return None
    place, names = parser.at + 1, list[str]()
    if place < parser.end and parser.tokens[place].value == "|":
        stop = place + 1
        while stop < parser.end and parser.tokens[stop].value != "|":
            stop += 1
        names, place = _names(parser, place + 1, stop), stop + 1
    stop = closing(parser, parser.at) if token.value == "{" else _word_end(parser, place)
    return _make(parser, names, place, stop, stop + 1)


def is_definition(parser: Expressions) -> bool:
    """Whether a named function is defined here."""
    name = parser.peek(1)
    return name is not None and name.kind == "name"


def read_definition(parser: Expressions) -> None:
    """`def f(x):`, `function f(x) {`, `sub f {`, `Function f(x)`."""
    name = parser.tokens[parser.at + 1].value
    place = parser.at + 2
    names: list[str] = []
    if place < parser.end and parser.tokens[place].value == "(":
        stop = closing(parser, place)
        names, place = _names(parser, place + 1, stop), stop + 1
    if parser.syntax.blocks == "indent":
        value = _indented(parser, names, place)
    elif parser.syntax.doubled_quotes:
        stop = place
        while stop < parser.end and parser.tokens[stop].value.lower() != "end":
            stop += 1
        value = _make(parser, names, place, stop, stop + 2)
    else:
        value = _body(parser, names, place)
    key = name.lower() if parser.syntax.doubled_quotes else name
    parser.engine.variables[key] = value


def _indented(parser: Expressions, names: list[str], place: int) -> Value:
    """A Python body: the rest of the line, or the lines that are indented more than the definition."""
    tokens = parser.tokens
    own = 0
    for before in range(parser.at - 1, -1, -1):
        if tokens[before].kind == "line":
            own = int(tokens[before].value)
            break
    while place < parser.end and not (tokens[place].kind == "op" and tokens[place].value == ":"):
        place += 1
    stop = place + 1
    first_line = stop < parser.end and tokens[stop].kind != "line"
    while stop < parser.end:
        if tokens[stop].kind == "line" and (first_line or int(tokens[stop].value) <= own):
            break
        stop += 1
    return _make(parser, names, place + 1, stop, stop)


def read_import(parser: Expressions) -> None:
    """`import a.b as c, d` and `from a.b import c as d` of Python; other languages' imports are stepped over."""
    words: list[str] = []
    while (token := parser.peek()) is not None and token.kind != "line" and not (token.kind == "op" and token.value in ";}"):
        words.append(token.value if token.kind in ("name", "op") else "")
        parser.at += 1
    if parser.syntax.blocks != "indent":
        return
    text = " ".join(words).replace(" . ", ".").replace("( ", "").replace(" )", "")
    match = re.match(r"from (\.*[\w.]+) import (.*)", text)
    prefix, listed = (match.group(1) + ".", match.group(2)) if match else ("", text.removeprefix("import "))
    for part in listed.split(" , ")[:100]:
        name, _, alias = part.strip().partition(" as ")
        target = (prefix + name).lower()
        if alias:
            parser.engine.variables[alias.strip()] = Value(name=target)
        elif prefix:
            parser.engine.variables[name] = Value(name=target)


def comprehension(parser: Expressions) -> list[Value] | None:
    """The items of `[f(x) for x in y]`, whose bracket was just opened; None where it is an ordinary list.

    The head is read once for every item of a constant list, and once for anything else.
    """
    if parser.syntax.blocks != "indent":
        return None
    depth, place, head = 0, parser.at, parser.at
    while place < min(parser.end, head + 400):
        token = parser.tokens[place]
        if token.kind == "op" and token.value in "([{":
            depth += 1
        elif token.kind == "op" and token.value in ")]}":
            if not depth:
                return None
            depth -= 1
        elif token.kind == "name" and token.value == "for" and not depth:
            break
        place += 1
    else:
        return None
    stop = closing(parser, head - 1)
    parser.at = place + 1
    names, value = loop(parser)
    constants = value.items or [Value(text=char) for char in value.text or ""]
    found: list[Value] = []
    for item in constants[:COMPREHENDED_AT_MOST] or [Value(sources=merge([value]))]:
        for name in names:
            parser.engine.variables[name] = replace(item, variable=name)
        found.append(parser.part(head, place))
    parser.at = min(stop + 1, parser.end)
    return found


def index(parser: Expressions, value: Value) -> Value:
    """`value[...]`: an item, a member, or a slice."""
    begin = parser.at
    stop = closing(parser, begin - 1)
    spelled = [token.value for token in parser.tokens[begin:stop] if token.kind != "line"]
    if spelled in ([":", ":", "-", "1"], ["::", "-", "1"]):
        parser.at = stop + 1
        items = list(reversed(value.items)) if value.items is not None else None
        return replace(value, text=value.text[::-1] if value.text is not None else None, items=items, variable="", name="")
    keys = parser.sequence("]")
    if ":" in spelled:
        return Value(sources=value.sources) if value.text is None else Value()
    key = keys[0] if keys else Value()
    if key.text is not None and key.text.lower() in value.keys:
        return value.keys[key.text.lower()]
    if value.items is not None and key.text is not None and key.text.isdigit() and int(key.text) < len(value.items):
        return value.items[int(key.text)]
    if key.text is not None and re.fullmatch(r"[A-Za-z_]\w*", key.text) and value.name:
        return replace(value, name=f"{value.name}.{key.text.lower()}", receiver=value, variable="", text=None)
    return Value(sources=value.sources, variable="")


def calls_with_table(parser: Expressions, value: Value) -> bool:
    """Whether a string or table right after `value` is its argument, as in Lua."""
    return parser.syntax.blocks == "end" and not parser.syntax.bare_calls and bool(value.name) and value.text is None


def is_bare_call(parser: Expressions, value: Value) -> bool:
    """Whether the tokens after `value` are its arguments, without parentheses."""
    if not value.name or value.text is not None or value.name in _NO_BARE or value.function is not None:
        return False
    if value.receiver is None and value.sources:
        return False
    if value.receiver is None and value.variable in parser.engine.variables and (value.name.endswith("()") or value.writes):
        return False
    if value.variable.startswith("$") and value.receiver is None:
        return False
    if parser.syntax.juxtaposed and value.name not in ("print", "printf", "system", "getline"):
        return False
    if parser.starts_value():
        following = parser.peek()
        assert following is not None
        return following.kind != "pattern"
    return parser.is_op("[", "{", "\\") and parser.syntax.bare_methods and value.receiver is None and parser.is_op("[")


def bare_call(parser: Expressions, value: Value) -> Value:
    """A call whose arguments stand without parentheses."""
    args: list[Value] = []
    keys: dict[str, Value] = {}
    prints = parser.syntax.juxtaposed and value.name in ("print", "printf")
    while (token := parser.peek()) is not None:
        before = parser.at
        parser.argument(args, keys, comparisons=not prints)
        if "handle" in keys and not args and parser.starts_value():
            continue
        if parser.at == before or not parser.is_op(","):
            break
        parser.at += 1
    if prints and (token := parser.peek()) is not None and token.kind == "op" and token.value in (">", ">>", "|", "|&"):
        one_liners_awk.output(parser, args, token.value)
        return Value()
    parser.block(args)
    return parser.engine.call(value, args, keys)


def percent_format(left: Value, right: Value) -> Value:
    """Python's `"..." % value` with constant values."""
    values = right.items if right.items is not None else [right]
    texts = [value.text for value in values]
    sources = merge([left, right])
    if left.text is None or any(text is None for text in texts):
        return Value(sources=sources)
    waiting = [text for text in texts if text is not None]
    out = re.sub(r"%[sdr]", lambda _: waiting.pop(0) if waiting else "", left.text)
    return Value(text=out[:100_000], sources=sources)


def shift(engine: Engine, left: Value, right: Value) -> Value:
    """`file << content` of Ruby writes; elsewhere it is a number."""
    sources = merge([right])
    if left.writes:
        for source in sources:
            source.land(left.path)
    elif left.text is not None and right.text is not None:
        return engine.join(left, right)
    elif left.text is not None and left.name.endswith("file()"):
        for source in sources:
            source.land(left.text)
    engine.taint(left, sources)
    return replace(left, sources=merge([left, right]))
