"""Network namespaces without names: each lives as long as its descriptor or a process in it, so none is left behind.

A namespace is entered by the calling thread alone, and left again; what it starts meanwhile lives inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

from tidewaiter.errors import DrillError

_NEW_NETWORK = 0x40000000
_HERE = "/proc/thread-self/ns/net"


def _call(name: str, *arguments: int) -> None:
    """Call a function of the C library. Raises DrillError with what the system says."""
    library = ctypes.CDLL(None, use_errno=True)  # os.unshare and os.setns came with Python 3.12
    if getattr(library, name)(*arguments) != 0:
        raise DrillError(f"{name}: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """A network namespace of our own; `path` is where other programs find it while we hold it."""

    def __init__(self) -> None:
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", _NEW_NETWORK)
            self._descriptor = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
            _call("setns", before, _NEW_NETWORK)
        finally:
            os.close(before)
        self.path = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """What the calling thread starts meanwhile lives in the namespace."""
        before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", self._descriptor, _NEW_NETWORK)
            try:
                yield
            finally:
                _call("setns", before, _NEW_NETWORK)
        finally:
            os.close(before)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
