"""What all families of obfuscation share: pieces of text, and lines that are one plain command."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

Transform = Callable[[str], str | None]
"""From a line to one that means the same, or None where it would not, or where that is not sure."""
Family = Mapping[str, Transform]


class Command(NamedTuple):
    """A line that starts with the bare name of a program."""

    name: str
    rest: str  # with what separates it from the name

    @property
    def halves(self) -> tuple[str, str]:
        """The name in two parts."""
        middle = (len(self.name) + 1) // 2
        return self.name[:middle], self.name[middle:]


def command(line: str) -> Command | None:
    """The line as name and rest; None where it starts with a path, a quote, an assignment or the like."""
    found = re.match(r"^([A-Za-z][\w.-]+)(\s.*)$", line, re.S)
    return Command(found[1], found[2]) if found else None


def holds(text: str, marks: str) -> bool:
    """Whether one of the characters is in the text."""
    return any(mark in text for mark in marks)


def pieces(text: str, size: int = 5) -> list[str]:
    """The text cut into parts of odd lengths, the same each time."""
    chance = random.Random(text)
    found: list[str] = []
    while text:
        length = chance.randint(2, size)
        found.append(text[:length])
        text = text[length:]
    return found


def mixed(text: str) -> str:
    """Every other letter in the other case."""
    return "".join(letter.upper() if place % 2 else letter.lower() for place, letter in enumerate(text))


def shuffled(parts: list[str]) -> tuple[list[int], list[str]]:
    """The parts in another order, and where each of the original ones went."""
    order = list(range(len(parts)))
    random.Random("".join(parts)).shuffle(order)
    places = [order.index(number) for number in range(len(parts))]
    return places, [parts[number] for number in order]
