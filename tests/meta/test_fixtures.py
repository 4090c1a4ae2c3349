"""The fixtures that every test relies on do what they promise."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("ci", "code", "said"), [("true", 1, "set TIDEWAITER_CORPUS"), ("", 0, "1 skipped")], ids=["in CI", "elsewhere"]
)
def test_a_missing_corpus_is_an_error_in_continuous_integration_only(
    root: Path, tmp_path: Path, ci: str, code: int, said: str
) -> None:
    shutil.copy(root / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text("def test_it(corpus):\n    assert corpus.is_dir()\n")
    environment = {**os.environ, "CI": ci, "TIDEWAITER_CORPUS": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path)]
    done = subprocess.run([*command, "test_it.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stdout
    assert said in done.stdout


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_no_test_reaches_another_machine(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe, pytest.raises(AssertionError, match="tried to reach"):
        probe.connect((address, 9))
