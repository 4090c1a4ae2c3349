"""Recognising JSON lines, and reading their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.formats.json_lines import IsoTimes, first_objects


def test_the_first_objects_are_those_of_whole_lines() -> None:
    assert list(first_objects(b'\xef\xbb\xbf{"a":1}\r\n\n{"b":2}\n{"cut')) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("head", [b"", b"\n\n", b"[1,2]\n", b"text\n", b'{"a":\xff}\n', b'{"a":' * 50_000, b"{}" * 3])
def test_other_content_has_no_objects(head: bytes) -> None:
    assert list(first_objects(head)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T07:08:09.123456+0000", 1_714_979_289_123_456),
        ("2024-05-06T09:08:09.123456+0200", 1_714_979_289_123_456),
        ("2024-05-06T07:08:09.123456Z", 1_714_979_289_123_456),
        ("2024-05-06T07:08:09", 1_714_979_289_000_000),
        ("1601-01-01T00:00:00.000000+0000", -11_644_473_600_000_000),
        ("2024-05-06T07:08:09.12345x+0000", None),
        ("2024-05-06T07:08:6\u0661.123456+0000", None),
        ("2024-13-06T07:08:09.123456+0000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_read_or_refused(text: str, expected: int | None) -> None:
    times = IsoTimes()

    assert times.read(text) == expected
    assert times.read(text) == expected, "and again, remembered"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_remembering_minutes_changes_no_time(moment: datetime, offset: int) -> None:
    times = IsoTimes()
    sign = "-" if offset < 0 else "+"
    local = moment + timedelta(minutes=offset)
    suffix = f"{sign}{abs(offset) // 60:02}{abs(offset) % 60:02}"
    expected = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for shift in (0, 1):  # a second time of the same minute comes from memory
        second = (local.second + shift) % 60
        text = f"{local:%Y-%m-%dT%H:%M}:{second:02}.{local.microsecond:06}{suffix}"
        assert times.read(text) == expected + (second - local.second) * 1_000_000
