"""Constant folding of pipelines: what `echo aGk= | base64 -d | sh` hands to the shell.

Producers and filters with known input are evaluated (see `fold_programs`), their consumers get `stdin_text`, and files that
a script writes with constant content are remembered. Nothing is run, and no file is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidewaiter.reading.budget import TEXT_KEPT, Budget, BudgetExceeded
from tidewaiter.reading.fold_programs import DECODES, FILTERS, PRINTS
from tidewaiter.reading.fold_text import OUTPUT_AT_MOST, encode
from tidewaiter.reading.invocation import Invocation, Script

_WRAPPERS = frozenset({"busybox", "toybox", "builtin", "sudo", "doas", "env", "nohup", "nice", "command"})
_WRAPPERS_AT_MOST = 16
_FILE_OPERAND = frozenset({"base64", "gbase64", "base32", "rev", "tac", "cat", "pv"})


def fold(script: Script, budget: Budget) -> dict[str, str]:
    """Set `stdin_text` of every invocation of `script` whose piped input is constant.

    Returns the files that the script writes with constant content, by path as spelled; a process substitution such as
    `<(echo id)` is a file of that spelling. Where a bound is hit, the rest of the script stays as it is.
    """
    folder = Folder(budget)
    try:
        for invocation in script:
            folder.add(invocation)
    except BudgetExceeded:
        script.complete = False
    return {path: decode(content) for path, content in folder.files.items()}


def decode(data: bytes) -> str:
    """Bytes as text: UTF-8, UTF-16 where every other byte is zero, Latin-1 otherwise."""
    if len(data) >= 4 and data[1::2].count(0) > len(data) // 3:
        return data.decode("utf-16-le", "replace").lstrip("\ufeff")
    try:
        return data.decode("utf-8")
    except ValueError:
        return data.decode("latin-1")


class Folder:
    """Evaluates invocations one after the other; each must be added after those that it reads from."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.files: dict[str, bytes] = {}
        self._outputs: dict[int, bytes | None] = {}

    def add(self, invocation: Invocation) -> None:
        """Evaluate one invocation. Sets its `stdin_text` where it reads the constant output of others."""
        self._budget.spend()
        data = self._input(invocation)
        if data is not None and invocation.stdin and invocation.stdin_text is None:
            invocation.stdin_text = decode(data)
        for word in invocation.argv:
            if word.content and word.text.startswith(("<(", "=(")):
                self._remember(word.text, self.output(word.content))
        output = self._run(invocation, data)
        if output is not None and invocation.stdout is not None:
            self._remember(invocation.stdout.text, output, append=invocation.append)
            output = b""
        self._outputs[id(invocation)] = output

    def output(self, invocations: Iterable[Invocation]) -> bytes | None:
        """The joined output of invocations that were added before; None where one is not constant."""
        joined = b""
        for invocation in invocations:
            part = self._outputs.get(id(invocation))
            if part is None or len(joined) + len(part) > OUTPUT_AT_MOST:
                return None
            joined += part
        return joined

    def _input(self, invocation: Invocation) -> bytes | None:
        if invocation.stdin_text is not None:
            return encode(invocation.stdin_text) if not invocation.stdin else self.output(invocation.stdin)
        if invocation.stdin:
            return self.output(invocation.stdin)
        return self.files.get(invocation.stdin_file.text) if invocation.stdin_file is not None else None

    def _remember(self, path: str, content: bytes | None, *, append: bool = False) -> None:
        if content is None or path.startswith("/dev/") or path.upper() == "NUL":
            return
        content = self.files.get(path, b"") + content if append else content
        if len(content) <= OUTPUT_AT_MOST and len(self.files) < 256:
            self.files[path] = content

    def _run(self, invocation: Invocation, data: bytes | None) -> bytes | None:
        words = list(invocation.argv)
        if not words:
            return data  # $(< FILE)
        name = _name(words[0].text)
        for _ in range(_WRAPPERS_AT_MOST):
            if name not in _WRAPPERS or len(words) < 2 or re.match(r"-|\w+=", words[1].text):
                break
            words = words[1:]
            name = _name(words[0].text)
        program = PRINTS.get(name)
        if program is None and name not in FILTERS and name != "tee":
            return None
        args = [word.text for word in words[1:]]
        if any(word.content and word.text not in self.files for word in words):
            return None
        if name == "tee":
            for path in args:
                if not path.startswith("-"):
                    self._remember(path, data, append="-a" in args)
            return data
        if program is None:
            program = FILTERS[name]
            args, data = self._operands(name, args, data)
        output = program(args, data)
        if output is None or len(output) > OUTPUT_AT_MOST:
            return None
        self._budget.grow(len(output))
        if name in DECODES and output != data and output.strip():
            self._note(name, decode(output).rstrip("\n"))
        return output

    def _note(self, name: str, text: str) -> None:
        if not any(step.what == name and step.text == text[:TEXT_KEPT] for step in self._budget.steps):
            self._budget.note(name, text)

    def _operands(self, name: str, args: list[str], data: bytes | None) -> tuple[list[str], bytes | None]:
        """Replace operands that name files by their content."""
        known = [arg for arg in args if arg in self.files]
        if known:
            content = b"".join(self.files[arg] for arg in known)
            return [arg for arg in args if arg not in self.files and arg not in ("-i", "-in", "--input")], content
        unknown = [arg for arg in args if not arg.startswith("-") and arg]
        if name in _FILE_OPERAND and any(not re.fullmatch(r"\d+", arg) for arg in unknown):
            return args, None
        if name == "openssl" and "-in" in args:
            return args, None
        return args, data


def _name(program: str) -> str:
    name = re.split(r"[\\/]", program)[-1].lower()
    return name.removesuffix(".exe")
