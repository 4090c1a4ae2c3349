"""A worker whose reader crashes, hangs or fails where the name of the input says so, as a broken native reader would."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from typing import Any

from tidewaiter.engines import workers
from tidewaiter.pipeline.run import ItemReader

ORIGINAL = workers._work


def work(pipe: Connection, *settings: Any) -> None:
    """What a worker process runs instead of the real function."""
    read = ItemReader._read_input

    def hostile(self: ItemReader, opened: Any, result: Any) -> None:
        if "abort" in opened.log_file:
            os.abort()
        if "killed" in opened.log_file:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in opened.log_file:
            time.sleep(3_600)
        read(self, opened, result)

    setattr(ItemReader, "_read_input", hostile)  # noqa: B010 - a plain assignment to a method is no type-checked code
    ORIGINAL(pipe, *settings)
