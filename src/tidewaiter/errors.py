"""Every error of the project.

TidewaiterError
├── UsageError              the caller asked for something that cannot be (exit 2)
│   └── PolicyError         a policy, or a list that it names, is wrong: names the file and the place
├── NothingReadableError    no input held a log we can read (exit 3)
├── KnowledgeError          a data file of ours or an overlay is wrong: names the file and the place
├── InputError              one input cannot be read further: names the file, the place and the remedy
│   ├── UnrecognisedError   no log source knows the content
│   ├── DamagedError        the content breaks off or contradicts itself
│   └── LimitError          a bound (depth, count, size, ratio, time) was reached
├── StoreError              the store cannot be opened, read or written: says what to do
├── ConfinementError        the kernel cannot confine this process, or privileges cannot be given up: says what to do
├── DrillError              a part of a drill cannot be had on this machine: says which and why
├── SinkError               a sink could not be told of transfers: says whether trying again can help, and when
└── MissingProgramError     an outside program is not installed: says how to install it
"""

from __future__ import annotations


class TidewaiterError(Exception):
    """Root of all errors that we raise on purpose."""


class UsageError(TidewaiterError):
    """The caller asked for something that cannot be."""


class PolicyError(UsageError):
    """A policy, or a list that it names, is wrong. `file` and `place` say where."""

    def __init__(self, file: str, place: str, problem: str) -> None:
        super().__init__(f"{file}: {place}: {problem}")
        self.file, self.place, self.problem = file, place, problem


class NothingReadableError(TidewaiterError):
    """No input held a log that we can read."""


class KnowledgeError(TidewaiterError):
    """A data file is wrong. `file` and `place` say where."""

    def __init__(self, file: str, place: str, problem: str) -> None:
        super().__init__(f"{file}: {place}: {problem}")
        self.file, self.place, self.problem = file, place, problem


class InputError(TidewaiterError):
    """One input cannot be read further. `place` is a byte offset, line or record, in words."""

    def __init__(self, file: str, place: str, problem: str) -> None:
        super().__init__(f"{file}: {place}: {problem}")
        self.file, self.place, self.problem = file, place, problem


class UnrecognisedError(InputError):
    """No log source knows the content."""


class DamagedError(InputError):
    """The content breaks off or contradicts itself."""


class LimitError(InputError):
    """A bound on depth, count, size, ratio or time was reached."""


class MissingProgramError(TidewaiterError):
    """An outside program is not installed."""


class StoreError(TidewaiterError):
    """The store cannot be opened, read or written."""


class StateError(TidewaiterError):
    """What a live engine kept of its state cannot be read."""


class SinkError(TidewaiterError):
    """A sink could not be told. Its text shows no secret and is escaped for terminals by who prints it.

    `retry`: whether the same may succeed later; otherwise the sink can never be told of (some of) the batch.
    `after`: seconds that the receiver asked to wait before the next try, or None.
    """

    def __init__(self, problem: str, *, retry: bool, after: float | None = None) -> None:
        super().__init__(problem)
        self.retry, self.after = retry, after


class DrillError(TidewaiterError):
    """A part of a drill cannot be had on this machine."""


class ConfinementError(TidewaiterError):
    """The kernel cannot confine this process, or privileges cannot be given up."""
