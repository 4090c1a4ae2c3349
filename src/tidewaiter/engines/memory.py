"""Memory that a process has in use, and giving back to the system what it does not need any more."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT = 640 << 10
"""Bytes of free memory that the C library may keep: a chunk of a log is read into the same place again and again."""


def keep_little() -> None:
    """Have the C library give back what is freed, where it is glibc: left alone it keeps the more, the more it has seen.

    For the rest of the life of this process; see mallopt(3).
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT)


def give_back() -> None:
    """Let go of garbage in cycles, and of memory that is free. Takes some milliseconds, more where there is much of it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of memory that this process has in use, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return 0
