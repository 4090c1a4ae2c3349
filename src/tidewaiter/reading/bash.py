"""Unix shell text (sh, bash, zsh, dash, busybox) as the programs that it starts. Nothing is run.

`parse` walks the tree of `bash_grammar` the way a shell would: variables, functions, loops over constant lists, `eval` and
constant substitutions are unfolded, pipes and redirections become the `stdin` and `stdout` of the invocations.

The grammar is our own: tree-sitter-bash needs 10 s of CPU for 32 KB of `a|a|a|...` (the bound is 50 ms), and reports an
error for `exec 3<>/dev/tcp/HOST/PORT` and for `{curl,-o,FILE,URL}`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tidewaiter.reading.bash_shell import Shell
from tidewaiter.reading.budget import Budget, BudgetExceeded
from tidewaiter.reading.invocation import Invocation, Script, Word

TEXT_AT_MOST = 65_536
"""Characters of one text that are read."""

_SHARE = 0.6
"""Part of the time that is left which one text may take: the rest is for whoever uses what was read."""


def parse(text: str, budget: Budget, variables: Mapping[str, Word] | None = None) -> Script:
    """The invocations of a shell text in the order in which they would run, those inside substitutions before their user.

    `variables` are values known from outside, such as the environment. Never raises on any text: where a bound is hit,
    `Script.complete` is False, the reason is in `budget.limits`, and what was read until then is returned.
    """
    shell = Shell(budget, variables or {})
    if len(text) > TEXT_AT_MOST:
        text = text[:TEXT_AT_MOST]
        _limit(budget, f"only the first {TEXT_AT_MOST} characters were read")
        shell.script.complete = False
    deadline = budget.deadline
    now = time.process_time()
    budget.deadline = min(deadline, now + max(0.0, deadline - now) * _SHARE)
    try:
        shell.read(text)
    except BudgetExceeded:
        shell.script.complete = False
    except RecursionError:
        _limit(budget, "nested too deeply")
        shell.script.complete = False
    finally:
        budget.deadline = deadline
    shell.finish()
    return shell.script


def from_argv(argv: Sequence[str]) -> Script:
    """A script of the one program that an exact argument vector starts, as kernel audit records give it."""
    if not argv:
        return Script()
    invocation = Invocation(tuple(Word(argument) for argument in argv), spelled=" ".join(argv))
    return Script([invocation])


def _limit(budget: Budget, reason: str) -> None:
    if reason not in budget.limits:
        budget.limits.append(reason)
