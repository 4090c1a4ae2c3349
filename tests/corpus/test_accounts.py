"""One scan of the whole labelled corpus: every file is named, every record is counted, memory stays bounded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from measure import Cost, measured

pytestmark = pytest.mark.corpus

PEAK_MB = 500
SCAN = """
import json, sys
import msgspec
from tidewaiter.engines.local import scan
with scan(sys.argv[1:]) as found:
    told = {
        "accounts": [{**msgspec.to_builtins(one), "balanced": one.balanced} for one in found.accounts],
        "unreadable": msgspec.to_builtins(found.unreadable),
        "transfers": [
            (one.id, one.score, sum(reason.weight for reason in one.reasons), len(one.evidence)) for one in found.transfers()
        ],
    }
json.dump(told, sys.stdout)
"""

Told = tuple[dict[str, Any], Cost]


@pytest.fixture(scope="module")
def told(corpus: Path) -> Told:
    cost = measured([sys.executable, "-c", SCAN, str(corpus)], timeout=300)
    assert cost.status == 0, cost.errors[-3000:]
    return json.loads(cost.output), cost


def test_every_account_balances(told: Told) -> None:
    accounts = told[0]["accounts"]

    assert len(accounts) > 100
    assert [account["log_file"] for account in accounts if not account["balanced"]] == []
    assert [account["log_file"] for account in accounts if account["damaged"] < len(account["damage"])] == []


def test_no_reader_fails_by_a_fault_of_ours(told: Told) -> None:
    faults = [
        (account["log_file"], damage["problem"])
        for account in told[0]["accounts"]
        for damage in account["damage"]
        if damage["place"] == "reader"
    ]
    given_up = [one for one in told[0]["unreadable"] if "crashed" in one["problem"] or "said nothing" in one["problem"]]

    assert faults == []
    assert given_up == []


def test_every_file_is_named(corpus: Path, told: Told) -> None:
    named = {one["log_file"] for one in (*told[0]["accounts"], *told[0]["unreadable"])}
    files = {str(path) for path in corpus.rglob("*") if path.is_file()}
    lost = {path for path in files if path not in named and not any(name.startswith(path + "!") for name in named)}

    assert lost == set()


def test_scores_add_up_and_ids_are_unique(told: Told) -> None:
    transfers = told[0]["transfers"]

    assert transfers
    assert [one for one in transfers if one[1] != one[2] or not one[3]] == []
    assert len({one[0] for one in transfers}) == len(transfers)


def test_memory_stays_bounded(told: Told) -> None:
    assert told[1].largest_mb < PEAK_MB
    assert "Traceback" not in told[1].errors
