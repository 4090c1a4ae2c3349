"""Floors for what is found in the labelled corpus, as its scorer measures it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.corpus

BENIGN_EVENTS = 114_556
JOINED = 0.95
Score = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def score(corpus: Path) -> Score:
    scorer = corpus.parent / "tools" / "score.py"
    if not scorer.is_file():
        pytest.fail(f"the scorer of the labelled corpus is not at {scorer}")

    def run(*arguments: object) -> dict[str, Any]:
        command = [sys.executable, str(scorer), *map(str, arguments), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        figures: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return figures

    return run


def scanned(target: Path, *paths: Path) -> Path:
    """The transfers of a scan as JSON lines."""
    command = [sys.executable, "-m", "tidewaiter", "scan", *map(str, paths), "--format", "jsonl", "--output", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return target


@pytest.fixture(scope="module")
def windows(corpus: Path, score: Score, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = scanned(tmp_path_factory.mktemp("floors") / "windows.jsonl", corpus / "windows")
    return score("transfers", corpus / "windows" / "truth.jsonl", out)


def test_windows_recall(windows: dict[str, Any]) -> None:
    assert windows["recall"] >= 0.82


@pytest.mark.parametrize(("field", "floor"), [("source", 0.90), ("dest", 0.90), ("run", 0.85)])
def test_windows_fields(windows: dict[str, Any], field: str, floor: float) -> None:
    assert windows["exact"][field] >= floor


def test_recall_of_the_logs_of_two_hosts(corpus: Path, score: Score, tmp_path: Path) -> None:
    evidence = corpus / "lab" / "evidence"
    out = scanned(tmp_path / "lab.jsonl", evidence / "hosta", evidence / "hostb")

    assert score("transfers", corpus / "lab" / "truth.jsonl", out)["recall"] >= 0.85


def test_what_crossed_the_wire_is_joined_to_what_landed(corpus: Path, tmp_path: Path) -> None:
    """Of the transfers whose content and whose file both show in the logs: one record has both, with the file's own hash."""
    out = scanned(tmp_path / "both.jsonl", corpus / "lab" / "evidence")
    found = {
        (transfer["device"]["hostname"].split(".")[0], path.rsplit("/", 1)[-1], transfer["file"]["sha256"])
        for transfer in map(json.loads, out.read_text(encoding="utf-8").splitlines())
        if (path := transfer["dst"]["path"]) and transfer["device"]["hostname"]
        if transfer["stages"]["carried"]["state"] == transfer["stages"]["landed"]["state"] == "seen"
    }
    labels = map(json.loads, (corpus / "lab" / "truth.jsonl").read_text(encoding="utf-8").splitlines())
    both = [
        (label["host"], label["dest"].rsplit("/", 1)[-1], label["sha256"])
        for label in labels
        if label["visible"].get("file_on_wire") and label["visible"].get("file") and label["sha256"] and label["dest"]
    ]

    assert len(both) >= 20
    assert len(found.intersection(both)) >= JOINED * len(both), sorted(set(both) - found)


def test_few_alarms_on_benign_logs(corpus: Path, score: Score, tmp_path: Path) -> None:
    out = scanned(tmp_path / "benign.jsonl", corpus / "windows" / "benign")

    assert score("goodlog", out, "--events", BENIGN_EVENTS)["medium_or_higher_per_100k"] <= 1.0


@pytest.fixture(scope="module")
def commands(corpus: Path, score: Score, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    labels = corpus / "commands.jsonl"
    command = [sys.executable, "-m", "tidewaiter", "explain", "--jsonl"]
    done = subprocess.run(command, input=labels.read_bytes(), capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path_factory.mktemp("floors") / "commands.jsonl"
    out.write_bytes(done.stdout)
    return score("commands", labels, out)


@pytest.mark.parametrize(
    ("label", "measure", "floor"),
    [
        ("ingress", "recall", 0.97),
        ("ingress", "precision", 0.98),
        ("lateral", "recall", 0.9),
        ("upload", "recall", 0.9),
        ("verify_hash", "recall", 0.9),
        ("portproxy", "recall", 0.9),
        ("exact", "urls", 0.95),
        ("exact", "dest", 0.93),
        ("exact", "runs", 0.97),
    ],
)
def test_commands_are_understood(commands: dict[str, Any], label: str, measure: str, floor: float) -> None:
    assert commands[label][measure] >= floor


def test_benign_commands_are_left_alone(commands: dict[str, Any]) -> None:
    assert commands["benign_called_ingress"] <= 0.01 * commands["benign"]["n"]
