"""Match parsed arguments against the forms of a utility: conditions, selectors and destinations (docs/adding/utility.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidewaiter.catalog.utilities import Form, Target, Utility
from tidewaiter.reading import locations
from tidewaiter.reading.argv import Parsed
from tidewaiter.reading.invocation import Invocation, Word

_SELECTOR = re.compile(
    r"^(?P<what>args|arg|rest|opt|behind|stdinfile|stdin|stdout)(?:\.(?P<which>-?\d+|[a-z_0-9]+))?(?::(?P<filter>[a-z]+))?$"
)
_BRACED = re.compile(r"\{([^{}]+)\}")


@dataclass
class Match:
    """A form that holds: its sources, destinations and the words whose content it uses."""

    form: Form
    sources: list[str] = field(default_factory=list)
    dests: list[str | None] = field(default_factory=list)  # as many as sources, or one
    to_stdout: bool = False
    view: View | None = None


class View:
    """One invocation's arguments as the selectors of a form see them (after its verb)."""

    def __init__(self, utility: Utility, parsed: Parsed, invocation: Invocation, skip: int = 0) -> None:
        self.utility = utility
        self.parsed = parsed
        self.invocation = invocation
        self.args = parsed.args[skip:]

    def words(self, selector: str) -> list[Word]:
        """The words that a selector names; raises ValueError on a selector that cannot be read."""
        match = _SELECTOR.match(selector)
        if match is None:
            raise ValueError(f"cannot read the selector {selector!r}")
        found = self._raw(match["what"], match["which"])
        wanted = match["filter"]
        if wanted == "mounted":
            return [word for word in found if id(word) in self.parsed.mounted]
        if wanted == "inner":
            return [Word(inner, word.content, word.known) for word in found for inner in locations.inner(word.text)]
        return [word for word in found if locations.passes(word.text, wanted)] if wanted else found

    def _raw(self, what: str, which: str | None) -> list[Word]:
        if what == "args":
            return list(self.args)
        if what == "arg":
            index = int(which or 0)
            return [self.args[index]] if -len(self.args) <= index < len(self.args) else []
        if what == "rest":
            return list(self.args[int(which or 0) :])
        if what == "opt":
            return list(self.parsed.options.get(which or "", []))
        if what == "behind":
            return self._behind(which or "")
        if what == "stdout":
            return [self.invocation.stdout] if self.invocation.stdout is not None else []
        if what == "stdin":
            text = self.invocation.stdin_text
            return [Word(text)] if text is not None else []
        return [self.invocation.stdin_file] if self.invocation.stdin_file is not None else []

    def _behind(self, role: str) -> list[Word]:
        """The words behind a flag up to `;` or `+`: what `find -exec` runs, what follows `--`."""
        flags = self.parsed.options.get(role)
        words = list(self.invocation.argv)
        start = next((number for number, word in enumerate(words) if flags and word is flags[0]), None)
        if start is None:
            return []
        rest = words[start + 1 :]
        end = next((number for number, word in enumerate(rest) if word.text in (";", "+")), len(rest))
        return rest[:end]

    def _piped(self, condition: str) -> bool:
        """`piped`: another program's output is read; `piped=cat,tar`: the output of one of these."""
        names = {re.split(r"[\\/]", item.program)[-1].lower() for item in self.invocation.stdin}
        return bool(names & set(condition.partition("=")[2].split(",")) if "=" in condition else names)

    def holds(self, condition: str) -> bool:
        """One condition: `role`, `!role`, `a|b`, a selector with a filter, `arg.0=get,put`, `args>2`, `opt.x~text`."""
        if condition.startswith("!"):
            return not self.holds(condition[1:])
        if "|" in condition:
            return any(self.holds(part) for part in condition.split("|"))
        if re.match(r"^piped(=|$)", condition):
            return self._piped(condition)
        counted = re.match(r"^args([<>])(\d+)$", condition)
        if counted:
            number = len(self.args)
            return number > int(counted[2]) if counted[1] == ">" else number < int(counted[2])
        compared = re.match(r"^((?:arg|args|opt|rest|behind|stdin|stdinfile|stdout)(?:\.[-\w]+)?)([=~])(.*)$", condition)
        if compared:
            texts = [word.text.lower() for word in self.words(compared[1])]
            wanted = compared[3].lower().split(",")
            if compared[2] == "=":
                return any(text in wanted for text in texts)
            return any(part in text for text in texts for part in wanted)
        if "." in condition or ":" in condition or condition in ("args", "stdin", "stdinfile", "stdout"):
            return bool(self.words(condition))
        if condition == "piped":
            given = self.invocation
            return bool(given.stdin) or given.stdin_text is not None or given.stdin_file is not None
        return condition in self.parsed.options

    def all_hold(self, conditions: Iterable[str]) -> bool:
        """Whether every condition holds."""
        return all(self.holds(condition) for condition in conditions)

    def texts(self, expressions: Sequence[str]) -> list[str]:
        """The values of selectors and templates, in order, without repeats."""
        values: list[str] = []
        for expression in expressions:
            for text in self._texts(expression):
                if text and text not in values:
                    values.append(text)
        return values

    def _texts(self, expression: str) -> list[str]:
        if expression.startswith("="):
            return [expression[1:]]
        if "{" in expression:
            text = self.template(expression, None)
            return [text] if text else []
        return [_clean(word.text) for word in self.words(expression)]

    def template(self, expression: str, source: str | None) -> str | None:
        """A text with `{selector}` parts, None where one of them is empty. `{basename}` is that of the source."""
        parts: list[str] = []
        last = 0
        for match in _BRACED.finditer(expression):
            value = self.keyword(match[1], source)
            if value is None:
                return None
            parts += [expression[last : match.start()], value]
            last = match.end()
        return "".join(parts) + expression[last:]

    def keyword(self, name: str, source: str | None, position: int = 0) -> str | None:
        """The value of one name inside a destination: a selector or a derived name."""
        if name == "basename":
            return locations.basename(source) if source else None
        if name == "basenamequery":
            return locations.basename(source, query=True) if source else None
        if name == "repository":
            base = locations.basename(source) if source else None
            return base.removesuffix(".git") if base else None
        words = self.words(name)
        if not words:
            return None
        chosen = words[position] if position < len(words) and name.startswith("opt.") else words[0]
        return _clean(chosen.text)


def _clean(text: str) -> str:
    return text.strip().strip("\"'") if text[:1] in "\"' " or text[-1:] in "\"' " else text


def match(utility: Utility, parsed: Parsed, invocation: Invocation) -> Match | None:
    """The first form that holds, or None."""
    for form in utility.form:
        for skip in _verbs(form.verb, parsed):
            view = View(utility, parsed, invocation, skip)
            if not view.all_hold(form.when):
                continue
            sources = view.texts(form.source)
            if form.source and not sources and not form.sourceless:
                continue
            return _matched(form, view, sources)
    return None


def _verbs(verbs: tuple[str, ...], parsed: Parsed) -> list[int]:
    """How many positional words the verb takes, for each spelling that is there."""
    if not verbs:
        return [0]
    found = []
    lowered = [word.text.lower() for word in parsed.args[:6]]
    for verb in verbs:
        parts = verb.split()
        if lowered[: len(parts)] == parts:
            found.append(len(parts))
    return sorted(found, reverse=True)


def _matched(form: Form, view: View, sources: list[str]) -> Match:
    result = Match(form, sources, view=view)
    for position, source in enumerate(sources or [""]):
        dest, to_stdout = destination(form.to, view, source or None, position)
        result.dests.append(dest)
        result.to_stdout = result.to_stdout or to_stdout
    return result


def destination(targets: Sequence[Target | str], view: View, source: str | None, position: int = 0) -> tuple[str | None, bool]:
    """The first destination that has a value: (path or None, whether it is standard output)."""
    for target in targets:
        value, when = (target, ()) if isinstance(target, str) else (target.value, target.when)
        if not view.all_hold(when):
            continue
        if value == "stdout":
            return None, True
        if value in ("memory", "none"):
            return None, False
        path = _path(value, view, source, position)
        if path in ("-", "/dev/stdout", "con", "CON"):
            return None, True
        if path:
            return path, False
    return None, False


def _path(value: str, view: View, source: str | None, position: int) -> str | None:
    if value.startswith("="):
        return value[1:]
    wrapped = re.match(r"^(into|join|parent)\((.+)\)$", value)
    if wrapped is None:
        if value == "next":
            return _next(view, source)
        return view.template(value, source) if "{" in value else view.keyword(value, source, position)
    names = [name.strip() for name in wrapped[2].split(",")]
    if wrapped[1] == "into":
        path = _next(view, source) if names[0] == "next" else _path(names[0], view, source, position)
        return locations.into(path, source) if path and source and path != "-" else path
    folder = view.keyword(names[0], source, position)
    name = view.keyword(names[1], source, position)
    return locations.join(folder, name) if folder and name else None


def _next(view: View, source: str | None) -> str | None:
    for word in view.args:
        if _clean(word.text) == source:
            following = view.parsed.next_of.get(id(word))
            return _clean(following.text) if following is not None else None
    return None
