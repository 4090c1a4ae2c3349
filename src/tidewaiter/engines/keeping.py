"""What a scan does with its store, and the journal by which a scan that was killed goes on where it was.

The journal is a private folder beside the store (for PostgreSQL: among the temporary files). It holds what the readers made of
each input; the store itself holds the transfers, a batch in each transaction. A scan that ends removes its journal.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from tidewaiter.baseline.memory import Memory
from tidewaiter.pipeline import inputs
from tidewaiter.pipeline.inputs import WorkItem
from tidewaiter.pipeline.run import ItemResult
from tidewaiter.schema.account import Account
from tidewaiter.schema.transfer import Transfer
from tidewaiter.store.inputs import LogInput, content_digest
from tidewaiter.store.store import Store


class Journal:
    """The folder of one scan. `path` is the work folder; where another scan holds the journal, it is a temporary one."""

    def __init__(self, place: Path) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock: IO[bytes] | None = None
        self._finished = False
        self.path = place
        if not self._hold(place):
            self._temporary = inputs.work_folder()
            self.path = Path(self._temporary.name)
            return
        marker = place / "program"
        if not marker.is_file() or marker.read_text(encoding="utf-8") != _program():
            self._empty()
            marker.write_text(_program(), encoding="utf-8")

    def _hold(self, place: Path) -> bool:
        """Make the folder ours alone: private, not a link, and locked until this process ends."""
        try:
            import fcntl
        except ImportError:  # no such locks here: scans are not resumed
            return False
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        status = os.lstat(place)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            return False
        lock = (place / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _empty(self) -> None:
        for path in self.path.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def known(self, item: WorkItem, digest: str) -> ItemResult | None:
        """What an earlier, unfinished scan made of an input, where all of it is still there."""
        try:
            noted = msgspec.msgpack.decode(self._note(item, digest).read_bytes(), type=ItemResult)
            runs = [*noted.runs, *noted.unplaced, *noted.dormant]
            whole = all(Path(run.path).stat().st_size >= run.end for run in runs)
        except (OSError, msgspec.MsgspecError):
            return None
        return noted if whole else None

    def note(self, item: WorkItem, digest: str, result: ItemResult) -> None:
        """Remember what was made of an input."""
        target = self._note(item, digest)
        partial = target.with_suffix(".part")
        partial.write_bytes(msgspec.msgpack.encode(result))
        partial.replace(target)

    def _note(self, item: WorkItem, digest: str) -> Path:
        parts = f"{item.log_file}\0{item.path}\0{item.size}\0{digest}".encode("utf-8", "surrogatepass")
        return self.path / f"{hashlib.sha256(parts).hexdigest()[:32]}.item"

    def finish(self) -> None:
        """The scan is complete: the journal goes when it is cleaned up."""
        self._finished = True

    def cleanup(self) -> None:
        """Remove the folder of a finished scan; that of an unfinished one stays."""
        if self._temporary is not None:
            self._temporary.cleanup()
            return
        if self._finished:
            self._empty()
        if self._lock is not None:
            if self._finished:
                (self.path / "lock").unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    self.path.rmdir()
            self._lock.close()
            self._lock = None


class Keeping:
    """A scan that keeps its results: it checkpoints inputs, keeps transfers, and resumes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.journal = Journal(_journal_place(store))
        self.resumed = 0
        self.learned_from = 0  # inputs that the history was learned from: what is in them is usual by itself
        self._digests: dict[str, str] = {}
        self._accounts: dict[str, list[Account]] = {}
        self._items: list[WorkItem] = []

    @property
    def memory(self) -> Memory | None:
        """The history, where there is one."""
        return None if self.store.history.empty else self.store.history

    def begin(self, items: Iterable[WorkItem], *, carried: bool = False) -> list[tuple[WorkItem, ItemResult]]:
        """Note all inputs as partial; what an unfinished scan made of some of them comes back.

        With `carried`, captures are read again: the journal does not hold the contents that they carried.
        """
        self._items = [item for item in items if item.problem is None]
        known = []
        for item in self._items:
            try:
                self._digests[item.log_file] = content_digest(Path(item.path))
            except OSError:
                self._digests[item.log_file] = "unreadable"
                continue
            result = self.journal.known(item, self._digests[item.log_file])
            if result is not None and not (carried and result.carries):
                known.append((item, result))
        self.resumed = len(known)
        self.learned_from = len(self.store.history.learned(list(self._digests.values())))
        self.store.checkpoint(self._inputs("partial"))
        return known

    def read(self, item: WorkItem, result: ItemResult, *, new: bool) -> None:
        """An input was read to its end."""
        self._accounts[item.log_file] = result.accounts
        if new and item.log_file in self._digests:
            self.journal.note(item, self._digests[item.log_file], result)

    def keep(self, transfers: Iterable[Transfer]) -> Iterator[Transfer]:
        """Pass transfers on while keeping them; at their end the inputs are done."""
        yield from self.store.keep(transfers)
        self.store.checkpoint(self._inputs("done"))
        self.journal.finish()

    def _inputs(self, state: str) -> Iterator[LogInput]:
        for item in self._items:
            yield LogInput(
                log_file=item.log_file,
                size=item.size,
                digest=self._digests[item.log_file],
                state="done" if state == "done" else "partial",
                accounts=self._accounts.get(item.log_file, []),
            )


def _journal_place(store: Store) -> Path:
    if store.database.is_sqlite:
        return Path(f"{store.database.url.database}-resume")
    shown = hashlib.sha256(store.database.shown.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tidewaiter-resume-{os.getuid() if hasattr(os, 'getuid') else 0}-{shown}"


def _program() -> str:
    """What the readers are made of: another release must not go on from what this one read."""
    import tidewaiter

    top = Path(tidewaiter.__file__).parent
    digest = hashlib.sha256(tidewaiter.__version__.encode())
    for path in sorted(top.rglob("*")):
        if path.suffix in (".py", ".toml", ".json"):
            status = path.stat()
            digest.update(f"{path.relative_to(top)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
