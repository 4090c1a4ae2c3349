"""Scanning the evidence of a story in this process, without workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tidewaiter.baseline.flows import FlowBaseline
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline import inputs
from tidewaiter.pipeline.inputs import InputLimits
from tidewaiter.pipeline.rows import Extent, Run
from tidewaiter.pipeline.run import ItemReader, WireCases, correlate, place
from tidewaiter.schema.account import Account
from tidewaiter.schema.transfer import Transfer

Told = tuple[list[Transfer], list[Account]]
Tell = Callable[..., Told]


def tell(work_dir: Path, *paths: Path) -> Told:
    """The transfers, in order of time, and the accounts of everything under `paths`."""
    reader = ItemReader(work_dir, "story")
    runs: list[Run] = []
    unplaced: list[Run] = []
    waiting: list[Extent] = []
    accounts: list[Account] = []
    folders: dict[str, set[str]] = {}
    kinds: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    usual = FlowBaseline()
    for item in inputs.plan([str(path) for path in paths], InputLimits()):
        done = reader.read(item)
        accounts += done.accounts
        runs += done.runs
        unplaced += done.unplaced
        waiting += done.dormant
        names.update(done.names)
        usual.merge(done.usual)
        for folder, hosts in done.folders.items():
            folders.setdefault(folder, set()).update(hosts)
        for host, seen in done.kinds.items():
            kinds.setdefault(host, set()).update(seen)
    runs.extend(place(unplaced, folders))
    found = list(correlate(runs, work_dir, kinds, names, Judge(), WireCases(usual), waiting=waiting))
    return sorted(found, key=lambda one: (one.time or "", one.id)), accounts


@pytest.fixture
def scan_here(tmp_path: Path) -> Tell:
    """`tell` with a work folder of its own."""
    work_dir = tmp_path / "scan"
    work_dir.mkdir()
    return lambda *paths: tell(work_dir, *paths)
