"""Landlock for offline scans: inputs are read-only, outputs have one folder each, TCP is closed. Linux 5.19 and newer.

A native reader or packet program that a hostile log takes over can then neither write elsewhere, nor read what the scan was
not given, nor connect. The kernel keeps the process and all its children so until they end. Source: the kernel's "Landlock:
unprivileged access control" (userspace-api/landlock.rst) and linux/landlock.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import stat
import struct
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tidewaiter.errors import ConfinementError

OLDEST = 2
"""The first version whose processes may rename from folder to folder where they may write."""
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_NO_NEW_PRIVS = 38
_EBADFD = 77  # Linux only, as all of this
_PATH_BENEATH, _VERSION = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR = (1 << bit for bit in range(5))
_MAKE_DIR, _TRUNCATE, _IOCTL_DEV = 1 << 7, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11
_EVERYTHING = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # rights on files, by the version that brought them
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _READ_FILE | _READ_DIR
_WRITE = ((1 << 15) - 1) & ~(_EXECUTE | _MAKE_DEVICES)
_TCP = 0b11  # bind and connect, since version 4
_SCOPES = 0b11  # abstract UNIX sockets and signals of processes outside, since version 6


class Reach(NamedTuple):
    """What a confined process may reach: paths that it reads, executes from and writes to, and whether TCP is open."""

    read: tuple[Path, ...] = ()
    run: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()  # where empty folders may come and go
    network: bool = False


class Confined(NamedTuple):
    """What the kernel now holds to: the version of Landlock, and whether TCP is closed."""

    abi: int
    network_closed: bool


def abi() -> int:
    """The version of Landlock that this kernel speaks; 0 where it has none, or is no Linux."""
    if sys.platform != "linux":
        return 0
    version = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(0, int(version))


def restrict(reach: Reach) -> Confined:
    """Give up, for good, everything but `reach`, in this process and all its children.

    What does not exist is passed over. Raises ConfinementError where the kernel cannot do it or where threads run already,
    which would stay free.
    """
    version = abi()
    if version < OLDEST:
        found = f"version {version}" if version else "none"
        raise ConfinementError(f"this kernel cannot confine a scan (Landlock: {found}, needed: {OLDEST}): use --no-confine")
    if (threads := sum(1 for _ in Path("/proc/self/task").iterdir())) > 1:
        raise ConfinementError(f"{threads} threads run already and would stay free: confine a process at its start")
    handled = _EVERYTHING[max(since for since in _EVERYTHING if since <= version)]
    closed = version >= 4 and not reach.network
    attributes = struct.pack("=QQQ", handled, _TCP if closed else 0, _SCOPES if version >= 6 else 0)
    attributes = attributes[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for paths, rights in (
            (reach.read, _READ),
            (reach.run, _READ | _EXECUTE),
            (reach.write, _WRITE),
            (reach.devices, _READ | _WRITE_FILE | _IOCTL_DEV),
            (reach.folders, _MAKE_DIR | _REMOVE_DIR),
        ):
            for path in dict.fromkeys(paths):
                _allow(ruleset, path, rights & handled)
        if _libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise ConfinementError("the kernel does not let this process give up new privileges")
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return Confined(version, closed)


@contextlib.contextmanager
def confined(
    inputs: Sequence[str],
    *,
    output: str | None = None,
    store: str | None = None,
    policies: Sequence[str] = (),
    keep_files: str | None = None,
) -> Iterator[Confined]:
    """Confine this process for a scan: what it is given it may read, where it puts results it may write, and no more.

    `store` is a file or a URL; a URL keeps the network open. `keep_files` is a folder that is there. Temporary files go into
    a private folder that is removed at the end; the confinement itself stays until the process ends. Raises
    ConfinementError, PolicyError and UsageError.
    """
    top = Path(tempfile.gettempdir())
    private = Path(tempfile.mkdtemp(prefix="tidewaiter-"))
    before, named = tempfile.tempdir, os.environ.get("TMPDIR")
    try:
        found = restrict(_reach(inputs, private, top, output, store, policies, keep_files))
        tempfile.tempdir = os.environ["TMPDIR"] = str(private)
        yield found
    finally:
        shutil.rmtree(private, ignore_errors=True)
        tempfile.tempdir = before
        if named is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = named


def _reach(
    inputs: Sequence[str],
    private: Path,
    top: Path,
    output: str | None,
    store: str | None,
    policies: Sequence[str],
    keep_files: str | None,
) -> Reach:
    from tidewaiter.catalog import confinement

    known = confinement.load()
    read = [Path(path) for path in (*inputs, *known.read)] + list(_of_policies(policies))
    write = [private] + ([Path(keep_files)] if keep_files is not None else [])
    if output not in (None, "-"):
        write.append(_place_of(Path(str(output))))
    network = False
    if store is not None:
        from tidewaiter.store.connection import store_url

        url = store_url(store)
        network = url.get_backend_name() != "sqlite"
        if network:
            read += [home / name for home in _home() for name in known.database]
        else:
            write.append(_place_of(Path(url.database or ".")))
    return Reach(
        read=tuple(read),
        run=tuple(map(Path, known.programs)) + tuple(_of_python()) + tuple(_of_search_path()),
        write=tuple(write),
        devices=tuple(map(Path, known.devices)),
        folders=(top,),
        network=network,
    )


def _place_of(path: Path) -> Path:
    """The folder of a result, which is made and renamed there; a device or a pipe stands for itself."""
    return path if path.exists() and not path.is_file() else path.resolve().parent


def _of_policies(policies: Sequence[str]) -> Iterator[Path]:
    """Policy files and the lists that they name."""
    from tidewaiter.policy.document import KnownBad, read_document

    for policy in policies:
        path = Path(policy)
        yield path
        named = (entry for _, entry in read_document(path).entries() if isinstance(entry, KnownBad))
        yield from (path.parent / entry.file for entry in named if entry.file is not None)


def _of_python() -> Iterable[Path]:
    """The interpreter, its libraries, and ours. The working directory, where `python -m` looks first, is none of them."""
    import tidewaiter

    places = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *sysconfig.get_paths().values(), *sys.path}
    places -= {"", ".", str(Path.cwd()), *map(str, _home())}
    return [Path(tidewaiter.__file__).parent, *(Path(place) for place in sorted(places) if Path(place) != Path("/"))]


def _of_search_path() -> Iterator[Path]:
    """Folders of programs and libraries that are named outside of the usual places, with what lies beside them in a prefix."""
    homes = {place for home in _home() for place in (home, *home.parents)} | {Path("/")}
    for name in ("PATH", "LD_LIBRARY_PATH"):
        for part in os.environ.get(name, "").split(os.pathsep):
            if not Path(part).is_absolute():
                continue
            folder = Path(part).resolve()
            prefix = folder.parent
            yield folder
            if folder.name in ("bin", "sbin", "lib", "lib64") and prefix not in homes:
                yield prefix


def _home() -> list[Path]:
    """The home of the user, where there is one."""
    with contextlib.suppress(RuntimeError):
        return [Path.home().resolve()]
    return []


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Add a path with what is below it; a file takes the rights that files have."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there, or not to be reached: nothing to allow
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        with contextlib.suppress(_NoFolderError):
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


class _NoFolderError(ConfinementError):
    """A pipe or socket that lies in no folder: the kernel has no rule for it, and leaves it open."""


def _call(number: int, *arguments: object) -> int:
    """A system call. Raises ConfinementError with the kernel's reason."""
    result = int(_libc().syscall(number, *arguments))
    if result < 0 and ctypes.get_errno() == _EBADFD:
        raise _NoFolderError
    if result < 0:
        raise ConfinementError(f"the kernel refused to confine this process: {os.strerror(ctypes.get_errno())}")
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
