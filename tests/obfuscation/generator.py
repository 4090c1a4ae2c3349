"""Every positive example of every utility, spelled so that it means the same and shows as little of it as can be.

A transformation leaves out the examples for which it would not, or not surely, mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from obfuscation import cmd_family, code_family, powershell_family, unix_family
from obfuscation.text import Family, holds
from tidewaiter.catalog import powershell, utilities
from tidewaiter.catalog.utilities import Example
from tidewaiter.reading.reader import shell_of

FAMILIES: Mapping[str, Family] = {
    "cmd": cmd_family.FAMILY,
    "powershell": powershell_family.FAMILY,
    "bash": unix_family.FAMILY,
    "python": code_family.PYTHON,
    "perl": code_family.PERL,
}
SPECIAL_IN_POWERSHELL = "\"'`$;,(){}@|&<>%#^!*[]\n"


class Spelling(NamedTuple):
    """One example in other words."""

    family: str
    way: str
    example: Example
    line: str

    @property
    def platform(self) -> str:
        """The platform that the line is for."""
        return "linux" if self.example.platform == "any" else self.example.platform


def positive() -> Iterator[Example]:
    """The examples that are not benign."""
    for utility in utilities.load().utilities:
        yield from (example for example in utility.example if example.label != "benign")


def families_of(example: Example) -> list[str]:
    """The families that can say an example in their language."""
    platform = "linux" if example.platform == "any" else example.platform
    shell = shell_of(example.command, platform)
    if platform == "windows":
        if shell == "powershell":
            return ["powershell"]
        first = example.command.split()[0].lower()
        other = (
            first in powershell.load().aliases or first in cmd_family.INTERNAL or holds(example.command, SPECIAL_IN_POWERSHELL)
        )
        return ["cmd"] if other else ["cmd", "powershell"]
    return ["bash", "python", "perl"] if shell == "bash" and platform != "network" else []


def spellings() -> Iterator[Spelling]:
    """All of them, the same each time."""
    for example in positive():
        for family in families_of(example):
            for way, transform in FAMILIES[family].items():
                line = transform(example.command)
                if line is not None and line != example.command:
                    yield Spelling(family, way, example, line)
