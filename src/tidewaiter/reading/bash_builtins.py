"""Shell builtins that change what later words mean: assignments, `eval`, `exec`, `read`, `set`, `alias`, `trap` and others.

A builtin returns the invocations whose output goes on, or None where it is to be treated as a program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidewaiter.reading.bash_constants import arithmetic
from tidewaiter.reading.bash_grammar import ASSIGNMENT, Redirect
from tidewaiter.reading.bash_lexer import Lexer
from tidewaiter.reading.fold_programs import printf
from tidewaiter.reading.invocation import Invocation, Word

if TYPE_CHECKING:
    from tidewaiter.reading.bash_shell import Shell, Streams


@dataclass(slots=True)
class Call:
    """One use of a builtin: its words before (`words`) and after (`argv`) unfolding, and the streams it inherits."""

    shell: Shell
    argv: list[Word]
    words: Sequence[str]
    redirects: Sequence[Redirect]
    streams: Streams
    spelled: str
    background: bool = False

    def redirected(self) -> Streams:
        """The streams after the redirections of the call itself."""
        return self.shell.redirect(self.redirects, self.streams)


Builtin = Callable[[Call], list[Invocation] | None]
_ARRAY_AT_MOST = 1_000


def assign(shell: Shell, raw: str) -> None:
    """Carry out one assignment as spelled: `x=1`, `x+=a`, `x=(a b)`, `x[2]=c`."""
    match = ASSIGNMENT.match(raw)
    if match is None:
        return
    name, index, plus = match.groups()
    spelled = raw[match.end() :]
    old = shell.variables.get(name)
    if spelled.startswith("(") and not index:
        tokens = Lexer(spelled[1:-1] if spelled.endswith(")") else spelled[1:], shell.budget).run()
        words = [re.sub(r"^\[[^\]]*\]=", "", token.text) for token in tokens if token.kind == "word"]
        values = [word for part in words for word in shell.expander.fields(part)][:_ARRAY_AT_MOST]
        before = (old if isinstance(old, list) else [old]) if plus and old is not None else []
        shell.variables[name] = [*before, *values]
        return
    value = shell.expander.one(spelled)
    shell.budget.grow(len(value.text))
    for invocation in value.content:
        invocation.assigned = name
    if index:
        _element(shell, name, index[1:-1], value)
    elif plus and isinstance(old, Word):
        shell.variables[name] = Word(old.text + value.text, old.content + value.content, old.known and value.known)
    elif plus and isinstance(old, list) and old:
        old[0] = Word(old[0].text + value.text, old[0].content + value.content, old[0].known and value.known)
    else:
        shell.variables[name] = value


def _element(shell: Shell, name: str, index: str, value: Word) -> None:
    old = shell.variables.get(name)
    values = list(old) if isinstance(old, list) else [old] if isinstance(old, Word) else []
    number = arithmetic(index, lambda _: None)
    if number is None or not 0 <= number < _ARRAY_AT_MOST:
        return
    values += [Word("")] * (number + 1 - len(values))
    values[number] = value
    shell.variables[name] = values


def _declare(call: Call) -> list[Invocation] | None:
    for raw in call.words[1:]:
        if ASSIGNMENT.match(raw):
            assign(call.shell, raw)
        else:
            for field in call.shell.expander.fields(raw):
                match = ASSIGNMENT.match(field.text)
                if match and field.known:
                    call.shell.variables[match.group(1)] = Word(field.text[match.end() :])
    return []


def _eval(call: Call) -> list[Invocation] | None:
    arguments = call.argv[1:]
    text = " ".join(word.text for word in arguments)
    if not text.strip() or any(word.content for word in arguments):
        return None
    if not any(word.known for word in arguments) and re.fullmatch(r"\s*(?:\$\{?[\w@*]+\}?\s*)+", text):
        return None
    call.shell.budget.note("eval", text)
    call.shell.budget.grow(len(text))
    return call.shell.run_text(text, call.redirected())


def _trap(call: Call) -> list[Invocation] | None:
    if len(call.argv) > 2 and call.argv[1].text not in ("", "-", "-p", "-l"):
        call.shell.run_text(call.argv[1].text, call.streams)
    return []


def _exec(call: Call) -> list[Invocation] | None:
    rest = call.argv[1:]
    while rest and rest[0].text.startswith("-"):
        rest = rest[2:] if rest[0].text == "-a" else rest[1:]
    inner = call.redirected()
    if rest:
        return call.shell.emit(rest, inner, call.spelled, background=call.background)
    call.shell.standing = inner
    return []


def _command(call: Call) -> list[Invocation] | None:
    rest = call.argv[1:]
    while rest and rest[0].text in ("-p", "--"):
        rest = rest[1:]
    if not rest or rest[0].text.startswith("-"):
        return None
    return call.shell.emit(rest, call.redirected(), call.spelled, background=call.background)


def _set(call: Call) -> list[Invocation] | None:
    rest = call.argv[1:]
    while rest and re.match(r"[-+]\w", rest[0].text):
        rest = rest[2:] if rest[0].text[1:] == "o" else rest[1:]
    if rest and rest[0].text in ("--", "-"):
        call.shell.positional = rest[1:]
    elif rest:
        call.shell.positional = rest
    return []


def _shift(call: Call) -> list[Invocation] | None:
    if call.shell.positional is not None:
        count = int(call.argv[1].text) if len(call.argv) > 1 and re.fullmatch(r"\d{1,6}", call.argv[1].text) else 1
        call.shell.positional = call.shell.positional[count:]
    return []


def _alias(call: Call) -> list[Invocation] | None:
    for word in call.argv[1:]:
        name, equals, value = word.text.partition("=")
        if equals and name:
            call.shell.aliases[name] = value
    return []


def _unset(call: Call) -> list[Invocation] | None:
    for word in call.argv[1:]:
        call.shell.variables.pop(word.text, None)
    return []


def _read(call: Call) -> list[Invocation] | None:
    """`read NAME...` and `mapfile NAME`: the variables get the input."""
    names: list[str] = []
    rest = [word.text for word in call.argv[1:]]
    inner = call.redirected()
    while rest:
        arg = rest.pop(0)
        if re.fullmatch(r"-[a-zA-Z]*[adinNptuOCc]", arg):
            value = rest.pop(0) if rest else ""
            if arg.endswith("u") and value in call.shell.descriptors:
                inner = type(inner)(stdin_file=call.shell.descriptors[value])
            elif arg.endswith("a"):
                names.append(value)
            elif arg == "-t" and call.argv[0].text != "read":
                rest.insert(0, value)
        elif not arg.startswith("-"):
            names.append(arg)
    call.shell.emit(call.argv, inner, call.spelled)
    invocation = call.shell.script.invocations[-1]
    if invocation.stdin_text is not None:
        data = invocation.stdin_text if call.argv[0].text != "read" else invocation.stdin_text.split("\n")[0]
        parts = data.split(None, max(len(names) - 1, 0)) if len(names) > 1 else [data.strip()]
        for number, name in enumerate(names):
            call.shell.variables[name] = Word(parts[number] if number < len(parts) else "")
        return []
    content = invocation.stdin or ((invocation,) if invocation.stdin_file is not None else ())
    for name in names or ["REPLY"]:
        call.shell.variables[name] = Word(f"${name}", content, False)
    return []


def _printf(call: Call) -> list[Invocation] | None:
    if len(call.argv) < 4 or call.argv[1].text != "-v" or any(word.content for word in call.argv):
        return None
    text = printf([word.text for word in call.argv[3:]])
    if text is not None:
        call.shell.variables[call.argv[2].text] = Word(text)
        call.shell.budget.note("printf", text)
    return []


def _ztcp(call: Call) -> list[Invocation] | None:
    """`ztcp [-d FD] HOST PORT` of zsh: REPLY is a descriptor of a connection."""
    rest = [word.text for word in call.argv[1:]]
    number = "12"
    if rest[:1] == ["-d"] and len(rest) > 1:
        number, rest = rest[1], rest[2:]
    places = [word for word in rest if not word.startswith("-")]
    if len(places) == 2:
        call.shell.descriptors[number] = Word(f"/dev/tcp/{places[0]}/{places[1]}")
        call.shell.variables["REPLY"] = Word(number)
    return None


BUILTINS: dict[str, Builtin] = {
    "export": _declare, "declare": _declare, "typeset": _declare, "local": _declare, "readonly": _declare,
    "eval": _eval, "trap": _trap, "exec": _exec, "command": _command, "builtin": _command, "set": _set, "shift": _shift,
    "alias": _alias, "unset": _unset, "read": _read, "mapfile": _read, "readarray": _read, "printf": _printf, "ztcp": _ztcp,
}  # fmt: skip
