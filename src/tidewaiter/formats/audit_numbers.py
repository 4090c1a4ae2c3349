"""The names behind the numbers in Linux audit records: system calls by architecture, socket calls and record types."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def syscalls() -> dict[bytes, str]:
    """The beginning of a SYSCALL body (` arch=c000003e syscall=59`) -> the name of the call, for the calls that we read."""
    return {
        f" arch={arch} syscall={number}".encode(): name
        for arch, entry in _knowledge()["arch"].items()
        for name, number in entry["calls"].items()
    }


@cache
def socket_calls() -> dict[int, str]:
    """The first argument of `socketcall` -> the call it stands for."""
    return {number: name for name, number in _knowledge()["socketcall"].items()}


@cache
def record_types() -> dict[int, str]:
    """The number of a record type, as the kernel log prints it -> its name."""
    return {number: name for name, number in _knowledge()["record_types"].items()}


@cache
def _knowledge() -> dict[str, Any]:
    return tomllib.loads((resources.files("tidewaiter") / "knowledge" / "syscalls.toml").read_text("utf-8"))
