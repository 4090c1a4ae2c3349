"""Whether a program start, or a block of rows, may mean something that was brought in: told from little, never too seldom."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from tidewaiter.correlation import after
from tidewaiter.correlation.glimpse import Glimpse
from tidewaiter.correlation.outline import path_sum
from tidewaiter.correlation.processes import Process
from tidewaiter.reading import paths

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostFold

_WORD = re.compile(r"\w+")
_FEW = 16
_IMAGES_KEPT = 4_096
_KELVIN = "\N{KELVIN SIGN}".encode()  # the one character beside the ASCII ones that a small ASCII letter is made of
_path_key = functools.lru_cache(maxsize=4_096)(paths.path_key)


class Names:
    """What is worked out from the names under which a fold knows something, and stays until they are others."""

    def __init__(self) -> None:
        self._hints: set[str] | None = None  # first words of all names; None: to be made
        self._sums: set[int] | None = None  # of all paths; None: to be made
        self._images: dict[str | None, tuple[bool, bool]] = {}  # path of a program -> whether it was brought in, handles files

    def add(self, path: str, base: str) -> None:
        """One more path, and its last part."""
        self._images.clear()
        if self._hints is not None:
            self._hints.add(_first_word(base))
        if self._sums is not None:
            self._sums.add(path_sum(path))

    def forget(self) -> None:
        """Some are known no more."""
        self._hints = self._sums = None
        self._images.clear()

    def path_sums(self, fold: HostFold) -> set[int]:
        """Of all paths under which something is known, as outlines have them."""
        if self._sums is None:
            self._sums = set(map(path_sum, fold.by_path))
        return self._sums

    def may_mean(self, fold: HostFold, glimpse: Glimpse, process: Process) -> bool:
        """Whether a start may be of something that was brought in, or name it."""
        brought_in, handles = self._images.get(glimpse.path) or self._image(fold, glimpse.path, process)
        if brought_in or (fold.by_hash and glimpse.sha256 in fold.by_hash):
            return True
        return handles and self._may_spell(fold, glimpse, process)

    def _image(self, fold: HostFold, path: str | None, process: Process) -> tuple[bool, bool]:
        key, base, archive, handles = after.image_of(path or process.told.name)
        by_base = fold.by_base
        found = key in fold.by_path or base in by_base or bool(archive and archive in by_base), handles
        if path is not None:
            if len(self._images) >= _IMAGES_KEPT:
                self._images.clear()
            self._images[path] = found
        return found

    def _may_spell(self, fold: HostFold, glimpse: Glimpse, process: Process) -> bool:
        """Whether the arguments of a start may name something that was brought in."""
        hints = self._hints
        if hints is None:
            hints = self._hints = {_first_word(path.rsplit("/", 1)[-1]) for path in (*fold.by_path, *fold.by_base)}
        if len(hints) <= _FEW and process.record is glimpse and _KELVIN not in glimpse.packed:
            text = glimpse.packed.lower().decode("latin-1")  # cheaper than to unpack it, and hints are ASCII
            for hint in hints:
                if hint in text:
                    break
            else:
                return False
        event = glimpse.read()
        if _path_key(event.cwd if process.record is glimpse else process.told.cwd) in fold.by_path:
            return True  # `.` and the like name it without its name
        text = " ".join(event.argv) if event.argv else event.command_line or ""
        return "" in hints or not hints.isdisjoint(_WORD.findall(text.lower()))


def _first_word(name: str) -> str:
    """Whoever spells a name spells its first word; empty where it holds none that is safely compared."""
    word = _WORD.search(name)
    return word[0] if word is not None and name.isascii() else ""
