"""Lines that differ in numbers only are one to the sieve, but each would be read: that many of them are not read unseen."""

from __future__ import annotations

from tidewaiter.reading.sieve import FEW, TextSieve


def test_many_lines_that_differ_in_numbers_are_not_passed_unseen() -> None:
    sieve = TextSieve()
    answers = [sieve.candidates([f"grep -q 'state {number}' /var/lib/state"])[0] for number in range(2 * FEW)]
    assert answers[0] is True  # few are read without a sieve
    assert answers[-1] is False
    assert sieve.candidates(["curl -o /tmp/a http://files.example.com/a"]) == [True]


def test_the_same_lines_again_are_still_few() -> None:
    sieve = TextSieve()
    for _ in range(2 * FEW):
        assert sieve.candidates(["ls -la", "grep -q state /var/lib/state"]) == [True, True]
