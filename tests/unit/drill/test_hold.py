"""Signals while a drill is held: the first one interrupts once it may, and none disturbs the tidying up."""

from __future__ import annotations

import os
import signal

import pytest

from tidewaiter.drill.hold import _Interrupts


def told(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_interrupts_and_later_ones_do_not(number: signal.Signals) -> None:
    standing = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, standing)  # what runs in the background of a shell is born ignoring some
    try:
        with _Interrupts() as interrupts:
            interrupts.arm()
            with pytest.raises(KeyboardInterrupt):
                told(number)
            told(number)
            told(signal.SIGTERM)

        assert signal.getsignal(number) == standing
    finally:
        signal.signal(number, before)


def test_a_signal_that_comes_too_early_waits_until_there_is_something_to_tidy_up() -> None:
    with _Interrupts() as interrupts:
        told(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupts.arm()


def test_nothing_interrupts_the_tidying_up() -> None:
    with _Interrupts() as interrupts:
        interrupts.arm()
        interrupts.ignore()
        told(signal.SIGTERM)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _Interrupts() as interrupts:
            interrupts.arm()
            told(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
