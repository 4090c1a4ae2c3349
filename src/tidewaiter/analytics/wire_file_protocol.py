"""Traffic flow: FTP, TFTP, rsync, finger, SMB, NFS and their like, used by a host that seldom does in this evidence."""

from __future__ import annotations

from collections.abc import Iterable

from tidewaiter.baseline.flows import FlowBaseline, Sides
from tidewaiter.schema.carried import Carried

PROTOCOLS = frozenset({"ftp", "tftp", "rsync", "finger", "smb", "nfs", "gopher", "git", "ssh"})
SELDOM = 2
MANY_FLOWS = 50
"""Flows of the host from which on it says something that it uses a protocol but once or twice."""
_FLOW_NAMES = {"ftp": ("ftp", "ftp-data", "ftp_data"), "rsync": ("rsync", "tcp/873"), "finger": ("finger", "tcp/79")}


class Analytic:
    """By the protocol, and by how many of the host's flows in the evidence are of it."""

    title = "File protocols where they are seldom used"
    data_component = "DC0078 Network Traffic Flow"

    def __init__(self) -> None:
        self._sides: tuple[FlowBaseline, Sides] | None = None

    def reasons(self, carried: Carried, usual: FlowBaseline) -> Iterable[tuple[str, str]]:
        """The protocol, and where the evidence can say so, that it is new for this host."""
        protocol = carried.protocol
        if protocol not in PROTOCOLS or carried.outcome == "failed":
            return
        yield "file_protocol", protocol
        client = carried.client_ip
        if client is None:
            return
        if self._sides is None or self._sides[0] is not usual:
            self._sides = (usual, Sides(usual))
        sides = self._sides[1]
        total = sides.total(client)
        if total < MANY_FLOWS:
            return
        flows = sum(sides.flows(client, name) for name in _FLOW_NAMES.get(protocol, (protocol,)))
        if 0 < flows <= SELDOM:
            yield "first_use", f"{flows} of {total} flows are {protocol}"
