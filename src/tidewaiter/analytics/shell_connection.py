"""Connections that a shell opens by itself, without any program: bash's /dev/tcp and its like leave no command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidewaiter.catalog import roles
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.finding import Finding

_NAME_LOOKUP = frozenset({53, 5353, 5355, 853})


class Analytic:
    """Outbound connections of bash, zsh and ksh themselves."""

    title = "A shell connects by itself"
    kinds = frozenset({EventKind.CONNECTION})
    data_component = "DC0082 Network Connection Creation"

    def __init__(self) -> None:
        self._shells = roles.Among(roles.load().socket_shells)

    def sieve(self, events: Sequence[Event]) -> list[bool]:
        """By the connecting program."""
        shells = self._shells
        return [event.initiated is not False and shells[event.process_path] for event in events]

    def findings(self, event: Event) -> Iterable[Finding]:
        """At most one finding."""
        if (
            event.dst_port in _NAME_LOOKUP
            or not event.dst_ip
            or event.dst_ip.startswith("127.")
            or event.outcome in ("refused", "failed")
        ):
            return
        place = f"[{event.dst_ip}]" if ":" in event.dst_ip else event.dst_ip
        action = Action(
            kind=ActionKind.INGRESS, utility="bash", form="dev_tcp", urls=(f"{place}:{event.dst_port}",), confidence=60
        )
        yield Finding(analytic="shell_connection", stage="connected", action=action, reasons=("shell_socket",))
