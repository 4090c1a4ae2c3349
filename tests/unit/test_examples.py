"""The evidence in examples/ against the truth beside it: what was brought in is found, and what is routine stays quiet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.engines.local import scan
from tidewaiter.pipeline.config import ScanOptions
from tidewaiter.schema.transfer import SEVERITIES, Transfer

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
ENOUGH = 0.9
QUIET = SEVERITIES[: SEVERITIES.index("medium")]

Row = dict[str, Any]


@pytest.fixture(scope="module")
def expected() -> list[Row]:
    return [json.loads(line) for line in (EXAMPLES / "expected.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def found() -> Iterator[list[Transfer]]:
    with scan([str(EXAMPLES / "evidence")], options=ScanOptions(jobs=1)) as result:
        yield list(result.transfers())


def spelled(url: str) -> str:
    """The URL of a row as transfers spell it: a finger query is told as `user@host`."""
    host, _, user = url.removeprefix("finger://").partition("/")
    return f"{user}@{host}" if url.startswith("finger://") else url


def fits(row: Row, transfer: Transfer) -> bool:
    """Whether a transfer reached the host of a row, from its URL or to its place."""
    if (transfer.device.hostname or "").lower() != row["host"].lower():
        return False
    place = (transfer.dst.path or "").lower()
    return transfer.src.url == spelled(row["url"]) or (row["dest"] is not None and place == row["dest"].lower())


def pairs(expected: list[Row], found: list[Transfer]) -> list[tuple[Row, Transfer]]:
    """The rows that were found, each with the transfer that says most of it."""
    fitting = [(row, [transfer for transfer in found if fits(row, transfer)]) for row in expected]
    return [(row, max(several, key=lambda transfer: transfer.score)) for row, several in fitting if several]


def test_what_was_brought_in_is_found(expected: list[Row], found: list[Transfer]) -> None:
    missing = {row["id"] for row in expected} - {row["id"] for row, _ in pairs(expected, found)}

    assert len(expected) > 20
    assert len(missing) <= (1 - ENOUGH) * len(expected), missing


def test_what_was_run_is_said_to_be_run(expected: list[Row], found: list[Transfer]) -> None:
    known = pairs(expected, found)
    wrong = {row["id"] for row, transfer in known if (transfer.stages["run"].state == "seen") is not row["run"]}

    assert {row["run"] for row, _ in known} == {True, False}
    assert len(wrong) <= (1 - ENOUGH) * len(known), wrong


def test_what_is_routine_stays_quiet(expected: list[Row], found: list[Transfer]) -> None:
    routine = [(row["id"], transfer.severity) for row, transfer in pairs(expected, found) if row["routine"]]

    assert len(routine) >= 2
    assert [one for one in routine if one[1] not in QUIET] == []


def test_what_the_truth_does_not_name_stays_quiet(expected: list[Row], found: list[Transfer]) -> None:
    unknown = [transfer for transfer in found if not any(fits(row, transfer) for row in expected)]
    loud = [transfer.src.url for transfer in unknown if transfer.severity not in QUIET]

    assert [transfer.src.url for transfer in unknown if (transfer.src.url or "").endswith("/health")] != []
    assert loud == []
