"""The state of a shell that reads a script: variables, functions, descriptors, and the invocations found so far."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tidewaiter.reading.bash_builtins import BUILTINS, Call, assign
from tidewaiter.reading.bash_grammar import Grammar, Node, Redirect
from tidewaiter.reading.bash_words import Expander, Value
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.fold import Folder, decode
from tidewaiter.reading.invocation import Invocation, Script, Word

ROUNDS_AT_MOST = 16
"""Values of a `for` loop that are read."""

_NESTING_AT_MOST = 60
_SPELLED_AT_MOST = 2_000
_LOOKUPS = frozenset({"which", "command", "type"})
_UNKNOWN_PART = re.compile(r"\$(?:\{\w+\}|\w+|[@*])")


@dataclass(frozen=True, slots=True)
class Streams:
    """What a command inherits: where its input comes from and where its output goes."""

    stdin: tuple[Invocation, ...] = ()
    stdin_text: str | None = None
    stdin_file: Word | None = None
    stdout: Word | None = None
    append: bool = False


class Shell:
    """Reads texts one after the other into `script`. Raises BudgetExceeded from `read`."""

    def __init__(self, budget: Budget, variables: Mapping[str, Word]) -> None:
        self.budget = budget
        self.script = Script()
        self.variables: dict[str, Value] = {"SHELL": Word("/bin/bash"), "BASH": Word("/bin/bash"), "0": Word("bash")}
        self.variables.update(variables)
        self.positional: list[Word] | None = None
        self.aliases: dict[str, str] = {}
        self.descriptors: dict[str, Word] = {}
        self.standing = Streams()  # what `exec > FILE` has changed for good
        self.folder = Folder(budget)
        self.expander = Expander(self)
        self._functions: dict[str, tuple[Node, str]] = {}
        self._called: set[str] = set()
        self._active: set[str] = set()
        self._readers: list[Invocation] = []  # inside >(...), waiting for the command that writes to them
        self._text = ""
        self._nesting = 0

    def read(self, text: str) -> None:
        """Read a whole text, and then the bodies of the functions that it never called."""
        self.run_text(text, Streams())
        for name, (body, source) in list(self._functions.items()):
            if name not in self._called:
                self._text = source
                self._run(body, Streams())

    def finish(self) -> None:
        """Leave the final variables in the script."""
        for name, value in self.variables.items():
            if isinstance(value, Word):
                self.script.variables[name] = value
            elif value:
                content = tuple(invocation for word in value for invocation in word.content)
                known = all(word.known for word in value)
                self.script.variables[name] = Word(" ".join(word.text for word in value), content, known)

    def run_text(self, text: str, streams: Streams) -> list[Invocation]:
        """Read `text` in this shell. Returns the invocations whose output reaches its standard output."""
        if self.budget.depth_left <= 0:
            self._too_deep()
            return []
        outer = self._text
        self.budget.depth_left -= 1
        try:
            grammar = Grammar(text, self.budget)
            nodes = grammar.program()
            self.script.complete = self.script.complete and grammar.complete
            self._text = text
            return self._run_all(nodes, streams)
        finally:
            self.budget.depth_left += 1
            self._text = outer

    def substitute(self, text: str) -> tuple[str | None, tuple[Invocation, ...]]:
        """Read the inside of `$(...)` in a copy of this shell: its constant output, if known, and who gives it."""
        if self.budget.depth_left <= 0:
            self._too_deep()
            return None, ()
        variables, positional = dict(self.variables), self.positional
        outputs = self.run_text(text, Streams())
        self.variables, self.positional = variables, positional
        if len(outputs) > 1 and all(output.program in _LOOKUPS for output in outputs):
            outputs = outputs[:1]
        value = self.folder.output(outputs)
        return (None if value is None else decode(value).replace("\0", "")), tuple(outputs)

    def process(self, text: str, reads: bool) -> tuple[Invocation, ...]:
        """Read the inside of `<(...)` or `>(...)`: the invocations whose output is read."""
        start = len(self.script.invocations)
        variables = dict(self.variables)
        outputs = self.run_text(text, Streams())
        self.variables = variables
        if reads:
            return tuple(outputs)
        self._readers += [found for found in self.script.invocations[start:] if not found.stdin and found.stdin_text is None]
        return ()

    def emit(self, argv: Sequence[Word], streams: Streams, spelled: str, *, background: bool = False) -> list[Invocation]:
        """Add an invocation. Returns it in a list where its output goes on to whoever reads this command."""
        invocation = Invocation(
            tuple(argv),
            stdin=streams.stdin,
            stdin_text=streams.stdin_text,
            stdin_file=streams.stdin_file,
            stdout=streams.stdout,
            append=streams.append,
            background=background,
            spelled=spelled[:_SPELLED_AT_MOST],
        )
        self.folder.add(invocation)
        self.script.invocations.append(invocation)
        for reader in self._readers:
            reader.stdin = (invocation,)
            self.folder.add(reader)
        self._readers = []
        return [invocation] if streams.stdout is None else []

    def _too_deep(self) -> None:
        self.script.complete = False
        if "nested too deeply" not in self.budget.limits:
            self.budget.limits.append("nested too deeply")

    def _run_all(self, nodes: Sequence[Node], streams: Streams) -> list[Invocation]:
        return [output for node in nodes for output in self._run(node, streams)]

    def _run(self, node: Node, streams: Streams) -> list[Invocation]:
        if self._nesting >= _NESTING_AT_MOST:
            self._too_deep()
            return []
        self._nesting += 1
        try:
            self.budget.spend()
            return _KINDS[node.kind](self, node, streams)
        finally:
            self._nesting -= 1

    def _pipe(self, node: Node, streams: Streams) -> list[Invocation]:
        inner = replace(streams, stdout=None, append=False)
        last = len(node.children) - 1
        outputs: list[Invocation] = []
        for number, child in enumerate(node.children):
            if number:
                inner = Streams(stdin=tuple(outputs))
            if number == last:
                inner = replace(inner, stdout=streams.stdout, append=streams.append)
                child.background = child.background or node.background
            outputs = self._run(child, inner)
        return outputs

    def _group(self, node: Node, streams: Streams) -> list[Invocation]:
        streams = self.redirect(node.redirects, streams)
        if node.kind != "subshell":
            return self._run_all(node.children, streams)
        variables = dict(self.variables)
        outputs = self._run_all(node.children, streams)
        self.variables = variables
        return outputs

    def _for(self, node: Node, streams: Streams) -> list[Invocation]:
        streams = self.redirect(node.redirects, streams)
        values = [word for raw in node.words for word in self.expander.fields(raw)]
        if not node.words:
            values = list(self.positional or [])
        if not values:
            values = [Word(f"${node.name}", known=False)]
        outputs = []
        for value in values[:ROUNDS_AT_MOST]:
            if node.name:
                self.variables[node.name] = Word(f"${node.name}", value.content, False) if value.content else value
            outputs += self._run_all(node.children, streams)
        return outputs

    def _function(self, node: Node, _: Streams) -> list[Invocation]:
        self._functions[node.name] = (node.children[0], self._text)
        self._called.discard(node.name)
        return []

    def _simple(self, node: Node, streams: Streams) -> list[Invocation]:
        self.expander.unfolded = False
        spelled = self._text[node.start : node.end]
        if not node.words:
            for raw in node.assignments:
                assign(self, raw)
            if not node.redirects:
                return []
            return self.emit((), self.redirect(node.redirects, self._standing(streams)), spelled)
        for raw in node.assignments:
            self._prefix(raw)
        words = node.words
        if words[0] in self.aliases:
            words = [*self.aliases[words[0]].split(), *words[1:]]
        argv = [word for raw in words for word in self.expander.fields(raw)]
        if not argv:
            return []
        argv = self._name(argv)
        if self.expander.unfolded:
            self.budget.note("shell words", " ".join(word.text for word in argv))
        builtin = BUILTINS.get(argv[0].text)
        if builtin is not None:
            outputs = builtin(Call(self, argv, words, node.redirects, self._standing(streams), spelled, node.background))
            if outputs is not None:
                return outputs
        inner = self.redirect(node.redirects, self._standing(streams))
        called = self._call(argv, inner)
        return self.emit(argv, inner, spelled, background=node.background) if called is None else called

    def _prefix(self, raw: str) -> None:
        """`X=1 command`: the value is for that command only, but what its substitutions start is run."""
        saved = dict(self.variables)
        assign(self, raw)
        self.variables = saved

    def _call(self, argv: Sequence[Word], streams: Streams) -> list[Invocation] | None:
        """Read the body of a function of ours with its arguments; None where the name is not a function."""
        name = argv[0].text
        if name not in self._functions or name in self._active:
            return None
        body, source = self._functions[name]
        positional, outer = self.positional, self._text
        self.positional, self._text = list(argv[1:]), source
        self._active.add(name)
        self._called.add(name)
        try:
            return self._run(body, streams)
        finally:
            self._active.discard(name)
            self.positional, self._text = positional, outer

    @staticmethod
    def _name(argv: list[Word]) -> list[Word]:
        """Drop unknown variables from inside a program name: an unset variable there is the usual way to hide it."""
        first = argv[0]
        if first.known or first.content:
            return argv
        if len(argv) > 1 and re.fullmatch(r"(?i)\$\{?\w*sudo\w*\}?", first.text):
            return argv[1:]
        if re.match(r"[A-Za-z]", first.text) and "/" not in first.text:
            return [Word(_UNKNOWN_PART.sub("", first.text), known=False), *argv[1:]]
        return argv

    def _standing(self, streams: Streams) -> Streams:
        standing = self.standing
        if standing.stdout is not None and streams.stdout is None:
            streams = replace(streams, stdout=standing.stdout, append=standing.append)
        if standing.stdin_file is not None and not streams.stdin and streams.stdin_file is None and streams.stdin_text is None:
            streams = replace(streams, stdin_file=standing.stdin_file)
        return streams

    def redirect(self, redirects: Sequence[Redirect], streams: Streams) -> Streams:
        """The streams of a command after its redirections, in their order."""
        for redirect in redirects:
            if redirect.body is not None:
                streams = self._document(redirect, streams)
            elif redirect.operator == "<<<":
                streams = self._text_input(self.expander.one(redirect.target), streams, "\n")
            elif redirect.operator in ("<&", ">&") and re.fullmatch(r"\d*-?", self._descriptor(redirect.target)):
                streams = self._duplicate(redirect, streams)
            elif redirect.operator in ("<", "<>"):
                streams = self._from_file(redirect, streams)
            else:
                streams = self._to_file(redirect, streams)
        return streams

    def _descriptor(self, target: str) -> str:
        """The number of a descriptor: as spelled, or the value of `$REPLY` after ztcp."""
        return self.expander.one(target).text if re.fullmatch(r"\$\{?\w+\}?", target) else target

    def _document(self, redirect: Redirect, streams: Streams) -> Streams:
        body = redirect.body or ""
        word = Word(body) if redirect.quoted else self.expander.document(body)
        return self._text_input(word, streams, "") if redirect.fd in ("", "0") else streams

    @staticmethod
    def _text_input(word: Word, streams: Streams, ending: str) -> Streams:
        only_content = word.content and re.fullmatch(r"\s*(?:\$\(.*\)|`.*`|\$\{?\w+\}?)\s*", word.text, re.DOTALL)
        text = None if only_content else word.text + ending
        return replace(streams, stdin=word.content, stdin_text=text, stdin_file=None)

    def _from_file(self, redirect: Redirect, streams: Streams) -> Streams:
        word = self.expander.one(redirect.target)
        if redirect.fd not in ("", "0"):
            self.descriptors[redirect.fd] = word
            return replace(streams, stdout=word) if redirect.fd == "1" else streams
        if word.content and word.text.startswith(("<(", "=(")):
            return replace(streams, stdin=word.content, stdin_text=None, stdin_file=None)
        return replace(streams, stdin=(), stdin_text=None, stdin_file=word)

    def _to_file(self, redirect: Redirect, streams: Streams) -> Streams:
        word = self.expander.one(redirect.target)
        if redirect.fd in ("", "1"):
            return replace(streams, stdout=word, append=redirect.operator in (">>", "&>>"))
        if redirect.fd != "2":
            self.descriptors[redirect.fd] = word
        return streams

    def _duplicate(self, redirect: Redirect, streams: Streams) -> Streams:
        """`2>&1`, `<&3`, `0>&1`: one descriptor becomes a copy of another."""
        source = self._descriptor(redirect.target).rstrip("-")
        target = redirect.fd or ("0" if redirect.operator == "<&" else "1")
        if source == "1":
            copied = streams.stdout
        elif source == "0":
            copied = streams.stdin_file
        elif source == "2":
            copied = self.descriptors.get("2", Word("/dev/stderr"))
        else:
            copied = self.descriptors.get(source, Word(f"/dev/fd/{source}") if source else Word("/dev/null"))
        if target == "0":
            return streams if copied is None else replace(streams, stdin=(), stdin_text=None, stdin_file=copied)
        if target == "1":
            return streams if source == "1" else replace(streams, stdout=copied, append=True)
        if copied is not None and target != "2":
            self.descriptors[target] = copied
        return streams


_KINDS: dict[str, Callable[[Shell, Node, Streams], list[Invocation]]] = {
    "simple": Shell._simple,
    "pipe": Shell._pipe,
    "group": Shell._group,
    "subshell": Shell._group,
    "blocks": Shell._group,
    "for": Shell._for,
    "function": Shell._function,
}
