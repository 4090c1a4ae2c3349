"""The installed smbd as a private instance: one share that guests may read, every folder of it in the drill's own."""

from __future__ import annotations

from pathlib import Path

from tidewaiter.drill.daemon import Daemon
from tidewaiter.drill.own import free_port
from tidewaiter.drill.server import Order

CLIENT = "smb_client.conf"
"""The client's settings, in the state folder."""
_FOLDERS = ("lock", "state", "cache", "pid", "private", "ncalrpc")
_SETTINGS = """\
[global]
workgroup = DRILL
server role = standalone server
interfaces = {address}
bind interfaces only = yes
hostname lookups = no
disable netbios = yes
disable spoolss = yes
load printers = no
map to guest = Bad User
guest account = {user}
log level = 0
logging = file
log file = {folder}/log
lock directory = {folder}/lock
state directory = {folder}/state
cache directory = {folder}/cache
pid directory = {folder}/pid
private dir = {folder}/private
ncalrpc dir = {folder}/ncalrpc
passdb backend = smbpasswd:{folder}/private/smbpasswd
[drill]
path = {served}
read only = yes
guest ok = yes
"""
_CLIENT_SETTINGS = """\
[global]
workgroup = DRILL
name resolve order = host
log level = 0
log file = {folder}/client.log
lock directory = {folder}/lock
state directory = {folder}/state
cache directory = {folder}/cache
private dir = {folder}/private
client protection = plain
"""


def start(order: Order) -> Daemon:
    """Serve all methods as the share `drill`. Raises DrillError."""
    folder = Path(order.state)
    for name in _FOLDERS:
        (folder / name).mkdir(mode=0o755)
    port = free_port(order)
    settings = folder / "smb.conf"
    told = {"address": order.address, "folder": folder, "served": order.served, "user": order.user}
    settings.write_text(_SETTINGS.format(**told), encoding="utf-8")
    (folder / CLIENT).write_text(_CLIENT_SETTINGS.format(folder=folder), encoding="utf-8")
    command = ["smbd", "--foreground", "--no-process-group", "--debug-stdout", f"--configfile={settings}", f"--port={port}"]
    return Daemon(command, dict.fromkeys(order.files, port), order.address, folder / "said")
