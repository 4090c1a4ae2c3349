"""A confined scan keeps its transfers in both kinds of store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from log_writer import Audit
from tidewaiter.engines import confinement
from tidewaiter.store.store import open_store


@pytest.mark.skipif(confinement.abi() < confinement.OLDEST, reason=f"no Landlock here (version {confinement.abi()})")
def test_a_confined_scan_reaches_its_store(place: str, tmp_path: Path) -> None:
    audit = Audit()
    audit.run(0, 610, "curl", "-O", "http://files.example.org/a")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "audit.log").write_text(audit.text(), encoding="utf-8")
    command = [sys.executable, "-m", "tidewaiter", "scan", str(tmp_path / "evidence"), "--confine", "--store", place]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd="/")

    assert done.returncode == 0, done.stderr
    assert "1 added" in done.stderr
    with open_store(place, create=False) as store:
        assert store.database.shown in done.stderr
