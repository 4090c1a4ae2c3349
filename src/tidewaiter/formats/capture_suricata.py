"""Suricata 7 as the packet engine: a capture in, an EVE log in a private folder out.

Source: the Suricata user guide, "Command Line Options", "Suricata.yaml" and "EVE JSON Output".
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Generator
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from tidewaiter.errors import MissingProgramError
from tidewaiter.formats.capture_child import Ended, run
from tidewaiter.formats.capture_harvest import STORE, prepare

OLDEST = 7
SECONDS, BYTES_A_SECOND = 120.0, 5_000_000
"""The time that a capture may take: so many seconds, and one more for so many bytes."""
LOG_SIZE = 4 << 30
SMALL = 12 << 20
"""The size of a capture, in bytes, up to which matchers that are soon ready cost less than those that are fast."""
_SOON_READY = "mpm-algo: ac\nspm-algo: bm\n"
_STORING = f"""\
  - file-store: {{version: 2, enabled: yes, dir: {STORE}, force-filestore: yes, stream-depth: 0, write-fileinfo: no}}
"""

_VERSION = re.compile(r"version (\d+)\.(\d+)\.(\d+)")
_READ = re.compile(r"read \d+ files?, (\d+) packets, (\d+) bytes")
_REFUSED = ("Failed to init pcap file", "failed to initialize", "not (yet) supported in module")
_INSTALL = (
    "packet captures are read by Suricata 7 or newer, {problem}. Debian and Ubuntu: apt-get install suricata "
    "(Debian 12: from its backports suite, apt-get install -t bookworm-backports suricata). Fedora: dnf install suricata. "
    "macOS: brew install suricata"
)


class Program(NamedTuple):
    """An installed Suricata."""

    path: str
    version: str


class Engine(NamedTuple):
    """What one run left: the EVE log, what Suricata said of the capture, and how it ended."""

    log: Path
    packets: int | None
    refused: str | None
    ended: Ended


class Links(NamedTuple):
    """The link types that Suricata reads as they are, the bytes to drop of others, and names."""

    read: frozenset[int]
    strip: dict[int, int]
    names: dict[int, str]


def find() -> Program:
    """The Suricata on the search path. Raises MissingProgramError, which says how to install it."""
    return _checked(shutil.which("suricata"))


@functools.lru_cache(maxsize=4)
def _checked(path: str | None) -> Program:
    if path is None:
        raise MissingProgramError(_INSTALL.format(problem="which is not installed"))
    try:
        said = subprocess.run([path, "-V"], capture_output=True, text=True, errors="replace", timeout=20, check=False).stdout  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingProgramError(_INSTALL.format(problem=f"and {path} does not run ({error})")) from error
    found = _VERSION.search(said)
    if found is None:
        raise MissingProgramError(_INSTALL.format(problem=f"and {path} does not say its version"))
    version = ".".join(found.groups())
    if int(found[1]) < OLDEST:
        raise MissingProgramError(_INSTALL.format(problem=f"and {path} is version {version}"))
    return Program(path, version)


@functools.cache
def links() -> Links:
    """The link types of knowledge/suricata/links.toml."""
    data = tomllib.loads(_knowledge("links.toml").decode())
    strip = {int(item["link"]): int(item["bytes"]) for item in data["strip"]}
    return Links(frozenset(data["read"]), strip, {int(number): name for number, name in data["names"].items()})


def _knowledge(name: str) -> bytes:
    return (resources.files("tidewaiter") / "knowledge" / "suricata" / name).read_bytes()


def seconds_for(size: int) -> float:
    """How long a capture of so many bytes may take."""
    return SECONDS + size / BYTES_A_SECOND


def read(
    program: Program, capture: Path, folder: Path, seconds: float, *, storing: bool = False
) -> Generator[None, None, Engine]:
    """Let Suricata read a capture; yields about once a second, returns what came of it.

    With `storing` it stores the files that it carves in `folder`, for `capture_harvest`.

    The caller has seen that the capture holds a packet and has a link type that Suricata reads: on others it hangs a minute.
    Writes to `folder` only, which must be private and new.
    """
    log = folder / "suricata.log"
    command = prepare_run(program, capture, folder, storing=storing)
    ended = yield from run(
        command, folder, seconds=seconds, file_size=LOG_SIZE, given_up=lambda: _refusal(_text(log)) is not None
    )
    said = _text(log)
    found = _READ.search(said)
    return Engine(folder / "eve.json", int(found[1]) if found else None, _refusal(said), ended)


def prepare_run(program: Program, capture: Path, folder: Path, *, storing: bool = False) -> list[str]:
    """Put our configuration and rules into a folder; returns the command that reads the capture there, in that folder."""
    (folder / "capture.yaml").write_bytes(_configuration(capture, storing=storing).encode())
    (folder / "tidewaiter.rules").write_bytes(_knowledge("tidewaiter.rules"))
    if storing:
        prepare(folder)
    (folder / "capture").symlink_to(capture.resolve())
    return [
        program.path, "-c", "capture.yaml", "-S", "tidewaiter.rules", "-r", "capture", "-l", ".", "-k", "none",
        "--runmode", "single",
    ]  # fmt: skip


def _configuration(capture: Path, *, storing: bool) -> str:
    """Our configuration with what depends on the capture. Compiling patterns for Hyperscan takes half of a short run."""
    text = _knowledge("capture.yaml").decode()
    if storing:
        text = text.replace("outputs:\n", f"outputs:\n{_STORING}", 1)
    # Landlock's lines go under `security`, which the file ends with
    return text + _landlock(capture) + (_SOON_READY if capture.stat().st_size <= SMALL else "")


def _landlock(capture: Path) -> str:
    """Reading is allowed where programs and the capture lie, writing in the private folder. A no-op on older kernels."""
    place = str(capture.resolve().parent)
    if not place.isprintable() or not place.isascii():
        return ""
    read = json.dumps(["/usr/", "/lib/", "/lib64/", "/etc/", "/proc/", "/sys/", "/dev/", "./", place])
    return f"  landlock:\n    enabled: yes\n    directories:\n      write: [ ./ ]\n      read: {read}\n"


def _text(log: Path) -> str:
    """The first megabyte of what Suricata says of its work."""
    try:
        with log.open("rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""


def _refusal(said: str) -> str | None:
    """Why Suricata does not read the capture, in its words, or None."""
    for line in said.splitlines():
        if any(sign in line for sign in _REFUSED):
            return line.partition("Error: ")[2] or line
    return None
