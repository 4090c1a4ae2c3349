"""Where results go: standard output, or a file that appears only when it is complete."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tidewaiter.errors import UsageError


def require_folder(target: str | None) -> None:
    """Raise UsageError where results cannot be written to this file for want of its folder: before any work is done."""
    folder = Path(str(target)).parent
    if target not in (None, "-") and not folder.is_dir():
        from tidewaiter.output import printable

        raise UsageError(f"{printable(str(target))}: the folder {printable(str(folder))} is not there: make it first")


@contextlib.contextmanager
def results(target: str | None) -> Iterator[TextIO]:
    """A UTF-8 stream for results. A regular file is written beside its name and renamed at the end.

    Raises OSError, and UsageError where its folder is not there.
    """
    require_folder(target)
    if target in (None, "-"):
        if isinstance(sys.stdout, io.TextIOWrapper):
            # a terminal keeps its own encoding, a pipe or file always gets UTF-8; no character can make us fail
            sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(str(target))
    if path.exists() and not path.is_file():  # a device or a pipe cannot be renamed over
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
