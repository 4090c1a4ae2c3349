"""One method, carried out: the marker is fetched by the real program, then checked and run as somebody would."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidewaiter.catalog.drill import Method
from tidewaiter.drill.ground import Side

PATIENCE = 30.0
"""Seconds that a program may take."""
_LAST_WORDS = 300


class Marker(NamedTuple):
    """The harmless text of one method."""

    name: str  # of its file
    says: str  # the line that it prints when it is run
    content: bytes

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(self.content).hexdigest()


def marker_of(method: Method, token: str, lines: int) -> Marker:
    """The marker of a method in a drill: a shell text that prints one line, with so many lines of comment below."""
    says = f"tidewaiter-drill {token} {method.id}"
    text = f"#!/bin/sh\n# Harmless: brought here by `tidewaiter drill` to see whether the logs show it.\necho {says}\n"
    filling = "".join(f"# {number:4} ballast of {says}\n" for number in range(1, lines + 1))
    return Marker(f"drill-{token}-{method.id}.sh", says, (text + filling).encode())


class Performed(msgspec.Struct, kw_only=True):
    """What became of a method on this side, whatever the logs show."""

    command: list[str]
    started: float = 0.0  # seconds since 1970
    problem: str = ""  # why it did not come to its end
    path: str | None = None  # where the marker landed; None in memory
    sha256: str | None = None  # of what landed
    landed: bool = False  # or ran in memory
    checked: bool = False
    run: bool = False


class _Ended(NamedTuple):
    code: int | None  # None: it took too long
    printed: str
    said: str  # on standard error


class Stage(NamedTuple):
    """Where a drill's programs run."""

    folder: Path  # where the markers land
    environment: Mapping[str, str]
    side: Side


def perform(method: Method, command: Sequence[str], marker: Marker, stage: Stage) -> Performed:
    """Fetch the marker, and where it has landed check it and run it."""
    done = Performed(command=list(command), started=time.time())
    ended = _run(command, stage)
    if method.lands == "memory":
        done.landed = done.run = marker.says in ended.printed
        done.problem = "" if done.run else _problem(command[0], ended)
        return done
    target = stage.folder / marker.name
    try:
        content = target.read_bytes()
    except OSError:
        content = b""
    landed = content == marker.content or (not method.exact and marker.says.encode() in content)
    if not landed:
        done.problem = _problem(command[0], ended)
        return done
    done.landed, done.path, done.sha256 = True, str(target), hashlib.sha256(content).hexdigest()
    done.checked = done.sha256 in _run(["sha256sum", marker.name], stage).printed
    _run(["chmod", "700", marker.name], stage)
    done.run = any(marker.says in _run(words, stage).printed for words in ([f"./{marker.name}"], ["sh", marker.name]))
    if not done.checked or not done.run:
        done.problem = f"it landed, but could not be {'run' if done.checked else 'checked'} here"
    return done


def _problem(program: str, ended: _Ended) -> str:
    if ended.code is None:
        return f"{program} did not end within {PATIENCE:.0f} s"
    words = " ".join((ended.said or ended.printed).split())[-_LAST_WORDS:]
    return f"{program} brought nothing (exit code {ended.code}){f': {words}' if words else ''}"


def _run(command: Sequence[str], stage: Stage) -> _Ended:
    """Run a program to its end, or end it and all it started where it takes too long."""
    try:
        with stage.side():
            process = subprocess.Popen(  # noqa: S603 - the commands are those of knowledge/drill.toml
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=stage.folder,
                env=dict(stage.environment),
                start_new_session=True,
            )
    except OSError as error:
        return _Ended(127, "", str(error))
    try:
        printed, said = process.communicate(timeout=PATIENCE)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        _end(process)
        code, printed, said = None, b"", b""
    except BaseException:  # raised again: only what was begun is undone first
        _end(process)
        raise
    return _Ended(code, printed.decode("utf-8", "replace"), said.decode("utf-8", "replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
