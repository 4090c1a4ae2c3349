"""What the exit code of the program says."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes; the first, third and fourth are part of the contract."""

    OK = 0  # it ran, whatever it found
    FAILED = 1  # something of ours or of this machine is wrong: a data file, a full disk
    USAGE = 2  # the caller asked for something that cannot be
    NOTHING_READABLE = 3  # no input held a log that we can read
    INTERRUPTED = 130  # Ctrl-C
