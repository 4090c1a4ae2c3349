"""Follows constants and content through the expressions of a program text, without running it.

One pass over the tokens reads and evaluates at once. The grammar is the part that C-like languages, Python, Ruby, Lua,
VBScript, awk and AppleScript have in common: assignments, member access, calls, operators, literals, functions. Loops and
branches are read once. What is not understood is stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tidewaiter.catalog.languages import Call, Language
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.one_liners_calls import apply, is_run_by, unspecified
from tidewaiter.reading.one_liners_parser import Parser
from tidewaiter.reading.one_liners_tokens import Part, Token, Tokenizer
from tidewaiter.reading.one_liners_use import Use
from tidewaiter.reading.one_liners_values import Function, Source, Value, merge

_NESTED_AT_MOST = 24
_VALUE_AT_MOST = 100_000


class Engine:
    """One reading of one text of code. The findings are in `sources`, `shell_texts` and `placed_on`."""

    def __init__(self, language: Language, budget: Budget) -> None:
        self.language, self.syntax, self.budget = language, language.syntax, budget
        self.variables: dict[str, Value] = {}
        self.sources: list[Source] = []
        self.placed_on: list[str] = []
        self.machine: str | None = None
        self.functions: list[Function] = []
        self._texts: list[tuple[str, str]] = []
        self._outputs: list[Source] = []
        self._calls = {name: call for call in language.call for name in call.names}
        self._depth = 0

    @property
    def shell_texts(self) -> list[tuple[str, str]]:
        """The shell texts, with what becomes of their output."""
        found = []
        for source in self._outputs:
            assert source.shell is not None
            shell, text = self._texts[source.shell]
            if source.runs:
                text += f" | {self.language.utility}"
            elif source.landed and source.dest:
                text += f' > "{source.dest}"'
            found.append((shell, text))
        return found

    def read(self, code: str) -> None:
        """Read a whole text, then the functions that it never called. Raises BudgetExceeded."""
        self.nested(code)
        for function in list(self.functions):
            if not function.called:
                self.invoke(function, [])

    def nested(self, code: str) -> Value:
        """Read a text of the same language with the variables of this one."""
        if self._depth >= _NESTED_AT_MOST or self.budget.depth_left <= 0:
            self._too_deep()
            return Value()
        self._depth += 1
        self.budget.depth_left -= 1
        try:
            tokens = _phrases(Tokenizer(code, self.syntax, self.budget).run(), self.syntax.phrases)
            return Parser(self, tokens).run()
        finally:
            self._depth -= 1
            self.budget.depth_left += 1

    def invoke(self, function: Function, args: Sequence[Value]) -> Value:
        """Read the body of a function with its parameters bound."""
        function.called = True
        if self._depth >= _NESTED_AT_MOST:
            self._too_deep()
            return Value()
        for number, name in enumerate(function.parameters):
            value = args[number] if number < len(args) else (args[-1] if args and args[-1].sources else Value())
            self.variables[name] = replace(value, variable="", text=value.text if number < len(args) else None)
        self._depth += 1
        try:
            return Parser(self, function.tokens, function.start, function.end).run()
        finally:
            self._depth -= 1

    def _too_deep(self) -> None:
        if "nested too deeply" not in self.budget.limits:
            self.budget.limits.append("nested too deeply")

    def spec(self, callee: Value) -> Call | None:
        """What the language file says of a function: by its whole name, by the end of its name, or as a method."""
        name = callee.name
        found = self._calls.get(name)
        if found is not None or not name:
            return found
        rest = name
        while "." in rest:
            rest = rest.partition(".")[2]
            if "." in rest and rest in self._calls:
                return self._calls[rest]
        if "." in name or callee.receiver is not None:
            return self._calls.get("." + name.rpartition(".")[2])
        return None

    def call(self, callee: Value, args: list[Value], keys: dict[str, Value]) -> Value:
        """The result of a call, after its effects."""
        self.budget.spend()
        if callee.function is not None:
            return self.invoke(callee.function, args)
        if callee.text is not None and re.fullmatch(r"\\?[A-Za-z_]\w*", callee.text):  # $f = "system"; $f("id")
            callee = Value(name=callee.text.lower().lstrip("\\"))
        spec = self.spec(callee)
        named = {name.lower(): value for name, value in keys.items()}
        result = unspecified(self, callee, args, named) if spec is None else apply(Use(self, spec, callee, args, named))
        self._call_back(callee, [*args, *keys.values()], result)
        return result

    def _call_back(self, callee: Value, args: Sequence[Value], result: Value) -> None:
        """Call the functions that were given as arguments, with the content that they could get."""
        for arg in args:
            if arg.function is not None:
                given = self._given(callee, args, result, arg)
                inner = self.invoke(arg.function, given * max(1, len(arg.function.parameters)))
                result.sources = merge([result, inner])
            elif arg.receiver is not None and arg.receiver.writes and arg.name.endswith(".write"):
                for source in result.sources:  # a method of a file given as a function
                    source.land(arg.receiver.path)
            elif arg.name and not arg.sources and arg.receiver is None and (spec := self.spec(arg)) is not None:
                given = self._given(callee, args, result, arg)
                if spec.does in ("run", "eval", "print", "load") and given[0].sources:
                    apply(Use(self, spec, arg, given, {}))

    @staticmethod
    def _given(callee: Value, args: Sequence[Value], result: Value, function: Value) -> list[Value]:
        others = [value for value in args if value is not function]
        handle = result if result.writes else next((value for value in others if value.writes), None)
        if handle is not None:
            return [replace(handle, variable="", receiver=None)]
        receiver = [callee.receiver] if callee.receiver is not None else []
        sources = merge([result, *receiver, *others])
        host = result.host
        return [Value(sources=sources, host=host, name=result.name if host else "")]

    def taint(self, value: Value | None, sources: Sequence[Source]) -> None:
        """What `value` was read from holds `sources` from now on."""
        if value is None or not sources:
            return
        target = self.variables.get(value.variable) if value.variable else None
        if value.variable and target is None:
            target = self.variables[value.variable] = replace(value, sources=())
        for holder in (value, target):
            if holder is not None:
                known = {id(source) for source in holder.sources}
                holder.sources += tuple(source for source in sources if id(source) not in known)

    def add_source(self, source: Source) -> Source:
        """Remember a fetch."""
        self.budget.spend()
        self.sources.append(source)
        return source

    def shell_output(self, shell: str, text: str) -> tuple[Source, ...]:
        """Remember a shell text; what it prints is content that may be followed."""
        if self.machine is not None:
            if re.search(r">|base64|curl|wget|tee\b", text) and self.machine not in self.placed_on:
                self.placed_on.append(self.machine)
            return ()
        self.budget.grow(len(text))
        source = Source([], shell=len(self._texts))
        self._texts.append((shell, text))
        self._outputs.append(source)
        return (source,)

    def mark_run(self, text: str) -> None:
        """A program or shell text is started: what was fetched to a file that it names is run."""
        for source in self.sources:
            if source.dest and is_run_by(text, source.dest):
                source.runs = True

    def text_of(self, parts: Sequence[Part]) -> Value:
        """The value of a string with its interpolated parts."""
        texts: list[str | None] = []
        values: list[Value] = []
        for is_code, part in parts:
            if not is_code:
                texts.append(part)
                continue
            bare = self.syntax.interpolation in ("perl", "php") and re.fullmatch(r"\w+", part)
            value = self.variables.get("$" + part, Value()) if bare else self.nested(part)
            values.append(value)
            texts.append(value.text)
        if any(text is None for text in texts):
            return Value(sources=merge(values))
        joined = "".join(text for text in texts if text is not None)
        return Value(text=joined if len(joined) <= _VALUE_AT_MOST else None, sources=merge(values))

    def join(self, left: Value, right: Value) -> Value:
        """Two texts or lists side by side."""
        sources = merge([left, right])
        if left.items is not None and right.items is not None:
            return Value(items=(left.items + right.items)[:1_000], sources=sources)
        if left.text is None or right.text is None or len(left.text) + len(right.text) > _VALUE_AT_MOST:
            return Value(sources=sources)
        self.budget.grow(len(left.text) + len(right.text))
        return Value(text=left.text + right.text, sources=sources)


def _phrases(tokens: list[Token], phrases: dict[str, str]) -> list[Token]:
    """Put one name in the place of several words that mean one thing."""
    if not phrases:
        return tokens
    by_first: dict[str, list[tuple[list[str], str]]] = {}
    for spelled, name in sorted(phrases.items(), key=lambda pair: -len(pair[0])):
        words = spelled.split()
        by_first.setdefault(words[0], []).append((words, name))
    found: list[Token] = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        for words, name in by_first.get(token.value.lower(), ()) if token.kind == "name" else ():
            if [part.value.lower() for part in tokens[position : position + len(words)] if part.kind == "name"] == words:
                found.append(Token("name", name))
                position += len(words)
                break
        else:
            found.append(token)
            position += 1
    return found
