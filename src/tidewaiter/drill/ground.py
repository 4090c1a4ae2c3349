"""Where a drill is held: on the loopback interface, with addresses of its own where we may, or between two namespaces."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

from tidewaiter.drill.ledger import BRIDGE, PORTS, Ledger
from tidewaiter.drill.namespaces import Namespace
from tidewaiter.errors import DrillError, UsageError

NET_ADMIN, SYS_ADMIN = 12, 21
"""Numbers of Linux capabilities."""
PATIENCE = 20.0
"""Seconds that the `ip` program may take."""
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"

SHORT, LONG = 120, 500
"""Lines of comment in a marker: about 7 kB and 27 kB. On the loopback interface a packet is as long as what is sent, and
sensors cut those of 10 kB and more. Elsewhere markers are as long as small programs: of encrypted flows they see sizes."""

Side = Callable[[], AbstractContextManager[None]]


class Ground(NamedTuple):
    """Addresses and sides. What is started within a side lives there."""

    server: str  # address
    client: str  # address
    interface: str  # where a sensor sees the traffic
    lines: int = SHORT  # how long a marker may be
    client_side: Side = nullcontext
    server_side: Side = nullcontext


def may(capability: int) -> bool:
    """Whether this process has a capability of root; in containers root often has few."""
    told = re.search(r"(?m)^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
    return told is not None and bool(int(told[1], 16) >> capability & 1)


def kind(*, namespaces: bool) -> str:
    """Which ground a drill would be held on here: `namespaces`, `own addresses` or `127.0.0.1`. Raises UsageError."""
    able = may(NET_ADMIN) and shutil.which("ip", path=_PATH) is not None
    if namespaces and not (able and may(SYS_ADMIN)):
        raise UsageError("network namespaces need root (with CAP_NET_ADMIN and CAP_SYS_ADMIN) and iproute2")
    return "namespaces" if namespaces else "own addresses" if able else "127.0.0.1"


@contextlib.contextmanager
def prepared(ledger: Ledger, *, namespaces: bool) -> Iterator[Ground]:
    """Make the ground. The ledger takes addresses and interfaces away. Raises DrillError, UsageError."""
    which = kind(namespaces=namespaces)
    if which == "127.0.0.1":
        yield Ground(server="127.0.0.1", client="127.0.0.1", interface="lo")
        return
    net = _free_net()
    if which == "own addresses":
        yield _on_loopback(ledger, net)
        return
    with ExitStack() as held:
        client, server = Namespace(), Namespace()
        held.callback(client.close)
        held.callback(server.close)
        _joined(ledger, net, client, server)
        yield Ground(f"{net}.2", f"{net}.1", BRIDGE, LONG, client.inside, server.inside)


def _ip(*words: str) -> str:
    """What the `ip` program prints. Raises DrillError with its words where it fails."""
    program = shutil.which("ip", path=_PATH) or "ip"
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, no shell reads them
            [program, *words], capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrillError(f"ip {' '.join(words)}: {error}") from None
    if done.returncode:
        raise DrillError(f"ip {' '.join(words)}: {done.stderr.strip()[-200:]}")
    return done.stdout


def _free_net() -> str:
    """The first three numbers of a /24 in 10.99.0.0/16 that this machine has nothing in."""
    taken = {int(number) for number in re.findall(r"\b10\.99\.(\d{1,3})\.", _ip("-4", "route", "show", "table", "all"))}
    free = sorted(set(range(1, 255)) - taken)
    if not free:
        raise DrillError("this machine uses all of 10.99.0.0/16")
    return f"10.99.{secrets.choice(free)}"


def _on_loopback(ledger: Ledger, net: str) -> Ground:
    """Two addresses on the loopback interface; who asks for the server's comes from the client's."""
    for last in (1, 2):
        ledger.will_add_address(f"{net}.{last}/32")
        _ip("address", "add", f"{net}.{last}/32", "dev", "lo", "scope", "host")
    for last in (1, 2):
        told = ("local", f"{net}.{last}", "dev", "lo", "table", "local", "proto", "kernel", "scope", "host")
        _ip("route", "replace", *told, "src", f"{net}.{3 - last}")
    return Ground(server=f"{net}.2", client=f"{net}.1", interface="lo")


def _joined(ledger: Ledger, net: str, client: Namespace, server: Namespace) -> None:
    """Two namespaces on one bridge, which has no address: the machine itself takes no part."""
    _make(ledger, BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
    _ip("link", "set", BRIDGE, "addrgenmode", "none")
    for name, last, space in zip(PORTS, (1, 2), (client, server), strict=True):
        _make(ledger, name, "type", "veth", "peer", "name", "eth0", "netns", space.path)
        _ip("link", "set", name, "master", BRIDGE, "addrgenmode", "none", "up")
        with space.inside():
            _ip("address", "add", f"{net}.{last}/24", "dev", "eth0")
            _ip("link", "set", "lo", "up")
            _ip("link", "set", "eth0", "gso_max_segs", "1", "up")  # packets as on a cable: sensors cut longer ones
    _ip("link", "set", BRIDGE, "up")
    time.sleep(0.5)  # until the ports forward


def _make(ledger: Ledger, name: str, *words: str) -> None:
    """Make an interface. Raises DrillError, also where there is one of that name already."""
    ledger.will_add_interface(name)
    try:
        _ip("link", "add", name, *words)
    except DrillError:
        ledger.forget_interface(name)
        raise
