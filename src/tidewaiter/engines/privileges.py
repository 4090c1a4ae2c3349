"""Giving up privileges: what a long-running process that reads hostile input does not need it should not have."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from tidewaiter.errors import ConfinementError, UsageError

_NO_NEW_PRIVS, _CAPBSET_DROP, _CAP_AMBIENT, _CLEAR_ALL = 38, 24, 47, 4
_LAST_CAP = Path("/proc/sys/kernel/cap_last_cap")


def harden() -> None:
    """No new privileges (Linux), files for this user only (umask 077), and no core dumps, for this process and its children."""
    os.umask(0o077)
    if os.name != "posix":
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and _prctl(_NO_NEW_PRIVS, 1) != 0:
        raise ConfinementError("the kernel does not let this process give up new privileges")


def become(name: str) -> None:
    """`harden`, and go on as the user `name` with its groups, without a way back and without capabilities.

    Started by that user already, only new privileges are given up. Raises UsageError where there is no such
    user, where it is root, or where this process may not change to it; ConfinementError where a privilege would remain.
    """
    if os.name != "posix":
        raise UsageError("--user needs a POSIX system; on Windows let the service manager choose the account")
    import pwd

    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"there is no user {name!r}: useradd --system --no-create-home {name}") from None
    if account.pw_uid == 0:
        raise UsageError("--user names root: name a user without privileges")
    harden()  # first: the user may not be able to read the modules that it needs
    if os.geteuid() == 0:
        _drop_bounding_set()
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)  # all three ids: root's setgid and setuid leave nothing saved
        os.setuid(account.pw_uid)
    elif os.geteuid() != account.pw_uid:
        raise UsageError(f"only root can become {name!r}: start as root, or as {name!r}")
    _check(account.pw_uid)


def _drop_bounding_set() -> None:
    """No program that is started later can get a capability from its file. Kernels without capabilities have none to drop."""
    if sys.platform != "linux":
        return
    _prctl(_CAP_AMBIENT, _CLEAR_ALL)
    try:
        last = int(_LAST_CAP.read_text())
    except (OSError, ValueError):
        last = 63
    for capability in range(last + 1):
        _prctl(_CAPBSET_DROP, capability)  # refused where root has been stripped of CAP_SETPCAP: _check looks at what counts


def _check(uid: int) -> None:
    """What was given up cannot be had again. Raises ConfinementError where it can."""
    if 0 in (os.getuid(), os.geteuid()) or os.geteuid() != uid:
        raise ConfinementError("the user was not changed")
    with suppress(PermissionError):
        os.setuid(0)
        raise ConfinementError("root can be had again")
    if sys.platform == "linux":
        rows = (line.partition(":") for line in Path("/proc/self/status").read_text().splitlines())
        held = [name for name, _, value in rows if name in ("CapPrm", "CapEff", "CapAmb") and int(value, 16)]
        if held:
            raise ConfinementError(f"capabilities remain ({', '.join(held)}): start without them (AmbientCapabilities=)")


def _prctl(option: int, argument: int) -> int:
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(argument), 0, 0, 0))
