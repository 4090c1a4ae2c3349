"""Lines that cannot be asked for again, on disk until they are committed.

Segments are files of whole lines, `GENERATION-NUMBER.lines`. A line is in its segment (written, not synced: it survives the
death of the process, not of the machine) before it is handed out, and a segment is removed when everything in it is committed.
One thread appends, another reads; what is not committed is bounded.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

from tidewaiter.feed import HEAD_BYTES, now_micros

SEGMENT = 4 << 20
"""Bytes of a segment after which the next one is begun."""

_NAME = re.compile(r"([0-9a-f]+)-(\d{8})\.lines")


class Place(NamedTuple):
    """Where reading goes on."""

    segment: int
    offset: int
    line: int  # lines before it, in all segments there ever were


class Spool:
    """A bounded queue of lines in a folder of its own."""

    def __init__(self, folder: Path, most: int) -> None:
        """Take up what an earlier process left. Raises OSError where the folder cannot be used."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        found = sorted((match[1], int(match[2])) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
        self.generation = found[-1][0] if found else f"{now_micros():x}"
        self._sizes = {number: self._whole(number) for generation, number in found if generation == self.generation}
        self._read = Place(min(self._sizes, default=1), 0, 0)
        self._writing = max(self._sizes, default=0)  # a segment of an earlier process is not written to
        self._descriptor = -1
        for path in folder.glob("*.head"):
            if path.stem != self.generation:
                path.unlink()
        self._head_file = folder / f"{self.generation}.head"
        self.head = self._head_file.read_bytes() if self._head_file.exists() else b""

    def resume(self, generation: str, place: Place) -> None:
        """Go on where a committed position says. One of another generation says nothing: what is here was never committed."""
        if generation == self.generation:
            self._read = place
            self.prune(place)

    def append(self, lines: bytes) -> bool:
        """Keep whole lines. Where there is no room nothing is kept: False, or OSError where it is the disk that has none."""
        with self._lock:
            if sum(self._sizes.values()) + len(lines) > self._most:
                return False
            if self._descriptor < 0 or self._sizes[self._writing] >= SEGMENT:
                self._next_segment()
            size = self._sizes[self._writing]
            done = 0
            try:
                while done < len(lines):
                    done += os.write(self._descriptor, lines[done:])
            except OSError:
                os.ftruncate(self._descriptor, size)
                raise
            self._sizes[self._writing] = size + len(lines)
            return True

    def read(self, most: int) -> tuple[bytes, Place] | None:
        """The next whole lines, at least one, and where reading goes on after them; None where there are none."""
        with self._lock:
            while True:
                left = self._sizes.get(self._read.segment, 0) - self._read.offset
                if left > 0:
                    break
                later = [number for number in self._sizes if number > self._read.segment]
                if not later:
                    return None
                self._read = Place(min(later), 0, self._read.line)
        with self._path(self._read.segment).open("rb") as file:
            file.seek(self._read.offset)
            data = file.read(min(most, left))
            if not data.endswith(b"\n"):
                data = data[: data.rfind(b"\n") + 1] or data + file.readline()
        self._read = Place(self._read.segment, self._read.offset + len(data), self._read.line + data.count(b"\n"))
        if not self.head:
            self.head = data[:HEAD_BYTES]
            self._head_file.write_bytes(self.head)
        return data, self._read

    def prune(self, place: Place) -> None:
        """Everything before the place is committed: remove the segments that end there or before."""
        with self._lock:
            for number, size in list(self._sizes.items()):
                is_done = number < place.segment or (number == place.segment and place.offset >= size)
                if is_done and number != self._writing:
                    self._path(number).unlink(missing_ok=True)
                    del self._sizes[number]
                elif is_done and size >= SEGMENT and self._descriptor >= 0:
                    self._next_segment()
                    self._path(number).unlink(missing_ok=True)
                    del self._sizes[number]

    def waiting(self) -> int:
        """Bytes that were not handed out."""
        with self._lock:
            later = sum(size for number, size in self._sizes.items() if number > self._read.segment)
            return later + max(self._sizes.get(self._read.segment, 0) - self._read.offset, 0)

    def has_room(self) -> bool:
        """Whether a little more would be kept."""
        with self._lock:
            return sum(self._sizes.values()) < self._most * 9 // 10

    def close(self) -> None:
        """Let go of the descriptor."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _path(self, number: int) -> Path:
        return self._folder / f"{self.generation}-{number:08}.lines"

    def _next_segment(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        number = max(self._writing, self._read.segment) + 1
        self._descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._writing = number
        self._sizes[number] = 0

    def _whole(self, number: int) -> int:
        """The size of a segment up to its last whole line: a full disk may have left half of one."""
        return self._path(number).read_bytes().rfind(b"\n") + 1
