"""What a drill makes on the machine, written down before it is made, so that it can be taken away even where the drill died.

Everything lies in one private folder among the temporary files, named after the drill's token. Outside of it there are only
processes (tagged), addresses on the loopback interface and one bridge, each with an entry in the ledger.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import msgspec

from tidewaiter.drill import processes
from tidewaiter.errors import DrillError, UsageError

PREFIX = "tidewaiter-drill-"
FILE = "ledger.json"
BRIDGE = "twdrill0"
PORTS = ("twdrillc", "twdrills")
"""The bridge and the ends of its two cables: the only interfaces that a drill makes outside of its own namespaces."""
NETWORK = ipaddress.ip_network("10.99.0.0/16")
"""Where a drill takes addresses from."""
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_TOKEN = re.compile(r"[0-9a-f]{12}")


class Entries(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The ledger's content."""

    token: str
    process: int  # that holds the drill
    started: str  # when that process started, in ticks since the machine did
    boot: str
    addresses: list[str] = []  # with prefix length, on the loopback interface
    interfaces: list[str] = []


class Ledger:
    """The ledger of one drill and its folder. A context manager: leaving it takes everything away."""

    def __init__(self) -> None:
        """Raises UsageError where the folder for temporary files has a name that is no plain word in a shell."""
        token = secrets.token_hex(6)
        self.folder = Path(tempfile.gettempdir()) / f"{PREFIX}{token}"
        if not _PLAIN.fullmatch(str(self.folder)):
            raise UsageError(f"{tempfile.gettempdir()} is no plain path for commands: set TMPDIR to another folder")
        process = os.getpid()
        self.entries = Entries(token=token, process=process, started=processes.started(process) or "", boot=processes.boot())
        try:
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            raise DrillError(f"no private folder can be made: {error}") from None
        try:
            self._write()
        except BaseException:  # raised again: only what was begun is undone first
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def token(self) -> str:
        """Twelve hexadecimal digits, new for each drill."""
        return self.entries.token

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take away everything that the ledger names. Raises DrillError where something stays."""
        undo(self.folder, self.entries)

    def will_add_address(self, address: str) -> None:
        """Note an address that is about to be added to the loopback interface."""
        self.entries.addresses.append(address)
        self._write()

    def will_add_interface(self, name: str) -> None:
        """Note an interface that is about to be made."""
        self.entries.interfaces.append(name)
        self._write()

    def forget_interface(self, name: str) -> None:
        """The interface could not be made: one of that name is somebody else's."""
        self.entries.interfaces.remove(name)
        self._write()

    def _write(self) -> None:
        partial = self.folder / f"{FILE}.part"
        partial.write_bytes(msgspec.json.encode(self.entries))
        partial.replace(self.folder / FILE)


def undo(folder: Path, entries: Entries) -> list[str]:
    """Take away what a ledger names; says what was there. Raises DrillError where something stays."""
    done = []
    if count := processes.end(entries.token):
        done.append(f"ended {count} process{'es' if count > 1 else ''}")
    left = [f"process {process}" for process in processes.tagged(entries.token)]
    for address in entries.addresses:
        plain = ipaddress.ip_interface(address).ip
        if plain in NETWORK:  # the route first: with a preferred source it would outlive the address
            _ip("route", "delete", "local", str(plain), "dev", "lo", "table", "local")
            if _ip("address", "delete", address, "dev", "lo"):
                done.append(f"took {address} off the loopback interface")
    for name in (*PORTS, BRIDGE):
        if name in entries.interfaces and _is_there(name):
            if _ip("link", "delete", name) or not _is_there(name):
                done.append(f"removed the interface {name}")
            else:
                left.append(f"the interface {name}")
    shutil.rmtree(folder, onerror=lambda *_: None)
    if folder.exists():
        left.append(str(folder))
    else:
        done.append(f"removed {folder}")
    if left:
        raise DrillError(f"left behind: {', '.join(left)}; tidewaiter drill --clean takes it away")
    return done


def _is_there(interface: str) -> bool:
    return (Path("/sys/class/net") / interface).exists()


def _ip(*words: str) -> bool:
    """Whether the `ip` program did it."""
    program = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return False
    done = subprocess.run([program, *words], capture_output=True, check=False, timeout=20)  # noqa: S603 - no shell, our words
    return done.returncode == 0


def clean() -> tuple[list[str], list[str]]:
    """Take away what drills that died left behind: what was done, and which drills go on and were let be."""
    done: list[str] = []
    going_on: list[str] = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        entries = _entries(folder)
        if entries is None:
            continue
        if entries.boot == processes.boot() and processes.started(entries.process) == entries.started:
            going_on.append(f"process {entries.process} holds the drill of {folder}")
            continue
        done += undo(folder, entries)
    return done, going_on


def _entries(folder: Path) -> Entries | None:
    """The ledger in a folder that is ours beyond doubt, or None."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        status = folder.lstat()
        token = folder.name.removeprefix(PREFIX)
        private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
        if private and _TOKEN.fullmatch(token):
            entries = msgspec.json.decode((folder / FILE).read_bytes(), type=Entries)
            return entries if entries.token == token else None
    return None
