"""Any order of writing, rotating, truncating, compressing, deleting, polling, committing and being killed.

The lines are numbered as they are written, so that one look at what was handed out shows what is missing, came twice or came
out of order. Only what was destroyed before it was read may be missing.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from feed_reader import FeedReader, numbers_are_right
from tidewaiter.feed import Surroundings
from tidewaiter.feeds.files import Feed, Settings

KEPT = 5  # rotated files; an older one is deleted by the next rotation


class Growing(RuleBasedStateMachine):
    """One log file, the program that writes it, the one that rotates it, and a feed that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tidewaiter-feed-"))
        self.live = self.folder / "a.log"
        self.written: list[bytes] = []  # all lines, the unfinished one as far as it goes
        self.holds: dict[Path, list[int]] = {self.live: []}  # which of them lie in which file
        self.lost: set[int] = set()  # destroyed before they were read
        self.unfinished = False
        self.seconds = 0.0
        self.rotations = 0
        self.dated = False

    @initialize(pattern=st.booleans(), dated=st.booleans())
    def start(self, pattern: bool, dated: bool) -> None:
        self.dated = dated
        wanted = Settings(paths=("a.log*" if pattern else "a.log",))
        self.reader = FeedReader(lambda: Feed(wanted, Surroundings(self.folder, self.folder), clock=lambda: self.seconds))
        self.live.touch()
        if not pattern or dated:  # what was rotated before the first look is history, or a log file of its own
            self.reader.poll()
            self.reader.commit()

    # the writing program ------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 5), padding=st.sampled_from([0, 10, 700, 3_000]), unfinished=st.booleans())
    def write(self, count: int, padding: int, unfinished: bool) -> None:
        with self.live.open("ab") as file:
            if self.unfinished:
                file.write(b" and its end\n")
                self.written[-1] += b" and its end"
                self.unfinished = False
            for number in range(count):
                line = b"%08d " % len(self.written) + b"x" * padding
                self.unfinished = unfinished and number == count - 1
                self.holds[self.live].append(len(self.written))
                self.written.append(line)
                file.write(line if self.unfinished else line + b"\n")

    @rule()
    def crash(self) -> None:
        """The writing program dies, and the file ends in bytes that never came to the disk."""
        if self.unfinished or not self.holds[self.live]:  # two files of nothing but NUL are one to everybody
            return
        with self.live.open("ab") as file:
            file.write(b"\0" * 100)

    # rotation -----------------------------------------------------------------------------------------------------------

    def destroy(self, path: Path) -> None:
        """What lies there and is not read and committed may be missing from now on."""
        kept = {int(text[:8]) for text in self.reader.texts}
        self.lost |= set(self.holds.get(path, ())) - kept

    def older(self) -> list[Path]:
        """The rotated files, oldest first."""
        found = [path for path in self.holds if path != self.live]
        return sorted(found, key=lambda path: path.name if self.dated else -int(path.name.split(".")[2]))

    def make_room(self) -> Path:
        """Where the live file goes next."""
        self.rotations += 1
        while len(self.older()) >= KEPT:
            self.remove(self.older()[0])
        if self.dated:
            return self.folder / f"a.log-2026{self.rotations:06}"
        for path in self.older():
            parts = path.name.split(".")
            parts[2] = str(int(parts[2]) + 1)
            moved = path.with_name(".".join(parts))
            path.rename(moved)
            self.holds[moved] = self.holds.pop(path)
        return self.folder / "a.log.1"

    def remove(self, path: Path) -> None:
        self.destroy(path)
        path.unlink()
        del self.holds[path]

    @rule(at_once=st.booleans())
    def rename(self, at_once: bool) -> None:
        if not self.live.exists():
            return
        path = self.make_room()
        self.live.rename(path)
        self.holds[path], self.holds[self.live] = self.holds[self.live], []
        self.unfinished = False
        if at_once:
            self.live.touch()

    @rule()
    def copy_and_truncate(self) -> None:
        if not self.live.exists():
            return
        path = self.make_room()
        shutil.copy2(self.live, path)
        os.truncate(self.live, 0)
        self.holds[path], self.holds[self.live] = self.holds[self.live], []
        self.unfinished = False

    @rule()
    def truncate(self) -> None:
        if not self.live.exists():
            return
        self.destroy(self.live)
        os.truncate(self.live, 0)
        self.holds[self.live] = []
        self.unfinished = False

    @rule()
    def delete(self) -> None:
        if self.live.exists():
            self.destroy(self.live)
            self.live.unlink()
            self.holds[self.live] = []
            self.unfinished = False

    @precondition(lambda self: self.older())
    @rule(which=st.integers(0, KEPT))
    def delete_rotated(self, which: int) -> None:
        self.remove(self.older()[which % len(self.older())])

    @precondition(lambda self: any(path.suffix != ".gz" for path in self.older()))
    @rule(which=st.integers(0, KEPT))
    def compress(self, which: int) -> None:
        plain = [path for path in self.older() if path.suffix != ".gz"]
        path = plain[which % len(plain)]
        packed = path.with_name(path.name + ".gz")
        status = path.stat()
        packed.write_bytes(gzip.compress(path.read_bytes()))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
        self.holds[packed] = self.holds.pop(path)

    # the watch ----------------------------------------------------------------------------------------------------------

    @rule(most=st.sampled_from([1, 50, 2_000, 1 << 20]), seconds=st.sampled_from([0.0, 0.1, 1.5, 4.0]))
    def poll(self, most: int, seconds: float) -> None:
        self.seconds += seconds
        self.reader.poll(most)

    @rule()
    def close_descriptors(self) -> None:
        """Other files need them."""
        self.reader.feed.close()

    @rule()
    def commit(self) -> None:
        self.reader.commit()

    @rule()
    def kill(self) -> None:
        self.reader.kill()

    def teardown(self) -> None:
        try:
            if hasattr(self, "reader"):
                self.settle()
        finally:
            shutil.rmtree(self.folder)

    def settle(self) -> None:
        """Everything that is there is read in the end, once, in order, with its number."""
        self.write(count=1, padding=0, unfinished=False)  # until then, a rotated file may still be the one that is written to
        quiet = rounds = 0
        while quiet < 4:
            rounds += 1
            assert rounds < 40, "there is always something new, though nobody writes"
            self.seconds += 3.0
            quiet = 0 if self.reader.poll() else quiet + 1
            self.reader.commit()
        self.reader.close()
        found = [int(text[:8]) for text in self.reader.texts]
        expected = set(range(len(self.written))) - self.lost
        assert found == sorted(set(found))
        assert expected - set(found) == set()
        assert all(
            self.written[number] == text for number, text in zip(found, self.reader.texts, strict=True) if number in expected
        )
        assert numbers_are_right(self.reader.kept)


Growing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestGrowing = Growing.TestCase
