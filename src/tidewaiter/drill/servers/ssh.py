"""The installed sshd as a private instance: settings, host key and the one allowed key are made for this drill alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tidewaiter.drill.daemon import Daemon
from tidewaiter.drill.ground import SYS_ADMIN, may
from tidewaiter.drill.own import free_ports
from tidewaiter.drill.server import Order
from tidewaiter.errors import DrillError

CLIENT = "ssh_config"
"""The client's settings, in the state folder."""
PATIENCE = 60.0
_PRIVATE_RUN = (  # root's sshd insists on a folder in /run: it gets one in a mount namespace, where nobody else sees it
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    'mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"',
    "sh",
)
_SETTINGS = """\
{ports}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AllowUsers {user}
StrictModes no
UsePAM no
UseDNS no
PidFile none
PrintLastLog no
X11Forwarding no
AllowTcpForwarding no
AllowAgentForwarding no
PermitUserEnvironment no
PermitTunnel no
Subsystem sftp internal-sftp
"""
_CLIENT_SETTINGS = """\
IdentityFile {folder}/user_key
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
UpdateHostKeys no
BatchMode yes
ControlMaster no
ControlPath none
CanonicalizeHostname no
ProxyCommand none
ConnectTimeout 15
"""


def start(order: Order) -> Daemon:
    """Serve each method on a port of its own; only the user of the drill may log in, with one key. Raises DrillError."""
    folder = Path(order.state)
    for name in ("host_key", "user_key"):
        _make_key(folder / name)
    ports = dict(zip(order.files, free_ports(order.address, len(order.files)), strict=True))
    shutil.copyfile(folder / "user_key.pub", folder / "authorized_keys")
    host_key = (folder / "host_key.pub").read_text(encoding="utf-8")
    known = "".join(f"[{order.address}]:{port} {host_key}" for port in ports.values())
    (folder / "known_hosts").write_text(known, encoding="utf-8")
    lines = "\n".join(f"Port {port}" for port in ports.values())
    settings = folder / "sshd_config"
    told = _SETTINGS.format(ports=lines, address=order.address, folder=folder, user=order.user)
    settings.write_text(told, encoding="utf-8")
    (folder / CLIENT).write_text(_CLIENT_SETTINGS.format(folder=folder), encoding="utf-8")
    program = shutil.which("sshd")
    if program is None:
        raise DrillError("sshd is not installed")
    command = [program, "-D", "-e", "-f", str(settings)]
    if os.getuid() == 0 and not Path("/run/sshd").is_dir():
        if not may(SYS_ADMIN) or folder.is_relative_to("/run"):
            raise DrillError("root's sshd needs the folder /run/sshd, and a private one cannot be had: make it and try again")
        command = [*_PRIVATE_RUN, *command]
    return Daemon(command, ports, order.address, folder / "said")


def _make_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tidewaiter-drill", "-f", str(path)]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours, no shell reads them
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrillError(f"ssh-keygen made no key: {error}") from None
    if done.returncode:
        raise DrillError(f"ssh-keygen made no key: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}")
