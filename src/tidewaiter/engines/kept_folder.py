"""A private folder that is written through its descriptor: no link that appears later can lead a file elsewhere."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from tidewaiter.errors import UsageError

_BY_DESCRIPTOR = {os.open, os.stat, os.unlink, os.rename} <= os.supports_dir_fd
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
_APPENDED = os.O_RDWR | os.O_APPEND | _PLAIN


class KeptFolder:
    """The folder, made where it is not there, ours alone while this object is open. Names are single names in it.

    Raises UsageError, which names `option`, where the folder is a link, another user's, writable by others or in use; OSError
    where it cannot be made or opened. Methods raise OSError.
    """

    def __init__(self, path: str | Path, option: str) -> None:
        self.path = Path(path)
        self._option = option
        self._descriptor: int | None = None
        if self.path.is_symlink():
            raise self.refusal("is a symbolic link: name the folder itself")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _BY_DESCRIPTOR:  # Windows: there a folder in the user's profile is the user's
            return
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._check()
        except BaseException:  # raised again: only what was begun is undone first
            self.close()
            raise

    def _check(self) -> None:
        import fcntl

        assert self._descriptor is not None
        status = os.fstat(self._descriptor)
        if status.st_uid != os.geteuid():
            raise self.refusal("belongs to another user: name a folder of your own")
        if status.st_mode & 0o022:
            raise self.refusal(f"others may write there: chmod go-w {self.path}, or name a new folder")
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self.refusal("another scan is keeping files there: wait for it, or name another folder") from None

    def refusal(self, problem: str) -> UsageError:
        """The error that says why this folder is not taken."""
        return UsageError(f"{self._option} {self.path}: {problem}")

    def close(self) -> None:
        """Let go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def names(self) -> list[str]:
        """What is in the folder."""
        return os.listdir(self.path if self._descriptor is None else self._descriptor)  # noqa: PTH208 - by descriptor

    def size(self, name: str) -> int | None:
        """The bytes of a file; None where nothing or no regular file has that name."""
        with suppress(FileNotFoundError):
            status = os.stat(self._named(name), dir_fd=self._descriptor, follow_symlinks=False)
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        return None

    def create(self, name: str) -> IO[bytes]:
        """A new file for the owner alone (0600), to be written. It must not be there."""
        return self._opened(name, _NEW, "wb")

    def append(self, name: str) -> IO[bytes]:
        """A regular file that is there, to be read and to be written at its end."""
        file = self._opened(name, _APPENDED, "a+b")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(f"{name} is no regular file")
        return file

    def _opened(self, name: str, flags: int, mode: str) -> IO[bytes]:
        return os.fdopen(os.open(self._named(name), flags, 0o600, dir_fd=self._descriptor), mode)

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, in the place of what has it."""
        os.replace(self._named(name), self._named(to), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file; nothing where it is not there."""
        with suppress(FileNotFoundError):
            os.unlink(self._named(name), dir_fd=self._descriptor)

    def _named(self, name: str) -> str:
        if name in ("", ".", "..") or "/" in name or os.sep in name or "\0" in name:
            raise ValueError(f"{name!r} is no name of a file")
        return name if self._descriptor is not None else str(self.path / name)
