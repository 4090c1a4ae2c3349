"""Counts that fade: an observation counts one when it is made, half after a half-life, a quarter after two.

A count is kept as its *level*, log2(count) + (time of it / half-life): a number that does not change while time passes, so that
counts of different times can be added and ranked without touching them. The order of adding does not matter.
"""

from __future__ import annotations

import math

DAY = 86_400 * 1_000_000
"""Microseconds of a day; observations of one day are taken to be of one time."""
HALF_LIFE = 30.0
"""Days after which an observation counts half, unless told otherwise."""
NOTHING = -math.inf
"""The level of no observation at all."""


def level_of(count: float, day: int, half_life: float) -> float:
    """The level of `count` observations on a day (days since 1970)."""
    return math.log2(count) + day / half_life if count > 0 else NOTHING


def added(one: float, other: float) -> float:
    """The level of two counts together."""
    low, high = (one, other) if one < other else (other, one)
    if low == NOTHING:
        return high
    return high + math.log2(1.0 + math.exp2(low - high))  # the power is between 0 and 1, and underflows to 0


def weight(level: float, moment: int, half_life: float) -> float:
    """What is left of a count at a time (microseconds); at an earlier time it is not more than it was."""
    if level == NOTHING:
        return 0.0
    power = level - (moment // DAY) / half_life
    return math.exp2(min(1_000.0, power))


def rate(level: float, moment: int, half_life: float, days: float) -> float:
    """Observations per day, where the baseline has watched for `days` before `moment`.

    A steady rate r leaves a count of r times the integral of the fading over the days watched.
    """
    watched = half_life / math.log(2) * (1.0 - math.exp2(-max(1.0, days) / half_life))
    return weight(level, moment, half_life) / watched
