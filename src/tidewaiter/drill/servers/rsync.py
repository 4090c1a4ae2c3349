"""The installed rsync as a daemon that lets one folder be read, with settings of its own."""

from __future__ import annotations

import os
from pathlib import Path

from tidewaiter.drill.daemon import Daemon
from tidewaiter.drill.own import free_port
from tidewaiter.drill.server import Order


def start(order: Order) -> Daemon:
    """Serve all methods as the module `drill`. Raises DrillError."""
    folder = Path(order.state)
    port = free_port(order)
    identity = f"uid = {os.getuid()}\ngid = {os.getgid()}\n" if os.getuid() == 0 else ""
    settings = folder / "rsyncd.conf"
    settings.write_text(
        f"{identity}use chroot = no\nreverse lookup = no\nmax connections = 8\n"
        f"lock file = {folder}/lock\nlog file = {folder}/log\n"
        f"[drill]\npath = {order.served}\nread only = yes\nlist = no\n",
        encoding="utf-8",
    )
    command = ["rsync", "--daemon", "--no-detach", f"--address={order.address}", f"--port={port}", f"--config={settings}"]
    return Daemon(command, dict.fromkeys(order.files, port), order.address, folder / "said")
