"""The common form of all shells: programs started, their unfolded arguments, and where their output goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class Word:
    """One argument after unfolding.

    `text` is its value; parts that cannot be known stay as spelled ("$x", "%TEMP%", "$env:TEMP\\a"). `content` holds the
    invocations whose OUTPUT is part of the value: the curl of `bash -c "$(curl ...)"`, of `bash <(curl ...)`, the download of
    `iex (iwr ...)` or of `$x = iwr ...; iex $x`.
    """

    text: str
    content: tuple[Invocation, ...] = ()
    known: bool = True  # False where some part could not be evaluated


@dataclass(eq=False)
class Invocation:
    """One program (or cmdlet, or .NET method) that a script starts."""

    argv: tuple[Word, ...]  # argv[0] is the program; .NET methods are "system.net.webclient.downloadfile" (lower case)
    stdin: tuple[Invocation, ...] = ()  # the invocations whose output it reads: the left side of a pipe
    stdin_text: str | None = None  # here-document, here-string, or constant text piped in
    stdin_file: Word | None = None  # < FILE, also /dev/tcp/HOST/PORT
    stdout: Word | None = None  # > FILE or >> FILE, also NUL, /dev/null, /dev/tcp/HOST/PORT
    append: bool = False
    assigned: str | None = None  # variable that receives its output
    background: bool = False
    named: dict[str, Word] = field(default_factory=dict)  # PowerShell parameters by full lower-case name: {"outfile": ...}
    spelled: str = ""  # the text it was written as, for people

    @property
    def program(self) -> str:
        """The program as spelled after unfolding; empty where there is none (a bare redirection)."""
        return self.argv[0].text if self.argv else ""

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments as text."""
        return tuple(word.text for word in self.argv[1:])


@dataclass(eq=False)
class Script:
    """All invocations of one text in the order in which they would run, those inside substitutions before their user."""

    invocations: list[Invocation] = field(default_factory=list)
    variables: dict[str, Word] = field(default_factory=dict)  # final values, for a later text that uses them
    complete: bool = True  # False where the grammar met an error and what follows it may be missing

    def __iter__(self) -> Iterator[Invocation]:
        return iter(self.invocations)
