"""Asking for help must not load what only the work needs. Modules are counted, not seconds: a busy machine has no say."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "polars",
    "evtx",
    "tree_sitter",
    "tree_sitter_bash",
    "tree_sitter_powershell",
    "py7zr",
    "hyperscan",
    "rich",
    "sqlalchemy",
}
PROBE = """
import sys
from tidewaiter.cli.main import run
assert run({arguments!r}) == 0
print("loaded:", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules that a command line leaves loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)], ids=" ".join)
def test_the_program_says_what_it_is_without_loading_anything(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)

    assert "click" in loaded
    assert loaded & (HEAVY | {"msgspec", "sqlite3", "multiprocessing"}) == set()


@pytest.mark.parametrize("command", ["scan", "show", "list", "verdict", "baseline", "explain"])
def test_a_command_shows_its_help_without_loading_readers(command: str) -> None:
    loaded = loaded_by(command, "--help")

    assert "click" in loaded
    assert loaded & HEAVY == set()
