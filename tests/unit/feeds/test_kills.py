"""Processes that read a feed are killed (SIGKILL) at any moment; what they committed is whole, in order, nothing twice."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

READER = """
import json, os, sys, time
from pathlib import Path
from tidewaiter.feed import Surroundings, open_feed
table, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
journal, positions = folder / "journal", {}
raw = journal.read_bytes() if journal.exists() else b""
whole = raw.rfind(b"\\n") + 1
for line in raw[:whole].splitlines():
    positions |= json.loads(line)["positions"]
state = folder / "state"
state.mkdir(exist_ok=True)
feed = open_feed(table, Surroundings(state, folder))
feed.resume(positions)
(folder / "port").write_text(str(getattr(feed, "port", 0)))
descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT)
os.ftruncate(descriptor, whole)
os.lseek(descriptor, 0, os.SEEK_END)
while True:
    chunks = feed.poll(20_000)
    if not chunks:
        time.sleep(0.002)
        continue
    new = {chunk.log_file: chunk.position for chunk in chunks}
    lines = [line for chunk in chunks for line in chunk.data.decode().splitlines()]
    os.write(descriptor, json.dumps({"positions": new, "lines": lines}).encode() + b"\\n")
    feed.committed(new)
"""


class Reader:
    """A process that polls and commits until it is killed; `journal` is what it committed."""

    def __init__(self, folder: Path, table: dict[str, Any]) -> None:
        self._folder, self._table = folder, table  # of the input
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self._folder / "port").unlink(missing_ok=True)
        self._process = subprocess.Popen([sys.executable, "-c", READER, json.dumps(self._table), str(self._folder)])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def port(self) -> int:
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            with contextlib.suppress(OSError, ValueError):
                return int((self._folder / "port").read_text())
            time.sleep(0.01)
        raise AssertionError("the reader did not start")

    def lines(self) -> list[str]:
        raw = (self._folder / "journal").read_bytes() if (self._folder / "journal").exists() else b""
        return [text for line in raw[: raw.rfind(b"\n") + 1].splitlines() for text in json.loads(line)["lines"]]

    def wait_for(self, number: int) -> list[str]:
        ends = time.monotonic() + 60
        while len(found := self.lines()) < number and time.monotonic() < ends:
            time.sleep(0.1)
        return found


@pytest.fixture
def readers() -> Iterator[list[Reader]]:
    started: list[Reader] = []
    yield started
    for one in started:
        one.kill()


def test_a_rotated_file_through_eight_kills(tmp_path: Path, readers: list[Reader]) -> None:
    reader = Reader(tmp_path, {"type": "files", "paths": ["a.log"]})
    readers.append(reader)
    dice = random.Random(6)
    (tmp_path / "a.log").write_text("0\n")
    written = 1
    for turn in range(9):
        reader.start()
        reader.port()
        reader.wait_for(1)  # what was rotated before the first look would be history
        for _ in range(dice.randrange(5, 40)):
            with (tmp_path / "a.log").open("a") as file:
                file.writelines(f"{number}\n" for number in range(written, written + 100))
            written += 100
            if dice.random() < 0.1:
                for number in range(9, 0, -1):
                    old = tmp_path / f"a.log.{number}"
                    if old.exists():
                        old.rename(tmp_path / f"a.log.{number + 1}")
                (tmp_path / "a.log").rename(tmp_path / "a.log.1")
            time.sleep(0.01)
        if turn < 8:
            time.sleep(dice.random() * 0.1)
            reader.kill()
    with (tmp_path / "a.log").open("a") as file:
        file.write("last\n")

    found = reader.wait_for(written + 1)
    missing = set(map(str, range(written))) - set(found)
    assert not missing, (len(missing), min(map(int, missing)), max(map(int, missing)))
    assert found == [*map(str, range(written)), "last"]


def test_what_a_syslog_listener_received_through_eight_kills(tmp_path: Path, readers: list[Reader]) -> None:
    reader = Reader(tmp_path, {"type": "syslog", "listen": f"tcp://127.0.0.1:{free_port()}"})
    readers.append(reader)
    dice = random.Random(6)
    for turn in range(9):
        reader.start()
        with socket.create_connection(("127.0.0.1", reader.port())) as sender, contextlib.suppress(ConnectionError):
            for number in range(0, 20_000, 100):
                sender.sendall(b"".join(b"Nov 24 12:00:00 h a: %d %d\n" % (turn, n) for n in range(number, number + 100)))
                time.sleep(0.002)
                if turn < 8 and dice.random() < 0.02:
                    reader.kill()
    found: list[list[str]] = []
    ends = time.monotonic() + 60
    while found[-1:] != [["8", "19999"]] and time.monotonic() < ends:
        time.sleep(0.1)
        found = [text.split()[-2:] for text in reader.lines()]

    heard = 0
    for turn in range(9):  # of each connection what came before the kill, from its beginning, once
        numbers = [int(number) for of, number in found if int(of) == turn]
        assert numbers == list(range(len(numbers)))
        heard += bool(numbers)
    assert heard > 5  # a kill may come before the first line
    assert [int(of) for of, _ in found] == sorted(int(of) for of, _ in found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
