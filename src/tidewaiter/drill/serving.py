"""The keeper of the servers as the drill sees it: started on its side, asked for the ports, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tidewaiter.drill.ground import Side
from tidewaiter.drill.keeper import Answer
from tidewaiter.drill.server import Order
from tidewaiter.errors import DrillError

STARTING = 120.0
"""Seconds that all servers together may take to start."""
ENDING = 15.0
"""Seconds that they may take to end."""


@contextlib.contextmanager
def serving(orders: Sequence[Order], folder: Path, environment: Mapping[str, str], side: Side) -> Iterator[Answer]:
    """Servers for as long as the block lasts; which are there, and why others are not. Raises DrillError."""
    for order in orders:
        Path(order.state).mkdir(mode=0o700)
    told = folder / "orders.json"
    told.write_bytes(msgspec.json.encode(orders))
    found = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}  # where this program may be found
    with side(), (folder / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "tidewaiter.drill.keeper", str(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env={**environment, **found},
            start_new_session=True,
        )
    try:
        yield _answer(keeper, folder)
    finally:
        _stop(keeper)


def _answer(keeper: subprocess.Popen[bytes], folder: Path) -> Answer:
    watchdog = threading.Timer(STARTING, keeper.kill)
    watchdog.start()
    try:
        assert keeper.stdout is not None
        line = keeper.stdout.readline()
    finally:
        watchdog.cancel()
    if not line:
        words = (folder / "keeper.log").read_text(encoding="utf-8", errors="replace").strip()[-300:]
        raise DrillError(f"the servers could not be started: {words or 'no word why'}")
    return msgspec.json.decode(line, type=Answer)


def _stop(keeper: subprocess.Popen[bytes]) -> None:
    """End the keeper and with it the servers: its input ends, then it is told to, then it has to."""
    for stream in (keeper.stdin, keeper.stdout):
        if stream is not None:
            stream.close()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            keeper.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(ENDING)
            return
