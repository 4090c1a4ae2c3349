"""Which side of a transfer is inside, and whether a transfer is one to report."""

from __future__ import annotations

import functools
import ipaddress
from typing import Literal

from tidewaiter.catalog import wire
from tidewaiter.errors import UsageError
from tidewaiter.schema.carried import Carried

Side = Literal["inside", "outside", "local", "unknown"]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Roles:
    """Sides by address. `internal` replaces the networks that are inside by default; UsageError on what is no network."""

    def __init__(self, internal: tuple[str, ...] = ()) -> None:
        self._networks = tuple(map(_network, internal or wire.load().inside))
        self.side = functools.lru_cache(maxsize=65_536)(self._side)

    def _side(self, text: str | None) -> Side:
        """Where an address is; `local` is the machine itself."""
        try:
            known = ipaddress.ip_address(text or "")
        except ValueError:
            return "unknown"
        if known.is_loopback:
            return "local"
        if any(known.version == network.version and known in network for network in self._networks):
            return "inside"
        return "outside"

    def direction(self, carried: Carried) -> Literal["ingress", "lateral"] | None:
        """Inside to inside is lateral; from inside to outside is an upload and no transfer (None); all else is ingress."""
        sender, receiver = self.side(carried.sender_ip), self.side(carried.receiver_ip)
        if receiver == "inside" and sender == "inside":
            return "lateral" if carried.sender_ip != carried.receiver_ip else "ingress"
        if receiver == "outside" and sender == "inside":
            return None
        return "ingress"


def _network(text: str) -> _Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise UsageError(f"{text!r} is no network such as 10.0.0.0/8") from None
