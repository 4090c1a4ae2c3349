"""cmd.exe: command lines and batch scripts into the invocations they start, with carets, quotes and variables unfolded.

`parse` reads text for the interpreter; `from_command_line` reads what CreateProcess was given, which is one program.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from tidewaiter.reading import cmd_arguments as arguments
from tidewaiter.reading import cmd_loops as loops
from tidewaiter.reading.budget import Budget, BudgetExceeded
from tidewaiter.reading.cmd_arguments import command_text, split_arguments
from tidewaiter.reading.cmd_grammar import Branch, Group, Label, Loop, Node, Parser, Pipe, Redirect, Simple
from tidewaiter.reading.cmd_variables import Scope, arithmetic, listed_variables
from tidewaiter.reading.invocation import Invocation, Script, Word

__all__ = ["command_text", "from_command_line", "parse", "split_arguments"]

_LEAD = " \t,;=@\f\v\xa0"
_INTERNAL = frozenset(
    re.findall(
        r"\w+",
        """assoc call cd chdir cls color copy date del dir echo endlocal erase exit ftype goto if md mkdir mklink move path
        pause popd prompt pushd rd ren rename rmdir set setlocal shift start time title type ver verify vol""",
    )
)
_GLUED = re.compile(r"^([a-z]{2,9})(?=[.:/\\(+\[\]=,;])", re.I)
_MOVERS = frozenset(["copy", "move", "type", "xcopy", "robocopy", "expand", "esentutl", "extrac32", "replace"])
_UNROLLED = 32
_REPEATED = 2_048
_NESTED = 12
_LONGEST_LIST = 5_000


def parse(text: str, budget: Budget, variables: Mapping[str, Word] | None = None) -> Script:
    """All invocations of a command line or batch script, in order. Never raises: a bound that is hit ends the list early.

    `variables` are values that an outer text has set. Names of variables are not case-sensitive; the result has them in
    lower case.
    """
    scope = Scope(budget, {name.lower(): word for name, word in (variables or {}).items()})
    runner = _Runner(scope)
    complete = True
    try:
        parser = Parser(text, budget)
        try:
            nodes = parser.lines()
        finally:
            complete = parser.complete
        runner.run_text(nodes)
    except (BudgetExceeded, RecursionError):
        complete = False
    if any(mark in text for mark in ("^", "%", "!")) and runner.found:
        budget.note("cmd escapes and variables", " & ".join(item.spelled for item in runner.found if item.spelled))
    return Script(runner.found, scope.variables, complete)


def from_command_line(command_line: str) -> Script:
    """The one invocation of a process's command line: operators and carets mean nothing here.

    The text behind `cmd /c`, `powershell -Command` and the like stays one word, as those programs take it.
    """
    program, rest = arguments.split_program(command_line)
    if not program and not rest.strip():
        return Script()
    words = arguments.tail_words(program, rest)
    if words is None:
        words = arguments.split_words(rest)
    argv = tuple(Word(text) for text in (program, *words))
    return Script([Invocation(argv, spelled=command_line.strip())])


class _Runner:
    """Walks the commands of one text in order and notes what they start."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.found: list[Invocation] = []
        self.folder: list[str | None] = []  # what pushd entered, where it is on another host
        self.nodes: Sequence[Node] = ()
        self.labels: dict[str, int] = {}  # place in `nodes` behind each label
        self.called: set[str] = set()
        self.depth = 0

    def run_text(self, nodes: Sequence[Node]) -> None:
        """All top-level commands; parts behind a label that a `call` has run already are not read again."""
        self.nodes = nodes
        for index, node in enumerate(nodes):
            if isinstance(node, Label):
                self.labels.setdefault(node.name, index + 1)
        skipping = False
        for node in nodes:
            if isinstance(node, Label):
                skipping = node.name in self.called
            elif skipping:
                skipping = not _leaves(node)
            else:
                self.run(node)

    def run(self, node: Node) -> list[Invocation]:
        """The invocations of one command, added to what was found. Raises BudgetExceeded."""
        self.scope.budget.spend()
        if isinstance(node, Simple):
            return self._simple(node)
        if isinstance(node, Group):
            started = [invocation for item in node.items for invocation in self.run(item)]
            self._redirect(started, node.redirects, whole=True)
            return started
        if isinstance(node, Pipe):
            return self._pipe(node)
        if isinstance(node, Branch):
            return self._branch(node)
        if isinstance(node, Loop):
            return self._loop(node)
        return []

    def _pipe(self, node: Pipe) -> list[Invocation]:
        started: list[Invocation] = []
        for part in node.parts:
            before, started = started, self.run(part)
            text = loops.constant_output(before)
            for invocation in started[:50]:
                if before and not invocation.stdin and invocation.stdin_file is None:
                    invocation.stdin = tuple(before)
                    invocation.stdin_text = text
        return started

    def _branch(self, node: Branch) -> list[Invocation]:
        left, operator, right = node.condition
        condition = (self.scope.expand(left), operator, self.scope.expand(right))
        holds = loops.decide(condition, negated=node.negated, ignore_case=node.ignore_case)
        started = self.run(node.then) if holds is not False else []
        if node.other is not None and holds is not True:
            started += self.run(node.other)
        return started

    def _loop(self, node: Loop) -> list[Invocation]:
        rounds = self._rounds(node)
        started: list[Invocation] = []
        outer = self.scope.loop
        emitting = 0
        for letters in rounds[:_REPEATED]:
            self.scope.loop = {**outer, **letters}
            try:
                new = self.run(node.body)
            finally:
                self.scope.loop = outer
            started += new
            emitting += bool(new)
            if emitting >= _UNROLLED:
                break
        return started

    def _rounds(self, node: Loop) -> list[dict[str, Word]]:
        """The values of the loop's letters, round by round; one round with an unknown value where they cannot be known."""
        unknown = [{node.letter: Word(f"%{node.letter}", known=False)}]
        if node.switch == "l":
            return [{node.letter: Word(text)} for text in loops.counted_values(self.scope.expand(node.values))]
        if node.switch in ("r", "d"):
            return unknown
        if node.switch != "f":
            values = loops.plain_values(self.scope.expand(node.values))
            return [{node.letter: self.scope.word(text)} for text in values if not re.search(r"[*?]", text)] or unknown
        kind, text = loops.source_kind(node)
        if kind == "string":
            return self._fields(node, [self.scope.expand(text)]) or unknown
        if kind == "command":
            return self._output_rounds(node, text) or unknown
        return unknown

    def _fields(self, node: Loop, lines: list[str]) -> list[dict[str, Word]]:
        rounds = []
        for line in lines[loops.skipped_lines(node) :]:
            fields = loops.line_fields(node, line)
            if fields:
                rounds.append({letter: Word(value) for letter, value in fields.items()})
        return rounds

    def _output_rounds(self, node: Loop, text: str) -> list[dict[str, Word]]:
        listed = listed_variables(self.scope.expand(text), self.scope)
        if listed is not None:
            return self._fields(node, listed)
        started = self._nested(self.scope.expand(text))
        output = loops.constant_output(started)
        if output is not None:
            return self._fields(node, output.split("\n"))
        if not started:
            return []
        source = started[-1]
        if source.program.lower() == "echo":
            return self._fields(node, [source.argv[1].text]) if len(source.argv) > 1 else []
        letters = [chr(ord(node.letter) + offset) for offset in range(4)] if "tokens" in node.options.lower() else [node.letter]
        return [{letter: Word(f"%{letter}", (source,), known=False) for letter in letters}]

    def _nested(self, text: str) -> list[Invocation]:
        """Read a text that cmd reads again: a command in a loop's parentheses, an expanded line."""
        if self.depth >= _NESTED:
            return []
        self.depth += 1
        try:
            return [invocation for node in Parser(text, self.scope.budget).lines() for invocation in self.run(node)]
        finally:
            self.depth -= 1

    def _simple(self, node: Simple) -> list[Invocation]:
        written = node.text
        if _doubled(written) and re.match(r"[\s@]*call\b", written, re.I):
            written = re.sub(r"%%([^%\s]{1,64})%%", r"%\1%", written)  # call reads a second time
        text = self.scope.expand(written).lstrip(_LEAD)
        if text != node.text and loops.reads_differently(node.text, text):
            started = self._nested(text)
            self._redirect(started, node.redirects)
            return started
        if not text:
            return self._bare_redirect(node)
        started = self._start(text, node)
        self._redirect(started, node.redirects)
        return started

    def _bare_redirect(self, node: Simple) -> list[Invocation]:
        """`> file` alone, or `type nul`-like emptying: no program, but a file."""
        invocation = Invocation((), spelled=node.text)
        self._redirect([invocation], node.redirects)
        return [invocation] if invocation.stdout is not None else []

    def _start(self, text: str, node: Simple) -> list[Invocation]:
        program, rest = self._program(text)
        name = program.lower()
        if name == "call":
            return self._call(rest, node)
        if name == "set":
            return self._set(rest, node)
        if name in ("goto", "rem", "exit", "setlocal", "endlocal", "shift", "title", "cls", "pause"):
            return []
        if name == "echo":
            return self._echo(rest, text)
        if name == "popd" and self.folder:
            self.folder.pop()
        words = self._words(program, rest)
        if name == "pushd" and words:
            self.folder.append(words[0] if re.match(r"^[\\/]{2}[^\\/]", words[0]) else None)
        elif name in ("cd", "chdir") and words and words[-1].startswith("\\\\"):
            self.folder[-1:] = [words[-1]]
        elif self.folder and self.folder[-1]:
            words = self._in_folder(name, words, self.folder[-1])
            if re.fullmatch(r"[\w-]+\.(?:cmd|bat|exe|ps1|vbs|js)", program, re.I):
                program = f"{self.folder[-1].rstrip(chr(92))}\\{program}"
        argv = tuple(self.scope.word(part) for part in (program, *words))
        if argv[0].content:
            argv = (Word("cmd"), Word("/c"), *argv)
        return self._add(Invocation(argv, spelled=self.scope.word(text).text))

    def _program(self, text: str) -> tuple[str, str]:
        """The command's name and the rest, as cmd splits them."""
        glued = _GLUED.match(text)
        if glued and glued[1].lower() in _INTERNAL:
            return glued[1], text[glued.end() :]
        if glued and text[glued.end()] == "/" and re.match(r"^[a-z]+/[a-z?]", text, re.I):
            return glued[1], text[glued.end() :]
        if "%" in text.split(" ")[0]:
            head, _, behind = text.partition(" ")
            whole = self.scope.expand(self.scope.expand(head, constants=True), constants=True)
            bare = re.split(r"[\\/]", whole)[-1]
            if "%" in bare:
                bare = self.scope.expand(bare, undefined=True) or bare
                whole = whole[: len(whole) - len(re.split(r"[\\/]", whole)[-1])] + bare
            text = f"{whole} {behind}" if behind else whole
        program, rest = arguments.split_program(text)
        if '"' not in text[: len(program)]:
            separated = re.match(r"^([^,;=]+)[,;=]", program)
            if separated and len(separated[1]) > 1:
                return separated[1], text[len(separated[1]) :].lstrip(_LEAD)
        return program, rest

    def _words(self, program: str, rest: str) -> list[str]:
        name = program.lower()
        if name == "start":
            rest = re.sub(r'^\s*"[^"]*"', "", rest)
            return arguments.split_words(rest)
        tail = arguments.tail_words(program, rest)
        if tail is not None:
            return tail
        if name in _INTERNAL:
            return arguments.split_internal(rest)
        return arguments.split_words(rest)

    @staticmethod
    def _in_folder(name: str, words: list[str], folder: str) -> list[str]:
        """After `pushd \\\\host\\share` the first file that a copying command names is there."""
        if name.removesuffix(".exe") not in _MOVERS:
            return words
        for index, word in enumerate(words):
            if not word.startswith(("/", "-", "\\")) and not re.match(r"^[a-z]:|^%", word, re.I):
                base = folder.rstrip("\\/")
                return [*words[:index], base if word in (".", "*", "*.*") else f"{base}\\{word}", *words[index + 1 :]]
        return words

    def _echo(self, rest: str, spelled: str) -> list[Invocation]:
        text = rest[1:] if rest[:1] and rest[:1] in " \t.:/\\(+[],;=" else rest
        if text.strip().lower() in ("off", "on", ""):
            return self._add(Invocation((Word("echo"), Word(""))), spelled) if not text.strip() else []
        return self._add(Invocation((Word("echo"), self.scope.word(text.rstrip(" ")))), spelled)

    def _set(self, rest: str, node: Simple) -> list[Invocation]:
        option = re.match(r"^\s*/([ap])\s*", rest, re.I)
        if option and option[1].lower() == "a":
            arithmetic(rest[option.end() :], self.scope)
            return []
        text = (rest[option.end() :] if option else rest).lstrip()
        if text.startswith('"'):
            end = text.rfind('"')
            text = text[1:end] if end > 0 else text[1:]
        name, equals, value = text.partition("=")
        if option:
            prompt = value.strip().strip('"')
            return (
                self._add(Invocation((Word("echo"), self.scope.word(prompt))), node.text) if prompt and node.redirects else []
            )
        if equals and name.strip():
            key = name.strip().lower()
            value = re.sub(r"!\w+!", "", value)  # a delayed variable that is not set is empty
            if value:
                self.scope.variables[key] = self.scope.word(value)
            else:
                self.scope.variables.pop(key, None)
        return []

    def _call(self, rest: str, node: Simple) -> list[Invocation]:
        text = self.scope.expand(rest.replace("%%", "%") if _doubled(rest) else rest).lstrip(_LEAD)
        label = re.match(r"^:\s*([^\s:+&|<>()]+)(.*)$", text, re.S)
        if label is None:
            return self._nested_simple(text, node)
        start = self.labels.get(label[1].lower())
        if start is None or self.depth >= _NESTED:
            return []
        self.called.add(label[1].lower())
        outer, self.scope.parameters = self.scope.parameters, loops.plain_values(label[2])
        self.depth += 1
        try:
            return [invocation for item in self._section(start) for invocation in self.run(item)]
        finally:
            self.depth -= 1
            self.scope.parameters = outer

    def _section(self, start: int) -> Iterator[Node]:
        """A subroutine: up to `exit /b` or `goto :eof`."""
        for node in itertools.islice(self.nodes, start, None):
            if _leaves(node):
                return
            yield node

    def _nested_simple(self, text: str, node: Simple) -> list[Invocation]:
        if not text or self.depth >= _NESTED:
            return []
        self.depth += 1
        try:
            return self._start(text, node)
        finally:
            self.depth -= 1

    def _redirect(self, started: list[Invocation], redirects: list[Redirect], *, whole: bool = False) -> None:
        """Set what the redirections say; for a group each invocation writes behind the one before."""
        for redirect in redirects:
            target = self.scope.word(self.scope.expand(redirect.target).replace('"', ""))
            for index, invocation in enumerate(started):
                if redirect.operator == "<":
                    invocation.stdin_file = invocation.stdin_file or target
                elif redirect.handle == 1 and (not whole or invocation.stdout is None):
                    invocation.stdout = target
                    invocation.append = redirect.operator == ">>" or index > 0

    def _add(self, invocation: Invocation, spelled: str = "") -> list[Invocation]:
        if len(self.found) >= _LONGEST_LIST:
            self.scope.budget.exceed("too many commands")
        self.scope.budget.grow(sum(len(word.text) for word in invocation.argv))
        if spelled:
            invocation.spelled = self.scope.word(spelled).text
        self.found.append(invocation)
        return [invocation]


def _doubled(text: str) -> bool:
    """Whether variables are spelled %%x%% for a second reading, and not %x%%y% side by side."""
    first = text.find("%")
    return first >= 0 and text[first + 1 : first + 2] == "%"


def _leaves(node: Node) -> bool:
    return isinstance(node, Simple) and bool(re.match(r"^@?\s*(?:exit\s+/b|goto\s*:?\s*eof)\b", node.text, re.I))
