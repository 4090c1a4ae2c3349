"""The expressions of a program text, read and evaluated in one pass over its tokens. See `one_liners_engine`."""

from __future__ import annotations

from dataclasses import replace

from tidewaiter.reading import one_liners_awk
from tidewaiter.reading import one_liners_functions as functions
from tidewaiter.reading import one_liners_patterns as patterns
from tidewaiter.reading.one_liners_cursor import Cursor
from tidewaiter.reading.one_liners_loops import PREFIXES
from tidewaiter.reading.one_liners_tokens import Token
from tidewaiter.reading.one_liners_values import Value, merge

NESTING_AT_MOST = 40
ITEMS_AT_MOST = 5_000
_CLOSERS = frozenset({")", "]", "}"})
_ASSIGNS = frozenset({"=", "+=", "-=", ".=", "&=", ":=", "||=", "..="})
_BINARY = frozenset(
    {"==", "!=", "===", "!==", "<", ">", "<=", ">=", "<<", ">>", "|", "|&", "||", "&&", "&", "^", "*", "/", "%", "-", "+", "**",
     "=~", "!~", "~", "??", "..", "."}
)  # fmt: skip
_SIGNS = frozenset({"!", "-", "+", "~", "@", "&", "*", "**", "..", "...", "\\", "?", "::", "%", "$"})


class Expressions(Cursor):
    """Reads expressions."""

    def part(self, start: int, end: int) -> Value:
        """The value of the expression between two places."""
        return type(self)(self.engine, self.tokens, start, end, self._nesting + 1).expression()

    # ----------------------------------------------------------- expressions
    def expression(self, *, comparisons: bool = True) -> Value:
        """One expression. `comparisons` False stops before `<`, `>` and `|` (output redirection of awk)."""
        if self._nesting >= NESTING_AT_MOST:
            self.at += 1
            return Value()
        self._nesting += 1
        try:
            self.engine.budget.spend()
            left = self._unary()
            while (token := self.peek()) is not None:
                self.engine.budget.spend()
                after = self._operator(left, token, comparisons)
                if after is None:
                    break
                left = after
            return left
        finally:
            self._nesting -= 1

    def _operator(self, left: Value, token: Token, comparisons: bool) -> Value | None:
        """Read an operator and what follows it; None where there is none."""
        after = None
        if token.kind == "op":
            after = self._symbol(left, token.value, comparisons)
        elif token.kind == "name" and not self.is_op("=", ".", ",", ")", ";", ahead=1):
            after = self._word(left, token.value.lower())
        if after is None and self.syntax.juxtaposed and self.starts_value():
            after = self.engine.join(left, self._unary())
        return after

    def _symbol(self, left: Value, symbol: str, comparisons: bool) -> Value | None:
        engine = self.engine
        if symbol in _ASSIGNS:
            self.at += 1
            right = self.expression(comparisons=comparisons)
            return self.assign(left, right if symbol in ("=", ":=", "||=") else engine.join(left, right))
        if symbol == "?":
            self.at += 1
            first = self.expression()
            second = Value()
            if self.is_op(":"):
                self.at += 1
                second = self.expression()
            return replace(first, sources=merge([left, first, second]))
        if symbol in self.syntax.joins:
            self.at += 1
            return engine.join(left, self._unary())
        if symbol in ("|", "|&", "<") and self.syntax.juxtaposed and self.is_name("getline", ahead=1):
            return one_liners_awk.getline(self, left)
        if symbol not in _BINARY or (not comparisons and symbol in ("<", ">", ">>", "|", "|&")):
            return None
        self.at += 1
        operation = self.peek()
        if symbol == "=~" and operation is not None and operation.kind == "pattern":
            changed = patterns.bind(left, operation.value)
            if changed is not None:
                self.at += 1
                return self.assign(left, changed) if left.variable else changed
        right = self._unary()
        if symbol == "%" and left.text is not None and engine.language.name == "python":
            return functions.percent_format(left, right)
        if symbol == "*" and left.text is not None and right.text is not None and right.text.isdigit():
            return Value(text=(left.text * min(int(right.text), 1_000))[:ITEMS_AT_MOST])
        if symbol == "<<":
            return functions.shift(engine, left, right)
        return Value(sources=merge([left, right]))

    def _word(self, left: Value, word: str) -> Value | None:
        """Operators that are words."""
        if word == "as" and self.peek(1) is not None and self.engine.language.name == "python":
            name = self.tokens[self.at + 1].value
            self.at += 2
            self.engine.variables[name] = replace(left, variable="")
            return left
        if word == "to" and self.syntax.phrases:
            if not left.variable:
                return None
            self.at += 1
            return self.assign(left, self.expression())
        if word in self._words:
            self.at += 1
            right = self._unary()
            return replace(left, sources=merge([left, right]), name="")
        if word in ("if", "unless", "else") and not self.syntax.doubled_quotes:
            self.at += 1
            right = self.expression()
            return replace(left, sources=merge([left, right]) if word == "else" else left.sources)
        return None

    def assign(self, left: Value, right: Value) -> Value:
        """Give a variable or member its value."""
        engine = self.engine
        if left.variable and left.receiver is None:
            engine.variables[left.variable] = replace(right, variable=left.variable)
            if self.syntax.interpolation == "perl":
                return engine.variables[left.variable]  # ($x = "...") =~ s/a/b/ changes $x
        elif left.items is not None:
            for number, item in enumerate(left.items):
                if item.variable:
                    parts = right.items or []
                    inherited = f"{right.name}.{item.variable.lower()}" if right.name and not parts else ""
                    source = parts[number] if number < len(parts) else Value(sources=right.sources, name=inherited)
                    engine.variables[item.variable] = replace(source, variable=item.variable)
        elif left.receiver is not None:
            member = left.name.rpartition(".")[2]
            left.receiver.keys[member] = right
            engine.taint(left.receiver, merge([right]))
            if right.function is not None:
                engine.invoke(right.function, [Value(sources=left.receiver.sources)])
            spec = engine.spec(replace(left, name=left.name + "="))
            if spec is not None:
                engine.call(replace(left, name=left.name + "="), [right], {})
        return right

    def _unary(self) -> Value:
        token = self.peek()
        if token is None:
            return Value()
        if self._nesting >= NESTING_AT_MOST:
            self.at += 1
            return Value()
        if token.kind == "op" and token.value in _SIGNS:
            self.at += 1
            self._nesting += 1
            try:
                return self._unary()
            finally:
                self._nesting -= 1
        if token.kind == "name" and not self.is_op(".", "=", "(", ahead=1):
            word = token.value.lower()
            if word == "map" and self.is_op("{", ahead=1) and self.syntax.interpolation == "perl":
                return self._postfix(patterns.mapped(self))
            if word == "new" and self.peek(1) is not None:
                self.at += 1
                return self._new()
            if word in PREFIXES or word == "not":
                self.at += 1
                self._nesting += 1
                try:
                    return self._unary()
                finally:
                    self._nesting -= 1
        return self._postfix(self._primary())

    def _new(self) -> Value:
        """`new X(...)`, `new X`, `new X[] {...}`."""
        token = self.peek()
        assert token is not None
        if token.kind != "name":
            return self._unary()
        self.at += 1
        name = token.value
        while self.is_op(".", "\\") and (member := self.peek(1)) is not None and member.kind == "name":
            self.at += 2
            name += "." + member.value
        callee = self.variables_or_name(name)
        if self.is_op("["):  # an array
            self.at += 1
            self.sequence("]")
            return self._postfix(self._primary()) if self.is_op("{") else Value()
        if not self.is_op("("):
            return self._postfix(self.engine.call(callee, [], {}))
        self.at += 1
        args, keys = self.arguments(")")
        return self._postfix(self.engine.call(callee, args, keys))

    def variables_or_name(self, name: str) -> Value:
        """A variable's value, or the name itself as a value."""
        key = name.lower() if self.syntax.doubled_quotes else name
        known = self.engine.variables.get(key)
        if known is not None:
            return replace(known, variable=key, receiver=None)
        return Value(name=name.lower().removeprefix("$") or "$" if self.syntax.sigils else name.lower(), variable=key)

    def _primary(self) -> Value:
        token = self.peek()
        if token is None:
            return Value()
        function = functions.read_lambda(self)
        if function is not None:
            return function
        self.at += 1
        if token.kind == "text":
            return self._text(token)
        if token.kind == "shell":
            value = self.engine.text_of(token.parts)
            if value.text is None:
                return Value()
            self.engine.mark_run(value.text)
            return Value(sources=self.engine.shell_output("shell", value.text))
        if token.kind == "words":
            return Value(items=[Value(text=word) for word in token.value.split()[:ITEMS_AT_MOST]])
        if token.kind == "number":
            return Value(text=token.value)
        if token.kind == "name":
            return self.variables_or_name(token.value)
        if token.kind == "op":
            return self._bracket(token.value)
        return Value()

    def _text(self, token: Token) -> Value:
        """A string; Python joins those that stand side by side."""
        value = self.engine.text_of(token.parts)
        while self.syntax.blocks == "indent" and (following := self.peek()) is not None and following.kind == "text":
            self.at += 1
            value = self.engine.join(value, self.engine.text_of(following.parts))
        return value

    def _bracket(self, opening: str) -> Value:
        if opening == "(":
            items = self.sequence(")")
            return items[0] if len(items) == 1 and not items[0].keys else Value(items=items)
        if opening == "[":
            args, keys = self.arguments("]")
            return Value(items=args, keys=keys)
        if opening == "{":
            args, keys = self.arguments("}")
            return Value(items=args or None, keys=keys)
        if opening in _CLOSERS or opening in ",;:":
            self.at -= 1
        return Value()

    def sequence(self, closer: str) -> list[Value]:
        """The expressions up to `closer`, which is consumed."""
        return self.arguments(closer)[0]

    def arguments(self, closer: str) -> tuple[list[Value], dict[str, Value]]:
        """Arguments, list items or key-value pairs up to `closer`, which is consumed."""
        args: list[Value] = []
        keys: dict[str, Value] = {}
        self._brackets += 1
        try:
            items = functions.comprehension(self)
            if items is not None:
                return items, keys
            while (token := self.peek()) is not None:
                if token.kind == "op" and token.value in _CLOSERS:
                    self.at += token.value == closer
                    break
                before = self.at
                if token.kind == "op" and token.value in (",", ";", ":"):
                    self.at += 1
                    continue
                self.argument(args, keys)
                if self.at == before:
                    self.at += 1
        finally:
            self._brackets -= 1
        return args, keys

    def argument(self, args: list[Value], keys: dict[str, Value], *, comparisons: bool = True) -> None:
        """One argument: `x`, `name=x`, `name: x`, `name => x`."""
        token = self.peek()
        assert token is not None
        named = token.kind in ("name", "text") and self.peek(1) is not None
        arrow = named and self.is_op("=>", ahead=1) and not functions.arrow_is_lambda(self)
        colon = (
            named
            and self.is_op(":", ":=", ahead=1)
            and not self._colon_calls()
            and (token.kind == "text" or not self.syntax.colon_ends)
        )
        equals = (
            named and token.kind == "name" and self.is_op("=", ahead=1) and self._brackets > 0 and self.syntax.blocks != "brace"
        )
        if arrow or colon or equals:
            self.at += 2
            name = token.value if token.kind == "name" else "".join(part for _, part in token.parts)
            keys[name.lower()] = self.expression(comparisons=comparisons)
            return
        if self.is_op("[") and self.syntax.blocks == "end" and not self.syntax.bare_calls:  # lua: [key] = value
            self.at += 1
        value = self.expression(comparisons=comparisons)
        if len(args) < ITEMS_AT_MOST:
            args.append(value)
        if self.is_op("=>"):
            self.at += 1
            keys[(value.text or value.name).lower()] = self.expression()
            args.pop()
        elif self.syntax.generic_quotes and not args[:-1] and self.starts_value():  # perl: print FILE list
            keys["handle"] = args.pop()

    # --------------------------------------------------------------- postfix
    def _postfix(self, value: Value) -> Value:
        while (token := self.peek()) is not None:
            if self.syntax.newline_ends and token.kind == "line":
                if not (self.at + 1 < self.end and self.tokens[self.at + 1].value == "."):
                    return value
                self.at += 1
                continue
            after = self._step(value, token)
            if after is None:
                return value
            value = after
        return value

    def _step(self, value: Value, token: Token) -> Value | None:
        following = self.peek(1)
        if token.kind == "op":
            dotted = token.value in (".", "?.") and "." not in self.syntax.joins
            if (dotted or token.value in ("->", "::")) and following is not None:
                if following.kind in ("name", "text") or (following.kind == "number" and dotted):
                    self.at += 2
                    return self._member(value, following)
                self.at += 1
                return value if following.kind == "op" else None
            if token.value == ":" and following is not None and following.kind == "name" and self._colon_calls():
                self.at += 2
                return self._member(value, following)
            if token.value == "(":
                self.at += 1
                args, keys = self.arguments(")")
                self.block(args)
                return self.engine.call(value, args, keys)
            if token.value == "[":
                self.at += 1
                return functions.index(self, value)
            if token.value == "{" and self.syntax.blocks == "brace" and value.variable.startswith("$"):
                self.at += 1
                self.sequence("}")
                return Value(sources=value.sources)
            if token.value == "{" and functions.calls_with_table(self, value):
                self.at += 1
                args, keys = self.arguments("}")
                return self.engine.call(value, [Value(items=args, keys=keys)], {})
        if functions.calls_with_table(self, value) and token.kind == "text":
            self.at += 1
            return self.engine.call(value, [self.engine.text_of(token.parts)], {})
        if self.syntax.bare_calls and functions.is_bare_call(self, value):
            return functions.bare_call(self, value)
        return None

    def _colon_calls(self) -> bool:
        """Lua's `object:method(...)`."""
        return self.syntax.blocks == "end" and not self.syntax.bare_calls

    def _member(self, value: Value, token: Token) -> Value:
        name = token.value.lower()
        if token.kind == "text":
            name = "".join(part for _, part in token.parts).lower()
        if name in value.keys and not self.is_op("("):
            return value.keys[name]
        silent = name in self.engine.language.silent_members
        full = f"{value.name}.{name}" if value.name else f".{name}"
        member = replace(
            value, name=full, receiver=value, text=None, items=None, keys={}, variable="", function=None,
            sources=() if silent else value.sources,
        )  # fmt: skip
        calls = self.syntax.bare_methods and not self.is_op("(", "=", "+=", "||=")
        if calls and not functions.is_bare_call(self, member):
            args: list[Value] = []
            self.block(args)
            return self.engine.call(member, args, {})
        return member

    def block(self, args: list[Value]) -> None:
        """A block of Ruby after a call is its last argument."""
        block = functions.read_block(self)
        if block is not None:
            args.append(block)
