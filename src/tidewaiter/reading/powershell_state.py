"""What the reading of one PowerShell script knows at a moment: variables, functions, and the invocations found so far."""

from __future__ import annotations

from collections.abc import Mapping

from tidewaiter.catalog.powershell import load
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Script, Word
from tidewaiter.reading.powershell_nodes import Block, Node
from tidewaiter.reading.powershell_values import Blend, Closure, Content, Instance, Value, content_of, to_text

MOST_INVOCATIONS = 1_000
MOST_ELEMENTS = 1_000
SPELLED_KEPT = 2_000
CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}


class State:
    """Shared by the parts of the evaluator."""

    def __init__(self, budget: Budget, script: Script, variables: Mapping[str, Word] | None) -> None:
        self.knowledge = load()
        self.budget = budget
        self.script = script
        self.variables: dict[str, Value] = {}
        for name, word in (variables or {}).items():
            self.variables[name.lower()] = word.text if word.known and not word.content else Blend(word.text, word.content)
        self.functions: dict[str, Block] = {}
        self.functions_read: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.source = ""
        self.exact = 0
        """Above 0 inside unrolled loops and calls, where only the branch that is taken is read."""
        self.uncertain = 0
        """Above 0 inside branches that may not be taken; `break` and `return` there do not end the reading."""
        self.learned = 0
        """Counts known values that were stored: a loop that learns nothing is not read to its end."""
        self.touched: set[str] = set()
        """Variables that the innermost loop has set."""
        self.leaving = ""
        self.calls = 0
        self.active: list[str] = []
        """Functions that are being called, the outermost first."""

    # provided by the evaluator ----------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Value:
        """Evaluate an expression."""
        raise NotImplementedError

    def call_block(
        self, closure: Closure, arguments: list[Value], piped: list[Value] | None = None, *, own: bool = True
    ) -> Value:
        """Run a script block; `own` gives it a scope of its own."""
        raise NotImplementedError

    def read_text(self, text: str, step: str) -> list[Value]:
        """Read text as a script in this scope."""
        raise NotImplementedError

    def run_text(self, value: Value, node: Node, *, piped: bool = False) -> list[Value]:
        """What Invoke-Expression does with a value."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------------------------

    def spelled(self, node: Node) -> str:
        """The node as it is written."""
        return self.source[node.start : min(node.end, node.start + SPELLED_KEPT)]

    def named(self, value: Value, node: Node) -> Value:
        """An unknown value without text gets the spelling of its node."""
        if type(value) is Blend and not value.text and value.opaque:
            value.text = self.spelled(node)
        return value

    def emit(self, invocation: Invocation) -> Invocation:
        """Record an invocation; raises BudgetExceeded past the most that one script may hold."""
        self.budget.spend()
        if len(self.script.invocations) >= MOST_INVOCATIONS:
            self.budget.exceed("too many commands")
        self.script.invocations.append(invocation)
        return invocation

    def emit_method(self, name: str, words: list[Word], node: Node, stdin: Content = ()) -> Invocation:
        """Record the call of a .NET or COM method."""
        return self.emit(Invocation((Word(name), *words), stdin=stdin, spelled=self.spelled(node)))

    def result(self, invocation: Invocation, node: Node) -> Blend:
        """The unknown output of an invocation."""
        return Blend(self.spelled(node), (invocation,), opaque=True)

    def weigh(self, *values: Value) -> None:
        """Count the size of large values as work, so that the time is looked at in between."""
        for value in values:
            size = len(value) >> (8 if type(value) is list else 14) if type(value) in (list, str, bytes) else 0
            if size:
                self.budget.spend(size)

    def separator(self) -> str:
        """$OFS: what joins an array that becomes text."""
        return to_text(self.variables["ofs"])[:20] if "ofs" in self.variables else " "

    def lookup(self, name: str, spelled: str) -> Value:
        """The value of a variable; what was never set is unknown and stays as spelled."""
        if name in self.variables:
            value = self.variables[name]
            if type(value) is Blend and value.opaque:
                return Blend(spelled, value.content, opaque=True, constant=value.constant)
            return value
        if name in CONSTANTS:
            return CONSTANTS[name]
        defaults = self.knowledge.variables
        if name in defaults.known:
            return defaults.known[name]
        if name in defaults.opaque:
            return Blend(spelled, constant=defaults.opaque[name])
        if name == "executioncontext":
            return Instance("system.management.automation.engineintrinsics", spelled)
        if name == "psitem":
            return self.lookup("_", spelled) if "_" in self.variables else Blend(spelled, opaque=True)
        scope, colon, rest = name.partition(":")
        if colon and scope == "variable":
            return self.lookup(rest, "$" + rest)
        if colon and scope == "function" and rest in self.functions:
            return Closure(self.functions[rest])
        return Blend(spelled, opaque=scope != "env")

    def assign(self, name: str, value: Value) -> None:
        """Set a variable, or a function through `$function:name`."""
        scope, colon, rest = name.partition(":")
        if colon and scope == "variable":
            name = rest
        elif colon and scope == "function" and type(value) is Closure and value.block is not None:
            self.functions[rest] = value.block
            return
        if name in CONSTANTS:
            return
        self.variables[name] = value
        self.touched.add(name)

    def final_words(self) -> dict[str, Word]:
        """The variables as words, for a later text that uses them."""
        words: dict[str, Word] = {}
        for name, value in list(self.variables.items())[:200]:
            if name not in ("_", "args", "input", "matches"):
                known = type(value) in (str, int, float)
                large = type(value) in (list, bytes) and len(value) > MOST_ELEMENTS
                words[name] = Word("" if large else to_text(value)[:100_000], content_of(value), known)
        return words
