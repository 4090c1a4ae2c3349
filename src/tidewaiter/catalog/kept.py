"""What takes long to work out from the shipped files, kept in the user's cache folder for the next run.

Nothing depends on it: where the folder cannot be had, all is worked out anew. It holds only what the shipped files say, under a
digest of their content, so a changed file is never answered from before. A folder or file is trusted only where it belongs to
this user and nobody else may write to it; what is read from it is data and never run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

T = TypeVar("T")

VARIABLE = "TIDEWAITER_CACHE_DIR"
"""Names another cache folder; empty, nothing is kept."""
VERSIONS_KEPT = 4
"""Files of one name that stay: those of other versions and environments."""
LARGEST = 64 << 20

_DIGEST = 32
_SUFFIXES = (".toml", ".py")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def worked_out(name: str, kind: type[T], sources: tuple[str, ...], make: Callable[[], T]) -> T:
    """What `make` gives from these shipped files, as a type that msgspec knows: from the folder, or kept there from now on."""
    if not usable():
        return make()
    key = shipped(*sources)
    data = recall(name, key)
    if data is not None:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.msgpack.decode(data, type=kind)
    made = make()
    keep(name, key, msgspec.msgpack.encode(made))
    return made


@functools.cache
def shipped(*places: str) -> str:
    """A digest of the shipped files in these folders, or of these files, and of what they run on. Paths are of the package."""
    digest = hashlib.blake2b(f"{sys.version_info[:2]} {sys.platform} {_machine()}".encode(), digest_size=16)
    for place in places:
        digest.update(_digest(place))
    return digest.hexdigest()


@functools.cache
def _digest(place: str) -> bytes:
    """A digest of one file or folder, without folders in it."""
    digest = hashlib.blake2b(place.encode(), digest_size=32)
    item = resources.files("tidewaiter").joinpath(place)
    for name, content in _contents(item) if isinstance(item, Path) else _packed(item):
        digest.update(f"\0{name} {len(content)}\0".encode())
        digest.update(content)
    return digest.digest()


def _contents(item: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of files of the usual kind: 280 of them are read in every scan, so without a detour."""
    try:
        entries = sorted((entry.name, entry.path) for entry in os.scandir(item))
    except NotADirectoryError:
        entries = [(item.name, str(item))]
    for name, path in entries:
        if name.endswith(_SUFFIXES):
            number = os.open(path, os.O_RDONLY)
            try:
                content = os.read(number, os.fstat(number).st_size + 1)
            finally:
                os.close(number)
            yield name, content


def _packed(item: Traversable) -> Iterator[tuple[str, bytes]]:
    """The same of a package that is no folder."""
    for file in sorted(item.iterdir(), key=lambda entry: entry.name) if item.is_dir() else [item]:
        if file.name.endswith(_SUFFIXES):
            yield file.name, file.read_bytes()


def _machine() -> str:
    return os.uname().machine if hasattr(os, "uname") else ""  # where there is none, nothing is kept


def usable() -> bool:
    """Whether there is a folder to keep things in."""
    return _folder() is not None


def recall(name: str, key: str) -> bytes | None:
    """What was kept under this name and key; None where nothing is, or nothing that can be trusted. Raises nothing."""
    folder = _folder()
    if folder is None:
        return None
    try:
        number = os.open(folder / f"{name}-{key}", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(number, "rb") as file:
            about = os.fstat(number)
            if not stat.S_ISREG(about.st_mode) or not _ours(about) or not _DIGEST < about.st_size <= LARGEST:
                return None
            digest, data = file.read(_DIGEST), file.read()
    except OSError:
        return None
    return data if hashlib.blake2b(data, digest_size=_DIGEST).digest() == digest else None


def keep(name: str, key: str, data: bytes) -> None:
    """Keep data for later runs, where that is possible. Raises nothing."""
    folder = _folder()
    if folder is None or not data or len(data) + _DIGEST > LARGEST:
        return
    with contextlib.suppress(OSError):
        number, unfinished = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(hashlib.blake2b(data, digest_size=_DIGEST).digest())
                file.write(data)
            Path(unfinished).replace(folder / f"{name}-{key}")
        except OSError:
            Path(unfinished).unlink(missing_ok=True)
            raise
        for old in _oldest(folder, name):
            old.unlink(missing_ok=True)


def _oldest(folder: Path, name: str) -> Iterator[Path]:
    """The files of one name beyond those that stay."""
    files = sorted(folder.glob(f"{name}-*"), key=lambda file: file.stat().st_mtime, reverse=True)
    yield from files[VERSIONS_KEPT:]


def _ours(about: os.stat_result) -> bool:
    return about.st_uid == os.geteuid() and not about.st_mode & _OTHERS_MAY_WRITE


@functools.cache
def _folder() -> Path | None:
    """The folder, made where it is missing; None where it cannot be had or somebody else could write to it."""
    if not hasattr(os, "geteuid"):
        return None  # no way to tell whose a file is
    place = os.environ.get(VARIABLE)
    if place == "":
        return None
    try:
        folder = Path(place) if place else _usual_place() / "tidewaiter"
        if not folder.is_absolute():
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.lstat()
    except (OSError, RuntimeError, ValueError):  # no home, no space, no such name
        return None
    return folder if stat.S_ISDIR(about.st_mode) and _ours(about) and os.access(folder, os.W_OK) else None


def _usual_place() -> Path:
    """Where this system's users keep what can be made again. Raises RuntimeError where the user has no home."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
