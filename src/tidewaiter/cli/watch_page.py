"""What `tidewaiter watch` does and shows."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from tidewaiter.engines.watch_config import WatchOptions, load, of_paths, state_folder
from tidewaiter.errors import UsageError
from tidewaiter.schema.moments import render_time


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
    from tidewaiter.engines import watch_run

    options, base = options_of(paths, given, from_end=from_end)
    if not options.input:
        raise UsageError("what to watch? give a settings file, paths of logs, or - for standard input")
    if not options.sink:
        options = msgspec.structs.replace(options, sink=[{"type": "terminal"}])
    folder = state_folder(options.state)
    with watch_run.opened(options, folder, base=base, report=_report) as running:
        watch_run.on_signals(running)
        running.run(once=once)
    return True


def _report(level: str, event: str, fields: Mapping[str, Any]) -> None:
    """One line of JSON on standard error."""
    line = {"time": render_time(time.time_ns() // 1_000), "level": level, "event": event, **fields}
    click.echo(json.dumps(line, ensure_ascii=True, default=str), err=True)
    sys.stderr.flush()


def show_status(paths: tuple[str, ...], given: Mapping[str, Any]) -> int:
    """Say how a watch is doing."""
    raise UsageError("not yet")
