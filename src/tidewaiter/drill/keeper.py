"""The process that keeps the servers of a drill. It ends, with all of them, as soon as the drill is gone: its input closes.

It is started with the path of its orders (JSON), and answers with one line of JSON on standard output.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from tidewaiter.drill import processes
from tidewaiter.drill.server import Order, Running, start
from tidewaiter.errors import DrillError


class Answer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What became of the orders."""

    ports: dict[str, int] = {}  # method -> port
    failed: dict[str, str] = {}  # kind of server -> why it could not be started


def keep(orders: list[Order]) -> None:
    """Start the servers, say on which ports, and keep them until standard input ends."""
    answer = Answer()
    with contextlib.ExitStack() as running:
        for order in orders:
            server = _started(order, answer)
            if server is not None:
                running.callback(server.stop)
                answer.ports |= server.ports
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
        sys.stdin.buffer.read()


def _started(order: Order, answer: Answer) -> Running | None:
    try:
        return start(order)
    except (DrillError, OSError) as error:
        answer.failed[order.kind] = str(error)
        return None


def _ended(*_: object) -> NoReturn:
    sys.exit(0)


def main() -> None:
    """Keep what the file that is named on the command line orders."""
    signal.signal(signal.SIGTERM, _ended)
    processes.adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the drill is interrupted, not its keeper
    try:
        keep(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=list[Order]))
    finally:
        processes.end_children()


if __name__ == "__main__":
    main()
