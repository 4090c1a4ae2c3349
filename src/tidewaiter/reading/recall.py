"""What is known of the programs and paths of a text: which utility a name is, and what the text copied, mapped and wrote."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from tidewaiter.catalog import utilities
from tidewaiter.catalog.utilities import Utility
from tidewaiter.reading import argv, forms
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Word

_VERSION = re.compile(r"[\d.]+$")
WORDS_AT_MOST = 3_000
"""Arguments of one command that are looked at."""
WORDS_A_STEP = 8
"""Arguments that are sorted at the price of one step."""
_CURRENT_FOLDER = "\0folder"


class Recall:
    """Files that a text wrote with known content, drives and folders it mapped, and programs it copied to another name."""

    def __init__(self, platform: str, budget: Budget, original_name: str | None = None) -> None:
        self.platform = platform
        self.budget = budget
        self.original_name = original_name
        self.catalog = utilities.load()
        self.files: dict[str, str] = {}
        self.mounts: dict[str, str] = {}
        self.copies: dict[str, Utility] = {}
        self.pipes: set[str] = set()  # named pipes that the text made

    def find(self, invocation: Invocation) -> Utility | None:
        """The utility of an invocation: by name, by a copy made before, by PE original name, by its distinctive arguments."""
        name = program_name(invocation.program).removeprefix("-")  # "-bash": a login shell
        if name in ("mkfifo", "mknod"):
            self.pipes.update(argument for argument in invocation.args if not argument.startswith("-"))
        if any(mark in name for mark in "*?["):
            name = self._globbed(name, invocation) or name
        found = self.named(name, invocation)
        if found is None and _VERSION.search(name):
            found = self.named(_VERSION.sub("", name).rstrip("-"), invocation)
        if found is not None:
            return found
        if name in self.copies:
            return self.copies[name]
        if self.original_name:
            found = self.catalog.original(self.original_name)
            if found is not None:
                return found
        for utility in self.catalog.distinctive:
            parsed = argv.parse(utility, self.catalog.options(utility), invocation)
            if forms.View(utility, parsed, invocation).all_hold(utility.distinctive):
                self.budget.note("renamed program", f"{invocation.program} takes the arguments of {utility.name}")
                return utility
        return None

    def _globbed(self, pattern: str, invocation: Invocation) -> str | None:
        """`/usr/bin/c?rl`: the first program of that pattern for which the arguments mean something."""
        if len(pattern.strip("*?[]")) < 2:
            return None
        for name in sorted(fnmatch.filter(self.catalog.by_name, pattern))[:20]:
            for utility in self.catalog.candidates(name, self.platform):
                parsed = argv.parse(utility, self.catalog.options(utility), invocation)
                match = forms.match(utility, parsed, invocation)
                if match is not None and match.form.action == "ingress":
                    self.budget.note("pattern", f"{invocation.program} is {name}")
                    return name
        return None

    def named(self, name: str, invocation: Invocation) -> Utility | None:
        """Of several programs of one name, the first with a form for these arguments."""
        candidates = self.catalog.candidates(name, self.platform)
        for utility in candidates[:-1]:
            self.budget.spend(1 + len(invocation.argv) // WORDS_A_STEP)
            if forms.match(utility, argv.parse(utility, self.catalog.options(utility), invocation), invocation) is not None:
                return utility
        return candidates[-1] if candidates else None

    def remember_copy(self, match: forms.Match) -> None:
        """A copy of a known program is that program under another name."""
        if match.view is None or not match.dests or not match.dests[0]:
            return
        for source in match.view.texts(match.form.file):
            utility = self.catalog.named(program_name(source), self.platform)
            if utility is not None:
                self.copies[program_name(match.dests[0])] = utility

    def remember_mount(self, places: Sequence[str], source: str) -> None:
        """Drives or folders, or the current folder where none is named, now show a source."""
        for place in places or [""]:
            self.mounts[place.lower().rstrip("\\/") or _CURRENT_FOLDER] = source

    def rewrite_mounted(self, invocation: Invocation) -> set[int]:
        """Let words on a mapped drive or folder name the source that was mapped; returns the ids of those words."""
        if not self.mounts:
            return set()
        rewritten: list[Word] = []
        mounted: set[int] = set()
        for position, word in enumerate(invocation.argv):
            source = self._mounted_at(word.text, position)
            if source is None:
                rewritten.append(word)
                continue
            self.budget.note("mapped drive", f"{word.text} is on {source}")
            rewritten.append(Word(source, word.content, word.known))
            mounted.add(id(rewritten[-1]))
        invocation.argv = tuple(rewritten)
        return mounted

    def _mounted_at(self, text: str, position: int) -> str | None:
        for place, url in self.mounts.items():
            if place == _CURRENT_FOLDER:
                if position and re.match(r"^[\w][\w .-]*\.\w+$", text):
                    return url.rstrip("\\/") + "\\" + text
            elif text.lower().startswith((place + "\\", place + "/")):
                return url
        return None


def program_name(program: str) -> str:
    """Base name in lower case, without .exe, .com, .cmd and .bat."""
    name = re.split(r"[\\/]", program.strip().strip("\"'"))[-1].lower()
    return re.sub(r"\.(?:exe|com|cmd|bat)$", "", name)


def shown_name(utility: Utility, program: str = "") -> str:
    """The name that a person expects: that of the program where one file describes several; PowerShell for its cmdlets."""
    if utility.own_names and (name := program_name(program)) in utility.names:
        return name
    return "powershell" if utility.name.startswith("powershell_") else utility.name
