"""Bounds on unfolding: steps, depth, size and CPU time. Hitting one ends the work with what was found so far."""

from __future__ import annotations

import time

from tidewaiter.schema.action import Step

TEXT_KEPT = 4_000
"""How much of a step's text is kept for people."""


class BudgetExceeded(Exception):  # noqa: N818 - it ends a search, it is not an error
    """A bound was hit. The reader catches it and says so in `Reading.limits`."""


class Budget:
    """What one reading may spend. Shared by all nested readings of one command."""

    def __init__(self, *, steps: int = 20_000, depth: int = 12, size: int = 1_000_000, cpu_seconds: float = 0.04) -> None:
        self.steps_left = steps
        self.depth_left = depth
        self.size_left = size
        self.deadline = time.process_time() + cpu_seconds
        self.steps: list[Step] = []
        self.limits: list[str] = []

    def spend(self, steps: int = 1) -> None:
        """Count work; raises BudgetExceeded when the steps or the CPU time run out."""
        self.steps_left -= steps
        if self.steps_left < 0:
            self.exceed("too many steps")
        if self.steps_left % 64 < steps and time.process_time() > self.deadline:
            self.exceed("too much time")

    def grow(self, characters: int) -> None:
        """Count produced text; raises BudgetExceeded when it grows past the bound."""
        self.size_left -= characters
        if self.size_left < 0:
            self.exceed("unfolds to too much text")

    def limit(self, reason: str) -> None:
        """Note a bound that was hit; the work goes on with what is left."""
        if reason not in self.limits:
            self.limits.append(reason)

    def exceed(self, reason: str) -> None:
        """Note the bound that was hit and stop."""
        self.limit(reason)
        raise BudgetExceeded(reason)

    def note(self, what: str, text: str) -> None:
        """Record an unfolding step for people."""
        if len(self.steps) < 50 and (not self.steps or self.steps[-1].text != text[:TEXT_KEPT]):
            self.steps.append(Step(what, text[:TEXT_KEPT]))
