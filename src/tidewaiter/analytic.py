"""What an analytic is, and the register of all of them.

An analytic turns one event into findings: one idea each, stateless, without parsing. What belongs together is correlation's work;
how much it weighs is judgement's. To add one: a module in analytics/ with a class `Analytic` and one line below.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding


class Analytic(Protocol):
    """One idea of what in a single event shows a transfer."""

    title: str
    kinds: frozenset[EventKind]  # the events it is asked about
    data_component: str  # ATT&CK data component it stands on

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """Which of a batch could have findings: a superset, as cheap as possible."""
        ...

    def findings(self, event: Event) -> Iterable[Finding]:
        """What it sees in one event that passed the sieve."""
        ...


class Entry(NamedTuple):
    """One line of the register."""

    name: str

    def load(self) -> Any:
        """An instance of the module's `Analytic`."""
        return importlib.import_module(f"tidewaiter.analytics.{self.name}").Analytic()


REGISTER: tuple[Entry, ...] = (
    Entry("command_execution"),
    Entry("file_from_network"),
    Entry("executable_dropped"),
    Entry("share_write"),
    Entry("transfer_job"),
    Entry("download_history"),
    Entry("shell_connection"),
)
