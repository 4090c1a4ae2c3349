"""What a drill would do on this machine, and what it cannot do and why. Looking is all that is done here."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tidewaiter.catalog.drill import PLACEHOLDERS, Drill, Method, Server
from tidewaiter.errors import UsageError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Find = Callable[[str], str | None]


class Planned(NamedTuple):
    """One method: what would be run, or why it cannot be."""

    method: Method
    shown: str  # the command with its placeholders in capitals
    missing: str  # empty where it can be run


class Plan(NamedTuple):
    """Every method that was asked for."""

    methods: tuple[Planned, ...]
    servers: tuple[Server, ...]  # that the possible ones need

    @property
    def possible(self) -> list[Method]:
        """The methods that can be run here."""
        return [one.method for one in self.methods if not one.missing]


def search_path() -> str:
    """Where programs are looked for: the system's own folders before those of the user."""
    return os.pathsep.join([SYSTEM_PATH, os.environ.get("PATH", "")]).rstrip(os.pathsep)


def find(program: str) -> str | None:
    """Where a program is installed, or None."""
    return shutil.which(program, path=search_path())


def user() -> str:
    """The name of the user who runs this. Raises UsageError where the user has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise UsageError(f"the user {os.getuid()} has no name on this machine, which sshd asks for") from None


def make(drill: Drill, wanted: Sequence[str] = (), look: Find = find) -> Plan:
    """The plan for all methods, or for those that are named. Raises UsageError on an unknown name and off Linux."""
    if not sys.platform.startswith("linux"):
        raise UsageError("a drill needs Linux")
    known = {method.id for method in drill.method}
    if strangers := [name for name in wanted if name not in known]:
        raise UsageError(f"no method is called {', '.join(strangers)}: there are {', '.join(sorted(known))}")
    methods = tuple(
        Planned(method, shlex.join(method.command(dict(zip(PLACEHOLDERS, map(str.upper, PLACEHOLDERS), strict=True)))), why)
        for method in drill.method
        if not wanted or method.id in wanted
        for why in [_missing(method, drill.server_of(method), look)]
    )
    needed = {one.method.server for one in methods if not one.missing}
    return Plan(methods, tuple(server for server in drill.server if server.kind in needed))


def _missing(method: Method, server: Server, look: Find) -> str:
    absent = [name for name in method.programs if look(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    absent = [name for name in server.programs if look(name) is None]
    if absent:
        return f"its server could not be started: not installed: {', '.join(absent)}"
    return ""
