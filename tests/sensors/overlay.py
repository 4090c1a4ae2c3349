"""Runs Suricata with Debian's own configuration, and with the overlay included as its heading says."""

from __future__ import annotations

import subprocess
from pathlib import Path

DEFAULT = Path("/etc/suricata/suricata.yaml")


def configuration(folder: Path, overlay: str) -> Path:
    """A copy of the default configuration in `folder`, with the overlay included as its last line where it is not empty."""
    main = DEFAULT.read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    if overlay:
        (folder / "tidewaiter.yaml").write_text(overlay, encoding="utf-8")
        main += "\ninclude: [tidewaiter.yaml]\n"
    (folder / "suricata.yaml").write_text(main, encoding="utf-8")
    return folder / "suricata.yaml"


def check(folder: Path, overlay: str) -> str:
    """What `suricata -T` says. Raises AssertionError where it refuses."""
    return _run("-T", "-c", str(configuration(folder, overlay)), "-S", "/dev/null", "-l", str(folder))


def read(capture: Path, folder: Path, overlay: str) -> Path:
    """Let Suricata read a capture; its logs are then in `folder`."""
    _run(
        "-c", str(configuration(folder, overlay)), "-S", "/dev/null", "-k", "none", "-r", str(capture), "-l", str(folder),
        "--runmode", "single",
    )  # fmt: skip
    return folder


def _run(*arguments: str) -> str:
    done = subprocess.run(["suricata", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
