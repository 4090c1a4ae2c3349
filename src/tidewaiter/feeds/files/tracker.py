"""One log file under its name: the generation that is being read, those before it, and how one follows the other.

While a file lies where it should, it is read there (`away` is false). Rotated, truncated or deleted, it is `away`: what is left
of it is read through the open descriptor, or from wherever it went (found by inode and content), or from its copy or compressed
copy (found by content, from the offset that was reached). Then come files that were rotated away without ever having been seen,
in the order of their names, and at last what lies under the name now.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from tidewaiter.feed import LONGEST_LINE, Chunk, Cut, now_micros
from tidewaiter.feeds.files.contents import Contents, NotRegularError, Plain, open_contents
from tidewaiter.feeds.files.generation import PAST, Generation, Position
from tidewaiter.feeds.files.names import is_packed
from tidewaiter.feeds.files.reading import Piece, read_piece
from tidewaiter.feeds.files.rotation import Rotation
from tidewaiter.feeds.files.world import World, is_of

PATIENCE = 10.0
"""Seconds for which a rotated file that may not be read holds up the one that came after it."""


class Tracker:
    """Follows one log file. `check` every now and then, `read` as long as `more` is true or something has changed."""

    def __init__(self, log_file: str, path: Path, world: World, *, from_end: bool = False) -> None:
        self.log_file = log_file
        self.path = path
        self.now: Generation | None = None
        self.past: list[Generation] = []
        self.away = False
        self.more = True  # there is, or may be, something to read
        self.waiting = 0  # bytes known to be unread
        self._world = world
        self._from_end = from_end
        self._fresh = True  # nothing was ever said of this log file
        self._contents: Contents | None = None
        self._copied = False  # `_contents` is a copy: nothing will be added to it
        self._overtaken = False
        self._quiet_since = 0.0
        self._size = -1  # when last read
        self._late: tuple[Generation, Path] | None = None
        self._told: set[str] = set()  # troubles that are reported and not over
        self._blocked_since: float | None = None
        self._rotation = Rotation(path, world, self)
        world.follows(self)

    def resume(self, position: Position) -> None:
        """Go on where a committed position says."""
        self.now, self.past, self._fresh = position.now, position.past, False
        for generation in self.generations():
            self._world.reads(self, generation)

    def generations(self) -> list[Generation]:
        """All that are known, oldest first."""
        return [*self.past, self.now] if self.now is not None else self.past

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._contents is not None:
            self._contents.close()
            self._contents = None
        self._world.closed(self)

    def check(self) -> None:
        """Look at what lies under the name, and whether anything is to be read."""
        try:
            live = self._stat()
        except OSError as error:
            self._trouble(error)
            return
        now = self.now
        if now is None:
            self.more = self.more or live is not None
        elif not self.away:
            self.away = live is None or not now.is_at(live.st_dev, live.st_ino)
            self._overtaken = self._is_overtaken(now)
            self.more = self.more or self.away or self._overtaken or (live is not None and live.st_size != self._size)
        else:
            if live is not None and not self._copied and now.is_at(live.st_dev, live.st_ino):
                self.away = False
            self.more = True
        self._late = self._late or self._rotation.grown(self.past[-2:])
        self.more = self.more or self._late is not None

    def has_grown(self) -> bool:
        """Whether the open file has another size than when it was last read: cheaper than `check`."""
        try:
            return self._contents is not None and self._contents.size() != self._size
        except OSError:
            return True

    def read(self, most: int, deadline: float) -> Chunk | None:
        """The next chunk of about `most` bytes at most; None where there is none (yet: `more` says so)."""
        self.more = False
        try:
            if self._late is not None:
                chunk = self._read_late(most)
                if chunk is not None:
                    return chunk
            now = self.now
            if now is None:
                was_fresh = self._fresh
                now = self._begin()
                if now is None:
                    return None
                if was_fresh and (now.silent_until or not self._live_size()):
                    self.more = True
                    return self._chunk(now, Piece())  # from here on it is known, whatever happens to it
            if (
                self._overtaken
                or self._is_overtaken(now, anew=True)
                or (self.away and self._contents is None and not now.head_size)
            ):
                return self._finish(now, Piece())  # nothing of it was read: should it still be there, it is a new one
            return self._read_now(now, most, deadline)
        except OSError as error:
            self._trouble(error)
            self.close()
            return self._give_up_waiting(error)

    # reading ------------------------------------------------------------------------------------------------------------

    def _read_now(self, now: Generation, most: int, deadline: float) -> Chunk | None:
        if self._contents is None and not self._open(now):
            return self._lost(now)
        contents = self._contents
        assert contents is not None  # _open has set it
        self._world.opened(self)
        if not contents.reach(max(now.offset - now.tail_size, 0), deadline):
            self.more = True
            return None
        ending = self.away and self._may_end()  # asked before reading: what is read afterwards is all there is
        piece = read_piece(contents, now, most)
        if piece is None:
            return self._truncated(now)
        if piece.refused:
            return self._not_text(now, ending)
        self._told.clear()
        self._blocked_since = None
        if piece.size != self._size:
            self._size, self._quiet_since = piece.size, self._world.clock()
        self.waiting = max(piece.size - now.offset, 0)
        if ending and piece.at_end and piece.rest and not self._copied and not self._is_quiet():
            ending = False  # whoever wrote half a line may still write the other half
        finished = ending and piece.at_end
        if finished:
            piece.take_rest(now)
        self._report(piece.cut)
        self.more = not piece.at_end or finished
        if finished:
            return self._finish(now, piece)
        return self._chunk(now, piece) if piece.used and not piece.silent else None

    def _chunk(self, generation: Generation, piece: Piece, *, finished: bool = False) -> Chunk:
        return Chunk(
            log_file=self.log_file,
            first_line=generation.line - piece.lines + 1,
            data=piece.data,
            head=piece.head,
            position=self._position(),
            caught_up=piece.at_end and not self.away and not finished,
            received=now_micros(),
            generation=generation.name,
            finished=finished,
        )

    def _position(self) -> dict[str, Any]:
        position: dict[str, Any] = msgspec.to_builtins(Position(now=self.now, past=self.past))
        return position

    def _finish(self, now: Generation, piece: Piece) -> Chunk:
        """Be done with the current generation."""
        now.silent_until = 0
        broken = self._contents.broken if self._contents is not None else None
        if broken is not None:
            text = f"a compressed rotated file is damaged: {broken}"
            self._world.problems.add("damaged", self.log_file, text, "what stood before the damage was used")
        self.past = [*self.past, now][-PAST:]
        self.now = None
        self.away = self._copied = self._overtaken = False
        self._size, self.waiting, self.more = -1, 0, True
        self._blocked_since = None
        self.close()
        return self._chunk(now, piece, finished=True)

    def _report(self, cut: Cut) -> None:
        if cut.long_lines or cut.left_out:
            text = f"lines longer than {LONGEST_LINE:,} bytes were cut"
            remedy = "find out which program writes them"
            self._world.problems.add("cut", self.log_file, text, remedy, count=cut.left_out, unit="bytes")
        if cut.nul:
            text = "NUL bytes were left out, as a crash or a truncation under a writing program leaves them"
            remedy = "let the program append (O_APPEND), or rotate by renaming"
            self._world.problems.add("damaged", self.log_file, text, remedy, count=cut.nul, unit="bytes")

    def _is_quiet(self) -> bool:
        return self._world.clock() - self._quiet_since >= self._world.grace

    # where it is --------------------------------------------------------------------------------------------------------

    def _stat(self) -> os.stat_result | None:
        try:
            return self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _live_size(self) -> int:
        return self._contents.status().st_size if self._contents is not None else 0

    def _open(self, now: Generation) -> bool:
        """Open the current generation wherever it is; False where it is nowhere. Raises OSError."""
        self._copied = False
        if not self.away:
            try:
                contents = Plain(self.path)
            except (FileNotFoundError, NotADirectoryError):
                self.away = True
            else:
                status = contents.status()
                if now.is_at(status.st_dev, status.st_ino):
                    self._contents = contents
                    return True
                contents.close()
                self.away = True
        self._contents = self._rotation.moved(now)
        if self._contents is not None:
            self._copied = is_packed(self._contents.path.name)
            return True
        return self._find_copy(now)

    def _find_copy(self, now: Generation) -> bool:
        self._contents = self._rotation.copy(now)
        if self._contents is not None:
            self._copied = self.away = True
        return self._copied

    def _may_end(self) -> bool:
        """Whether nothing more is to be expected of a generation that is away."""
        if self._copied:
            return True
        live = self._stat()
        if live is not None and live.st_size and not self._world.has_reader(self.path, live.st_dev, live.st_ino, beside=self):
            return True
        if self._contents is not None and not self._contents.status().st_nlink and self._is_quiet():
            return True
        return self._next_rotated() is not None

    # what comes next ----------------------------------------------------------------------------------------------------

    def _begin(self) -> Generation | None:
        """Begin the next generation; None where there is none yet. Raises OSError."""
        path = self._history_first() if self._fresh else self._next_rotated(anew=True)
        if path is None and self._stat() is None:
            return None
        place = path or self.path
        try:
            contents = open_contents(path) if path is not None else Plain(self.path)
        except OSError as error:
            if path is not None:
                self._pass_over(path, error)
            raise
        status = contents.status()
        if self._world.has_reader(place, status.st_dev, status.st_ino, beside=self):
            contents.close()
            return None
        again = self._known_as(place, status) if path is None else None
        if again is not None:
            self.past = [one for one in self.past if one is not again]
        number = 1 + max((one.number for one in self.past), default=0)
        self.now = again or Generation(number=number, device=status.st_dev, inode=status.st_ino)
        if self._fresh and self._from_end:
            self.now.silent_until = status.st_size
        self._fresh = False
        self._contents, self._copied, self.away = contents, path is not None and is_packed(path.name), path is not None
        self._size, self._quiet_since = -1, self._world.clock()
        self._world.reads(self, self.now)
        self._world.opened(self)
        return self.now

    def _is_overtaken(self, now: Generation, *, anew: bool = False) -> bool:
        """Whether a file of which nothing was read has been written, copied and truncated since."""
        if now.head_size or not self._rotation.has_changed(anew=anew):
            return False
        return self._next_rotated() is not None

    def _next_rotated(self, *, anew: bool = False) -> Path | None:
        return self._rotation.following(self.generations(), anew=anew)

    def _known_as(self, path: Path, status: os.stat_result) -> Generation | None:
        """The finished generation that lies there again."""
        for one in reversed(self.past):
            if one.is_at(status.st_dev, status.st_ino) and one.head_size and is_of(one, path):
                return one
        return None

    def _history_first(self) -> Path | None:
        """At the very first: the oldest rotated file that is to be read; those that are not are remembered as read."""
        folder = Path(self.log_file).parent
        wanted, self.past = self._rotation.history(
            lambda path: not self._from_end and self._world.is_named(str(folder / path.name))
        )
        for generation in self.past:
            self._world.reads(self, generation)
        return wanted[0] if wanted else None

    # when it goes wrong -------------------------------------------------------------------------------------------------

    def _truncated(self, now: Generation) -> Chunk | None:
        """The file does not hold any more what was read of it."""
        if self._contents is not None and self._copied:
            self._rotation.is_misfit(now, self._contents.status())
        self.close()
        self._copied = False
        if self._find_copy(now):
            self.more = True
            return None
        text = "the file was truncated or replaced; what was written after it was last read and before that is lost"
        remedy = "rotate by renaming instead of copying and truncating, or keep the copy beside the file"
        self._world.problems.add("truncated", self.log_file, text, remedy, count=self.waiting, unit="bytes")
        return self._finish(now, Piece())

    def _lost(self, now: Generation) -> Chunk:
        text = "the file is gone, and no other file in its folder continues what was read of it"
        remedy = "let rotation keep the last file in the same folder, as a file of its own or compressed (.gz, .xz, .bz2)"
        self._world.problems.add("lost", self.log_file, text, remedy, count=self.waiting, unit="bytes")
        return self._finish(now, Piece())

    def _not_text(self, now: Generation, ending: bool) -> Chunk | None:
        if "text" not in self._told:
            text = "is no text: it is not followed"
            self._world.problems.add("refused", self.log_file, text, "leave it out of `paths`, or let it be written as text")
        self._told.add("text")
        return self._finish(now, Piece()) if ending else None

    def _trouble(self, error: OSError) -> None:
        """Report a failure of the system once; it is tried again all the time."""
        text = error.strerror or str(error)
        if text in self._told or len(self._told) > 8:
            return
        self._told.add(text)
        place = "" if error.filename in (None, str(self.path)) else f" ({Path(os.fsdecode(error.filename)).name})"
        remedy = "name a regular file" if isinstance(error, NotRegularError) else "let the account that runs this read the file"
        self._world.problems.add("unreadable", self.log_file, f"cannot be read{place}: {text}", f"{remedy}; it is tried again")

    def _pass_over(self, path: Path, error: OSError) -> None:
        """A rotated file that cannot be read does not hold up its successors for ever."""
        if self._blocked_since is None:
            self._blocked_since = self._world.clock()
        elif self._world.clock() - self._blocked_since >= PATIENCE:
            self._rotation.is_unreadable(path)
            self._blocked_since = None
            text = f"a rotated file, {path.name}, cannot be read: {error.strerror or error}"
            self._world.problems.add("lost", self.log_file, text, "let rotation keep its permissions")

    def _give_up_waiting(self, error: OSError) -> Chunk | None:
        """A rotated file that cannot be read does not hold up its successor for ever."""
        if self.now is None or not self.away:
            return None
        if self._blocked_since is None:
            self._blocked_since = self._world.clock()
        if self._world.clock() - self._blocked_since < PATIENCE:
            return None
        text = f"what is left of the rotated file cannot be read: {error.strerror or error}"
        self._world.problems.add(
            "lost", self.log_file, text, "let rotation keep its permissions", count=self.waiting, unit="bytes"
        )
        return self._finish(self.now, Piece())

    # what was written after the end -------------------------------------------------------------------------------------

    def _read_late(self, most: int) -> Chunk | None:
        assert self._late is not None  # read() asks
        generation, path = self._late
        self._late = None
        contents = Plain(path)
        try:
            piece = read_piece(contents, generation, most)
        finally:
            contents.close()
        if piece is None or not piece.used:
            return None
        self._report(piece.cut)
        if not piece.at_end:
            self._late = generation, path
        self.more = True
        return self._chunk(generation, piece, finished=True)
