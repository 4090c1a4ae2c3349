"""Lines without a year get the one that the logs beside them tell."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidewaiter.pipeline.years import Neighbours, dated, is_undated
from tidewaiter.schema.account import Account


def _micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("undated", "latest", "expected"),
    [
        ("1970-11-24T02:57:15.250", "2026-11-24T03:00:00", "2026-11-24T02:57:15.250"),
        ("1970-11-24T02:57:15", "2026-11-23T12:00:00", "2026-11-24T02:57:15"),
        ("1970-12-31T23:59:00", "2026-01-01T08:00:00", "2025-12-31T23:59:00"),
        ("1970-01-01T00:10:00", "2025-12-31T23:00:00", "2026-01-01T00:10:00"),
        ("1970-11-24T02:57:15", "2026-03-01T00:00:00", "2025-11-24T02:57:15"),
    ],
)
def test_the_year_is_the_one_next_before_the_end_of_the_others(undated: str, latest: str, expected: str) -> None:
    assert dated(_micros(undated), _micros(latest)) == _micros(expected)


def test_times_that_are_known_stay() -> None:
    assert not is_undated(0)
    assert not is_undated(_micros("1970-01-01T00:02:00"))  # a capture whose clock begins at zero
    assert is_undated(_micros("1970-01-02T00:00:00"))
    assert not is_undated(_micros("2026-01-01T00:00:00"))
    known = Neighbours([Account(log_file="a/one.log", last=_micros("2026-05-01T00:00:00"))])
    assert known.dated(_micros("2020-02-02T00:00:00"), "a/two.log") == _micros("2020-02-02T00:00:00")
    assert Neighbours().dated(_micros("1970-02-02T00:00:00"), "a/two.log") == _micros("1970-02-02T00:00:00")


def test_the_own_folder_speaks_first() -> None:
    accounts = [
        Account(log_file="a/audit.log", last=_micros("2024-05-01T00:00:00")),
        Account(log_file="b/audit.log", last=_micros("2026-05-01T00:00:00")),
        Account(log_file="c/auth.log", last=_micros("1970-04-01T00:00:00")),
    ]
    known = Neighbours(accounts)
    moment = _micros("1970-04-01T00:00:00")
    assert known.dated(moment, "a/auth.log") == _micros("2024-04-01T00:00:00")
    assert known.dated(moment, "c/auth.log") == _micros("2026-04-01T00:00:00")
