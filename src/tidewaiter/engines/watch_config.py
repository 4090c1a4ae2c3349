"""The settings of a watch: a TOML file, or the paths of a command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tidewaiter.errors import UsageError


class WatchOptions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What a watch reads, where it keeps what it finds, and whom it tells."""

    input: list[dict[str, Any]] = []  # see tidewaiter.feed
    sink: list[dict[str, Any]] = []  # see tidewaiter.sink
    store: str = ""  # file or URL; empty: watch.db in the state folder
    state: str = ""  # folder for what feeds and sinks keep; empty: see `state_folder`
    internal: list[str] = []  # networks that are inside, instead of those that are by default
    policies: list[str] = []
    metrics: str = ""  # 127.0.0.1:PORT; empty: no endpoint
    settle: float = 0.4  # seconds that a row waits for those of other logs that belong before it
    jobs: int = 0  # reading processes; 0: one for each core, at most 4
    user: str = ""  # whose rights to take where it is started with those of root

    def __post_init__(self) -> None:
        if not 0 <= self.settle <= 60:
            raise UsageError("settle: between 0 and 60 seconds")
        if not 0 <= self.jobs <= 64:
            raise UsageError("jobs: between 0 and 64")

    @property
    def readers(self) -> int:
        """How many reading processes to use."""
        return self.jobs or max(1, min(4, os.cpu_count() or 1))


def load(path: Path) -> WatchOptions:
    """The settings in a TOML file. Raises UsageError with the file and the place."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        options = msgspec.convert(table, WatchOptions)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: no UTF-8 text") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from None
    if not options.input:
        raise UsageError(f'{path}: no [[input]]: one such as type = "files", paths = ["/var/log/audit/audit.log"] is needed')
    return options


def of_paths(paths: Sequence[str], *, from_end: bool = False) -> list[dict[str, Any]]:
    """The inputs that paths of a command line stand for; `-` is standard input."""
    files = [path for path in paths if path != "-"]
    inputs: list[dict[str, Any]] = []
    if files:
        inputs.append({"type": "files", "paths": files, "from_end": from_end})
    if len(files) < len(paths):
        inputs.append({"type": "stdin"})
    return inputs


def state_folder(given: str) -> Path:
    """Where a watch keeps its state: as given, as systemd says, else in the user's state folder. Made where it is missing.

    Raises UsageError where it cannot be made.
    """
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    place = Path(given or os.environ.get("STATE_DIRECTORY", "").split(":")[0] or f"{home}/tidewaiter")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"state: {place}: {error.strerror or error}: name another folder with state or --state") from None
    return place
