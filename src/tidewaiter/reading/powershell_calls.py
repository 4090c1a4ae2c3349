"""Commands of a script: names resolved, parameters bound, and what they do recorded as invocations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidewaiter.reading.invocation import Invocation, Word
from tidewaiter.reading.powershell_nodes import Array, Command, Literal, Node, Option, Redirect, Splat
from tidewaiter.reading.powershell_objects import Objects
from tidewaiter.reading.powershell_operators import unknown
from tidewaiter.reading.powershell_values import (
    Blend,
    Closure,
    Content,
    MethodRef,
    Table,
    TypeRef,
    Value,
    content_of,
    is_known,
    merge,
    to_list,
    to_text,
    to_word,
)

QUALIFIED = re.compile(r"(?:[\w.]+\\)?([a-z]+-[\w-]+|foreach|where)", re.IGNORECASE)
MOST_RECURSION = 2
"""How often a function is read inside of itself."""
MOST_EACH = 32
URL = re.compile(r"://")
RUN_BLOCKS = ("scriptblock", "process", "begin", "end", "filterscript", "initializationscript", "action", "parallel")


@dataclass(slots=True, eq=False)
class Bound:
    """Evaluated arguments: positional ones in order, and named ones by full lower-case name."""

    positional: list[Value] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)
    strange: bool = False  # a parameter that the cmdlet does not have, or a shortened one of a single letter

    def take(self, name: str, position: int = 0) -> Value:
        """The parameter by name or position; None where it was not given."""
        if name in self.named:
            return self.named[name]
        return self.positional[position] if position < len(self.positional) else None


class Calls(Objects):
    """Command execution, as far as constants go."""

    def builtin(self, name: str, bound: Bound, piped: list[Value] | None, node: Command) -> list[Value] | None:
        """Evaluate a cmdlet that computes; None where it is none of those."""
        raise NotImplementedError

    # names ------------------------------------------------

    def resolve(self, spelled: str) -> tuple[str, bool]:
        """The full name of a command and whether it is a cmdlet rather than a program."""
        name = spelled.strip().lower()
        match = QUALIFIED.fullmatch(name)
        if match and "\\" in name:
            name = match[1]
        for _ in range(5):
            known = self.aliases.get(name) or self.knowledge.aliases.get(name)
            if known is None or known == name:
                break
            name = known
        if name in self.knowledge.cmdlets:
            return name, True
        if "get-" + name in self.knowledge.cmdlets and "." not in name:  # PowerShell tries Get- before it gives up
            return "get-" + name, True
        verb, dash, noun = name.partition("-")
        return name, bool(dash) and verb in self.knowledge.commands.verbs and re.fullmatch(r"\w+", noun) is not None

    def command(self, node: Command, piped: list[Value] | None) -> list[Value]:
        """Run one command of a pipeline; `piped` is what comes through the pipe, None for the first."""
        self.budget.spend()
        name_value = node.name.value if type(node.name) is Literal else self.value(node.name)
        if type(name_value) is list and len(name_value) == 1:
            name_value = name_value[0]
        if type(name_value) is Closure:
            if name_value.block is None:
                return self.run_text(name_value.text, node)
            bound = self.bind("", node)
            return to_list(self.call_block(name_value, bound.positional, piped, own=node.called == "&"))
        if type(name_value) is MethodRef and name_value.name == "invoke":
            name_value = name_value.target
        spelled = name_value.constant if type(name_value) is Blend and name_value.constant else to_text(name_value)
        name, is_cmdlet = self.resolve(spelled)
        if name in self.functions:
            self.functions_read.add(name)
            return self.call_function(name, node, piped)
        if not is_cmdlet:
            if spelled.strip().lower() in self.aliases:  # an alias that this script made for a program
                return self.program(node, name, name, piped)
            return self.program(node, name_value, spelled, piped)
        bound = self.bind(name, node)
        if bound.strange and spelled.lower() in self.knowledge.commands.also_programs:
            return self.program(node, spelled, spelled, piped)
        if name == "invoke-expression":
            return self.expression_run(bound, piped, node)
        found = self.builtin(name, bound, piped, node)
        if found is not None:
            return self.redirected(found, node)
        return self.cmdlet(name, bound, piped, node)

    def call_function(self, name: str, node: Command, piped: list[Value] | None) -> list[Value]:
        """Call a function of the script with its parameters bound by name and place."""
        block = self.functions[name]
        closure = Closure(block)
        if self.active.count(name) >= MOST_RECURSION:
            return [unknown(piped)]
        names = [parameter.name for parameter in block.parameters]
        bound = self.bind_names(node, names)
        values: list[Value] = []
        rest = list(bound.positional)
        for parameter in names:
            if parameter in bound.named:
                values.append(bound.named[parameter])
            else:
                values.append(rest.pop(0) if rest else MISSING)
        self.active.append(name)
        try:
            return self.redirected(to_list(self.call_block(closure, [*values, *rest], piped)), node)
        finally:
            self.active.pop()

    # parameters -------------------------------------------

    def bind_names(self, node: Command, names: list[str]) -> Bound:
        """Bind to the parameters that a function declares."""
        bound = Bound()
        elements = node.elements
        position = 0
        while position < len(elements):
            element = elements[position]
            position += 1
            if type(element) is not Option:
                self.bind_value(bound, "", element)
                continue
            name = next((full for full in names if full.startswith(element.name.lower())), element.name.lower())
            follower = elements[position] if position < len(elements) else None
            if element.value is not None:
                bound.named[name] = self.value(element.value)
            elif follower is not None and type(follower) is not Option:
                bound.named[name] = self.value(follower)
                position += 1
            else:
                bound.named[name] = True
        return bound

    def bind(self, cmdlet: str, node: Command) -> Bound:
        """Bind to the parameters of a cmdlet; those of an unknown one take the word that follows."""
        bound = Bound()
        elements = node.elements
        known = cmdlet in self.knowledge.cmdlets
        position = 0
        while position < len(elements):
            element = elements[position]
            position += 1
            if position & 15 == 0:
                self.budget.spend()
            if type(element) is not Option:
                self.bind_value(bound, cmdlet, element)
                continue
            found = self.knowledge.parameter(cmdlet, element.name)
            if known and (found is None or (len(element.name) == 1 and element.name.lower() not in "ou")):
                bound.strange = True
            name, takes = found or (element.name.lower(), not known)
            if element.value is not None:
                value = self.value(element.value)
                bound.named[name] = value if takes else "true" if value is not False else "false"
                continue
            follower = elements[position] if position < len(elements) else None
            if takes and follower is not None and type(follower) is not Option:
                bound.named[name] = self.value(follower)
                position += 1
            else:
                bound.named[name] = "" if takes and known else "true"
        outfile = bound.named.get("outfile")
        bound.strange |= type(outfile) is str and URL.search(outfile) is not None
        return bound

    def bind_value(self, bound: Bound, cmdlet: str, element: Node) -> None:
        """One argument without name, or a splat."""
        if type(element) is Literal and element.bare and str(element.value).startswith("--") and len(str(element.value)) > 2:
            bound.strange = True
        if type(element) is not Splat:
            bound.positional.append(self.value(element))
            return
        value = self.lookup(element.name, "@" + element.name)
        if type(value) is Table:
            for key, item in value.items():
                found = self.knowledge.parameter(cmdlet, key)
                bound.named[found[0] if found else key] = "true" if item is True and found and not found[1] else item
        else:
            bound.positional.extend(to_list(value))

    # what is recorded -------------------------------------

    def cmdlet(self, name: str, bound: Bound, piped: list[Value] | None, node: Command) -> list[Value]:
        """Record a cmdlet; script blocks among its arguments are read in place."""
        table = self.knowledge.cmdlets.get(name)
        joined = table.joined if table else ()
        transparent = name in self.knowledge.commands.transparent
        calls: list[Invocation] = []
        for positional, named in self.each(bound, table.each if table else ()):
            words = (Word(name), *(to_word(value, ",") for value in positional))
            texts = {key: to_word(value, " " if key in joined else ",") for key, value in named.items()}
            calls.append(self.invocation(words, piped, node, texts))
        content: Content = tuple(calls)
        outputs: list[Value] = []
        for value in (*bound.positional, *bound.named.values()):
            if type(value) is Closure:
                outputs.extend(self.run_closure(value, bound, node))
        if transparent:
            return self.passed(bound, piped)
        for call in calls:
            content = merge(content, content_of(outputs))
            if call.stdout is not None:
                return []
        return [Blend(self.spelled(node), content, opaque=True)]

    def run_closure(self, value: Closure, bound: Bound, node: Node) -> list[Value]:
        """Read a script block that a cmdlet is given."""
        if value.block is None:
            return self.run_text(value.text, node)
        arguments = to_list(bound.named.get("argumentlist"))
        return to_list(self.call_block(value, list(arguments)))

    def each(self, bound: Bound, names: tuple[str, ...]) -> list[tuple[list[Value], dict[str, Value]]]:
        """The calls that an array of sources stands for; destinations that are arrays go along."""
        lists = [value for key, value in bound.named.items() if key in names and type(value) is list and len(value) > 1]
        if names:
            lists += [value for value in bound.positional[: len(names)] if type(value) is list and len(value) > 1]
        if not lists:
            return [(bound.positional, bound.named)]
        count = min(MOST_EACH, max(len(value) for value in lists))

        def pick(value: Value, place: int) -> Value:
            return value[place % len(value)] if any(value is one for one in lists) else value

        return [
            (
                [pick(value, place) for value in bound.positional],
                {key: pick(value, place) for key, value in bound.named.items()},
            )
            for place in range(count)
        ]

    def passed(self, bound: Bound, piped: list[Value] | None) -> list[Value]:
        """What a transparent cmdlet hands on: what is piped in, or its object."""
        if piped is not None:
            return piped
        for name in ("inputobject", "string"):
            if name in bound.named:
                return to_list(bound.named[name])
        found: list[Value] = []
        for value in bound.positional:
            found.extend(to_list(value))
        return found

    def invocation(
        self, words: tuple[Word, ...], piped: list[Value] | None, node: Command, named: dict[str, Word] | None = None
    ) -> Invocation:
        """Record an invocation with its redirections and what is piped in."""
        self.weigh(piped)
        stdin, text = self.piped_in(piped)
        stdout, append = self.redirect_target(node.redirects)
        return self.emit(
            Invocation(
                words, stdin=stdin, stdin_text=text, stdout=stdout, append=append, named=named or {}, spelled=self.spelled(node)
            )
        )

    def piped_in(self, piped: list[Value] | None) -> tuple[Content, str | None]:
        """What comes through the pipe: invocations, or constant text."""
        if piped is None:
            return (), None
        content = content_of(piped)
        if content or not piped or not is_known(piped):
            return content, None
        return (), to_text(piped, "\n")

    def redirect_target(self, redirects: list[Redirect]) -> tuple[Word | None, bool]:
        """Where standard output goes; `$null` is NUL."""
        for redirect in redirects:
            if redirect.stream in ("1", "*") and redirect.target is not None:
                word = to_word(self.value(redirect.target))
                return (word if word.text else Word("NUL")), redirect.append
        return None, False

    def redirected(self, values: list[Value], node: Command) -> list[Value]:
        """The output of a command that computes, or a bare redirection of it."""
        if node.redirects and self.bare_redirect(values, node.redirects, node):
            return []
        return values

    def bare_redirect(self, values: list[Value], redirects: list[Redirect], node: Node) -> bool:
        """Record `expression > file`."""
        stdout, append = self.redirect_target(redirects)
        if stdout is None:
            return False
        stdin, text = self.piped_in(values)
        self.emit(Invocation((), stdin=stdin, stdin_text=text, stdout=stdout, append=append, spelled=self.spelled(node)))
        return True

    # programs ---------------------------------------------

    def program(self, node: Command, name: Value, spelled: str, piped: list[Value] | None) -> list[Value]:
        """Record an outside program with its arguments as given."""
        first = Word(spelled, content_of(name), is_known(name) or (type(name) is Blend and name.constant is not None))
        words = [first]
        for element in node.elements:
            words.extend(self.program_words(element))
        invocation = self.invocation(tuple(words), piped, node)
        return [] if invocation.stdout is not None else [Blend(self.spelled(node), (invocation,), opaque=True)]

    def program_words(self, element: Node) -> list[Word]:
        """One argument of a program; arrays become several."""
        if type(element) is Option:
            dash = "-" + element.name
            if element.value is None:
                return [Word(dash + (":" if self.source[element.end - 1 : element.end] == ":" else ""))]
            word = to_word(self.value(element.value))
            return [Word(f"{dash}:{word.text}", word.content, word.known)]
        if type(element) is Splat:
            return [to_word(item) for item in to_list(self.lookup(element.name, "@" + element.name))]
        if type(element) is Array:
            return [to_word(self.value(element), ",")]
        value = self.value(element)
        if type(value) is list:
            return [to_word(item) for item in value[:1_000]]
        return [to_word(value)]

    # Invoke-Expression ----------------------------------------

    def expression_run(self, bound: Bound, piped: list[Value] | None, node: Command) -> list[Value]:
        """Invoke-Expression on its argument, or on what is piped in."""
        value = bound.take("command")
        if value is None and piped is not None:
            return self.redirected(self.run_text(piped[0] if len(piped) == 1 else piped, node, piped=True), node)
        return self.redirected(self.run_text(value, node), node)

    def run_text(self, value: Value, node: Node, *, piped: bool = False) -> list[Value]:
        """Known text is read as a script in place; for anything else an invocation says that it is run."""
        if type(value) is Closure and value.block is not None:
            return to_list(self.call_block(value, []))
        if type(value) is list:
            separator = "\n" if piped else self.separator()
            text = to_text(value, separator)
            value = (
                text
                if is_known(value)
                else Blend(text, content_of(value), opaque=all(type(i) is Blend and i.opaque for i in value))
            )
        content = content_of(value)
        if not content and is_known(value):
            return self.read_text(to_text(value), "Invoke-Expression")
        word = to_word(value)
        invocation = Invocation((Word("invoke-expression"), word), spelled=self.spelled(node))
        if piped:
            invocation = Invocation((Word("invoke-expression"),), stdin=content, spelled=self.spelled(node))
        self.emit(invocation)
        outputs = [Blend(self.spelled(node), (invocation,), opaque=True)]
        if type(value) is Blend and not value.opaque and re.search(r"[\w)\]}'\"]\s*[;|\n(]|\s", value.text):
            self.read_again(value.text, content)
        return list(outputs)

    def read_again(self, text: str, content: Content) -> None:
        """Read what is known of a text; the commands whose output is in it stand in it as spelled and count once."""
        known = {(call.program, call.args) for call in content}
        before = len(self.script.invocations)
        self.read_text(text, "Invoke-Expression")
        self.script.invocations[before:] = [
            call for call in self.script.invocations[before:] if (call.program, call.args) not in known
        ]

    def type_or_unknown(self, value: Value) -> Value:
        """A type by name."""
        return TypeRef(self.knowledge.canonical_type(to_text(value))) if is_known(value) else unknown(value)


MISSING = object()
"""Stands for a declared parameter that a call leaves out."""
