"""Prefixes of syslog lines."""

from __future__ import annotations

import pytest

from tidewaiter.formats.syslog import YearGuess, parse_iso, prefix_host, split

NOON = 1_767_355_200_000_000  # 2026-01-02T12:00:00Z


@pytest.mark.parametrize(
    ("line", "host", "rest"),
    [
        (b"Jan  2 12:00:00 web1 sshd[5]: hello", "web1", b"sshd[5]: hello"),
        (b"<34>Jan 02 12:00:00 web1 sshd[5]: hello", "web1", b"sshd[5]: hello"),
        (b"Jan  2 2026 12:00:00 web1 sshd[5]: hello", "web1", b"sshd[5]: hello"),
        (b"2026-01-02T12:00:00Z web1 sshd[5]: hello", "web1", b"sshd[5]: hello"),
        (b"2026-01-02T13:30:00.000000+01:30 web1 sshd[5]: hello", "web1", b"sshd[5]: hello"),
        (b"<34>1 2026-01-02T12:00:00Z web1 sshd 5 - - hello", "web1", b"sshd 5 - - hello"),
        (b"2026-01-02 07:00:00-0500 web1 x: y", "web1", b"x: y"),
    ],
)
def test_one_moment_in_many_spellings(line: bytes, host: str, rest: bytes) -> None:
    found = split(line, 2026)
    assert found is not None
    assert (found.time, found.host, found.rest) == (NOON, host, rest)


@pytest.mark.parametrize(
    "line", [b"", b"hello", b"Foo  2 12:00:00 a b", b"Feb 30 12:00:00 a b", b"2026-13-01T00:00:00Z a b", b"Jan  2 25:00:00 a b"]
)
def test_what_is_no_time_is_none(line: bytes) -> None:
    assert split(line, 2026) is None


def test_without_a_year_the_time_is_unknown() -> None:
    found = split(b"Jan  2 12:00:00 web1 x: y")
    assert found is not None
    assert found.time is None
    assert not found.dated


def test_fractions_and_leap_seconds() -> None:
    assert parse_iso(b"2026-01-02T12:00:00.123456789Z") == NOON + 123_456
    assert parse_iso(b"2026-01-02T12:00:00.5") == NOON + 500_000
    assert parse_iso(b"2026-01-02T11:59:60Z") == NOON
    assert parse_iso(b"0001-01-01T00:00:00+23:59") is not None


def test_the_host_is_that_of_the_prefix_only() -> None:
    assert prefix_host(b"Jan  2 12:00:00 web1 audispd: node=other type=X") == b"web1"
    assert prefix_host(b"2026-01-02T12:00:00Z web1 audit: x") == b"web1"
    assert prefix_host(b"type=SYSCALL msg=audit(1.000:1): web1 ") is None


def test_the_turn_of_the_year() -> None:
    guess = YearGuess(2025)
    assert [guess.of(month) for month in (11, 12, 12, 1, 12, 1, 2)] == [2025, 2025, 2025, 2026, 2025, 2026, 2026]
    assert YearGuess().of(5) == 1970
