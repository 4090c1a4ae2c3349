"""The progress bar: on standard error, only on a terminal, and only where the work is long."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from tidewaiter.pipeline.config import ProgressUpdate

PATIENCE = 1.0
"""Seconds without a bar: what is done by then needs none."""


class Report:
    """Takes the engine's updates. `seconds` is the time since it began."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the work began."""
        return time.monotonic() - self._begun

    def __call__(self, update: ProgressUpdate) -> None:
        """Show how far the work is."""
        if not self._wanted or (self._bar is None and self.seconds < PATIENCE):
            return
        if self._bar is None:
            self._open()
        if self._bar is not None and self._task is not None:
            from tidewaiter.output import printable

            self._bar.update(self._task, total=update.total, completed=update.done, what=printable(update.what)[-60:])

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("reading"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("reading", total=None, what="")

    def finish(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._wanted = False


@contextlib.contextmanager
def reporting() -> Iterator[Report]:
    """A report whose bar is gone at the end, however the work ends."""
    report = Report()
    try:
        yield report
    finally:
        report.finish()
