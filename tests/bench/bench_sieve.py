"""How many harmless command lines the sieve takes in a CPU second, and how many of them it lets through."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tidewaiter.reading.sieve import TextSieve

LINES = Path(__file__).with_name("benign_lines.txt")
"""What most process events of machines at work hold, written by hand; `{n}` stands for a number."""


def lines(number: int, seed: int = 1) -> Iterator[str]:
    """That many harmless command lines; the numbers in them vary."""
    samples = LINES.read_text(encoding="utf-8").splitlines()
    chosen = random.Random(seed)
    for line in chosen.choices(samples, k=number):
        yield line.replace("{n}", str(chosen.randrange(1_000, 99_999)))


class Speed(NamedTuple):
    """Lines a CPU second, and the part that passes, 0 to 1."""

    engine: str
    per_second: float  # lines as they come, most of them seen before but for their numbers
    unseen: float  # lines of which no two are equal
    passed: float
    start: float  # CPU seconds until the first answer


def measure(engine: str, number: int = 400_000, batch: int = 8_192) -> Speed:
    """One engine over harmless lines; the best of three rounds, each with a sieve that remembers nothing yet."""
    texts = list(lines(number))
    unseen = list(dict.fromkeys(texts))
    before = time.process_time()
    TextSieve(engine).candidates(texts[:1])
    start = time.process_time() - before
    passed, spent = _round(engine, texts, batch)
    return Speed(engine, number / spent, len(unseen) / _round(engine, unseen, batch)[1], passed / number, start)


def _round(engine: str, texts: list[str], batch: int) -> tuple[int, float]:
    best, passed = float("inf"), 0
    for _ in range(3):
        sieve = TextSieve(engine)
        before = time.process_time()
        passed = sum(sum(sieve.candidates(texts[place : place + batch])) for place in range(0, len(texts), batch))
        best = min(best, time.process_time() - before)
    return passed, best


if __name__ == "__main__":
    for name, size in (("hyperscan", 1_000_000), ("polars", 1_000_000), ("re", 20_000)):
        speed = measure(name, size)
        print(
            f"{name:<10} {speed.per_second:>12,.0f} lines per CPU s, {speed.unseen:>11,.0f} where no two are equal,"
            f" {speed.passed:.1%} pass, ready in {speed.start:.2f} CPU s"
        )
