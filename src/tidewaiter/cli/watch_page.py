"""What `tidewaiter watch` does and shows."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.engines.watch_config import WatchOptions, load, of_paths, state_folder
from tidewaiter.errors import UsageError
from tidewaiter.output import printable
from tidewaiter.schema.moments import render_time

if TYPE_CHECKING:
    from tidewaiter.engines.watch_health import Status

STALE = 10.0
"""A watch that wrote no status for so many seconds is not running."""


def options_of(paths: tuple[str, ...], given: Mapping[str, Any], *, from_end: bool = False) -> tuple[WatchOptions, Path]:
    """The settings of a command line, and what relative paths in them are relative to. Raises UsageError."""
    told = {name: value for name, value in given.items() if value}
    if len(paths) == 1 and paths[0].endswith(".toml"):
        options = load(Path(paths[0]))
        return msgspec.structs.replace(options, **told), Path(paths[0]).parent
    if not paths and from_end:
        raise UsageError("--from-end: which files?")
    return WatchOptions(input=of_paths(paths, from_end=from_end), **told), Path()


def run(paths: tuple[str, ...], given: Mapping[str, Any], *, from_end: bool, once: bool) -> bool:
    """Run a watch to its end. Raises UsageError, StoreError, StateError."""
    stopping = _stop_on_signals()  # before what takes a while to load
    from tidewaiter.engines import watch_run
    from tidewaiter.engines.health import JsonLog

    options, base = options_of(paths, given, from_end=from_end)
    if not options.input:
        raise UsageError("what to watch? give a settings file, paths of logs, or - for standard input")
    if not options.sink:
        options = msgspec.structs.replace(options, sink=[{"type": "terminal"}])
    folder = state_folder(options.state)
    _give_up_rights(options.user, folder)
    log = JsonLog(sys.stderr)
    with watch_run.opened(
        options,
        folder,
        base=base,
        report=lambda level, event, fields: log.event(level, event, **fields),
        stopping=stopping,
    ) as running:
        running.run(once=once)
    return True


def _stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, so that the watch ends in good order; a second signal ends it at once."""
    stopping = threading.Event()

    def ask(number: int, _frame: Any) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), ask)
    return stopping


def _give_up_rights(user: str, folder: Path) -> None:
    """Take the rights of `user`, who gets the state folder, and such of our own as are not needed. Raises UsageError."""
    from tidewaiter.engines import privileges

    if user and hasattr(os, "geteuid") and os.geteuid() == 0:
        import shutil

        try:
            for path in (folder, *folder.rglob("*")):
                if not path.is_symlink():
                    shutil.chown(path, user)
        except LookupError:
            pass  # `become` says it
    if user:
        privileges.become(user)
        unread = [place for place in (os.__file__, __file__) if not os.access(place, os.R_OK)]
        if unread:
            raise UsageError(f"--user: {user} cannot read {unread[0]}: install it where all may read")
    privileges.harden()


def show_status(paths: tuple[str, ...], given: Mapping[str, Any]) -> int:
    """Say how a watch is doing; 1 where it is not well. Raises UsageError where there is no watch."""
    from tidewaiter.engines.health import read_status
    from tidewaiter.engines.watch_health import STATUS, Status

    options, _ = options_of(paths, given)
    status = read_status(state_folder(options.state) / STATUS, Status)
    for line in _lines(status):
        click.echo(printable(line))
    down = [sink.name for sink in status.sinks if sink.down_since is not None]
    return ExitCode.FAILED if status.failing or down or _age(status) > STALE else ExitCode.OK


def _age(status: Status) -> float:
    return max(0.0, time.time() - status.at / 1e6)


def _lines(status: Status) -> Iterator[str]:
    age = _age(status)
    stands = f"running (process {status.pid})" if age <= STALE else f"not heard of for {age:,.0f} s (process {status.pid})"
    yield f"watch {stands}, since {render_time(status.started)}"
    numbers = status.numbers
    yield f"read       {numbers.lines:,} records, {status.lines_per_second:,.0f} a second; {status.waiting:,} bytes waiting"
    if status.delay_99 is not None:
        yield f"delay      {status.delay_median:.2f} s median, {status.delay_99:.2f} s for 99 of 100"
    held = f"{status.folds:,} folds, {status.pending:,} rows waiting, {status.cases:,} cases"
    yield f"state      {held}, {status.rss / 1e6:,.0f} MB"
    yield f"told       {numbers.told:,} changes"
    yield f"store      {'well' if status.failing is None else status.failing}"
    odd = {name: getattr(numbers, name) for name in ("late", "future", "unread", "crashed", "early", "commit_failures")}
    if any(odd.values()):
        yield "noticed    " + ", ".join(f"{name} {count:,}" for name, count in odd.items() if count)
    for log in status.logs:
        latest = render_time(log.latest) if log.latest else "-"
        silent = "  SILENT" if log.silent else ""
        yield f"log        {log.log_file}: {log.log_source or 'not recognised'}, {log.lines:,} records, up to {latest}{silent}"
    for sink in status.sinks:
        state = "up" if sink.down_since is None else f"DOWN since {render_time(sink.down_since)}: {sink.last_error}"
        yield f"sink       {sink.name}: {sink.delivered:,} delivered, {sink.lag:,} behind, {sink.dead:,} dead letters, {state}"
