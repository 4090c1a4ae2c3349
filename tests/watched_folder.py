"""A folder whose log files a feed follows, and time that passes when a test says so."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feed_reader import FeedReader
from tidewaiter.feed import Surroundings
from tidewaiter.feeds.files import Feed, Settings


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Watched(FeedReader):
    """A folder with followed files."""

    def __init__(self, folder: Path, *paths: str, descriptors: int = 256, **settings: Any) -> None:
        self.folder = folder
        self.clock = Clock()
        wanted = Settings(paths=paths or ("a.log",), **settings)
        super().__init__(lambda: Feed(wanted, Surroundings(folder, folder), clock=self.clock, descriptors=descriptors))

    def look(self, seconds: float = 1.5) -> None:
        """Let time pass, read all there is and commit it."""
        self.clock.now += seconds
        while self.poll():
            self.commit()
        self.commit()

    def append(self, text: bytes, name: str = "a.log") -> None:
        with (self.folder / name).open("ab") as file:
            file.write(text)

    def said(self) -> set[str]:
        return {problem.kind for problem in self.problems}


def pack(path: Path, end: str = ".gz") -> None:
    """Compress as rotation does: time of change kept, the plain file removed at the end."""
    status = path.stat()
    packed = path.with_name(path.name + end)
    compress: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}
    packed.write_bytes(compress[end](path.read_bytes()))
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()
