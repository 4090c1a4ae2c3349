"""What an analytic is, and the register of all of them.

An analytic turns one event into findings: one idea each, stateless, without parsing. What belongs together is correlation's
work; how much it weighs is judgement's. A wire analytic is asked about files that crossed the wire, once all records of their
flow are joined. To add one: a module in analytics/ with a class `Analytic` and one line below.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from tidewaiter.schema.carried import Carried
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


class WireAnalytic(Protocol):
    """One idea of what speaks for or against a file that crossed the wire, once all records of its flow are joined."""

    title: str
    data_component: str  # ATT&CK data component it stands on

    def reasons(self, carried: Carried, usual: Any) -> Iterable[tuple[str, str]]:
        """Ids of knowledge/weights.toml that hold, with their detail; `usual` is the FlowBaseline of the evidence itself."""
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

WIRE_REGISTER: tuple[Entry, ...] = (
    Entry("wire_content"),
    Entry("wire_disguise"),
    Entry("wire_port"),
    Entry("wire_client"),
    Entry("wire_one_sided"),
    Entry("wire_rarity"),
    Entry("wire_file_protocol"),
    Entry("wire_raw"),
    Entry("wire_tunnel"),
    Entry("wire_hosting"),
    Entry("wire_admin_share"),
    Entry("wire_signature"),
)
