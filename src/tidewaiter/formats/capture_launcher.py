"""Takes on the bounds of a child process and becomes the program: `launcher.py BOUNDS PROGRAM ARGUMENT...`.

Run by capture_child as a program of its own, so it imports nothing of the project; where only one thread runs, capture_child
calls `bound` between fork and exec instead, which costs no start of an interpreter. Bounds are a JSON object: `memory` and
`file_size` in bytes, `parent` the process whose death ends this one. Network and privileges are given up where the kernel
lets it: Linux only, the program works without.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

_PDEATHSIG, _NO_NEW_PRIVS, _DUMPABLE = 1, 38, 4
_NEW_NETWORK = 0x40000000


def bound(bounds: Mapping[str, int]) -> None:
    """Take on the bounds, for good: what this process executes has them."""
    for name, value in ((resource.RLIMIT_AS, bounds["memory"]), (resource.RLIMIT_FSIZE, bounds["file_size"])):
        with suppress(OSError, ValueError):
            hard = resource.getrlimit(name)[1]
            limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(name, (limit, hard))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != bounds["parent"]:
            os._exit(1)
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.unshare(_NEW_NETWORK)
    os.umask(0o077)


def main() -> None:
    """Bound this process, then exec."""
    bounds, command = json.loads(sys.argv[1]), sys.argv[2:]
    bound(bounds)
    os.execv(command[0], command)  # noqa: S606 - the command is ours: no shell, absolute path


if __name__ == "__main__":
    main()
