"""What a server of a drill is: it is told what to serve where, and says on which port each method finds its file.

To add one: a module in drill/servers/ with a function `start`, and its table in knowledge/drill.toml.
"""

from __future__ import annotations

import importlib
from typing import Protocol

import msgspec


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What one server has to do."""

    kind: str
    address: str  # the only address that it may listen on
    port: int  # the well-known port to try first; 0: any, one for each method
    must_have: bool  # no other port serves
    served: str  # the folder with the files, absolute
    state: str  # a private folder for settings, keys and logs, absolute
    files: dict[str, str]  # method -> name of its file in the folder
    user: str  # who runs the drill


class Running(Protocol):
    """A server that runs."""

    ports: dict[str, int]  # by method

    def stop(self) -> None:
        """End it and everything that it started."""
        ...


def start(order: Order) -> Running:
    """Start the server of this kind. Raises DrillError where it cannot be had here."""
    module = importlib.import_module(f"tidewaiter.drill.servers.{order.kind}")
    running: Running = module.start(order)
    return running
