#!/usr/bin/env python3
"""Record the evidence of `examples/evidence/wharf` and `examples/evidence/sensor` again, with real programs.

Run as root on Debian 12. Two network namespaces are joined by a veth pair: `wharf`, where the user keeper types the
commands of `steps.toml` into a login shell on a terminal, and `quay`, which serves the harmless cargo. The audit
system of the kernel records keeper alone (by login uid), tcpdump records the wire and Suricata reads it afterwards.
Everything that the recorder needs lives in a private mount namespace, so that the machine is as before at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUT = Path("/mnt")  # the output folder is bound here before anything hides it
KEEPER_UID, BERTH_UID = 6001, 6002
SERVER, SERVER6, CLIENT, CLIENT6 = "192.0.2.10", "2001:db8::10", "198.51.100.20", "2001:db8::20"
SERVER_NAME = "quay.harbour.example"
PROMPT = re.compile(rb"keeper@wharf:[^\n]*\$ $")
PROGRAMS = (
    *("auditctl", "auditd", "curl", "dnsmasq", "finger", "in.tftpd", "ip", "login", "nginx", "openssl", "rsync", "scp"),
    *("sftp", "sshd", "suricata", "tcpdump", "tftp", "unshare", "vsftpd", "wget"),
)
AUDIT_RULES = (HERE / "audit.rules").read_text()
SURICATA = (HERE / "suricata.yaml").read_text()
NGINX = f"""
daemon off; user www-data; pid /run/nginx.pid; error_log /srv/nginx.error;
events {{ worker_connections 64; }}
http {{
  access_log off; default_type application/octet-stream;
  server {{
    listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;
    server_name {SERVER_NAME};
    ssl_certificate /srv/tls.pem; ssl_certificate_key /srv/tls.key;
    root /srv/cargo/www;
  }}
}}
"""
SSHD = """
Port 22
HostKey /srv/ssh_host_ed25519_key
PidFile none
UsePAM no
PasswordAuthentication no
AuthorizedKeysFile /srv/authorized_keys
StrictModes no
Subsystem sftp internal-sftp
"""
VSFTPD = """
listen=YES
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root=/srv/cargo/ftp
secure_chroot_dir=/run/vsftpd
seccomp_sandbox=NO
xferlog_enable=NO
"""
RSYNCD = "uid = nobody\ngid = nogroup\nuse chroot = no\n[stores]\npath = /srv/cargo/stores\nread only = yes\n"
FINGERD = """
import socketserver
class Plan(socketserver.StreamRequestHandler):
    def handle(self):
        name = self.rfile.readline().strip().decode()
        self.wfile.write(f"Login: {name}\\r\\nPlan:\\r\\nheave round\\r\\n".encode())
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("192.0.2.10", 79), Plan).serve_forever()
"""
AUDITD = """
log_file = /run/audit/audit.log
log_format = ENRICHED
name_format = user
name = wharf
flush = INCREMENTAL_ASYNC
freq = 20
max_log_file_action = ignore
space_left = 75
space_left_action = ignore
admin_space_left = 50
admin_space_left_action = ignore
disk_full_action = ignore
disk_error_action = ignore
plugin_dir = /run/audit/plugins
"""
BASH_PROFILE = """PS1='keeper@wharf:\\w\\$ '
HISTTIMEFORMAT='%F %T '
export LC_ALL=C.UTF-8
"""


def run(*command: str, **options: Any) -> str:
    """Run a program to its end and return its standard output; raises CalledProcessError where it fails."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options)
    return str(done.stdout)


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def write(path: str, text: str, mode: int = 0o644) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)
    return target


def refuse_unless_ready() -> None:
    """Exit with a word where this machine cannot record, or where its own audit system is in use."""
    if os.geteuid() != 0:
        sys.exit("record.py must run as root")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        sys.exit(f"not installed: {' '.join(missing)} (README.md names the packages)")
    if audit_status()["pid"] != "0" or "No rules" not in run("auditctl", "-l"):
        sys.exit("the audit system of this machine is in use; stop auditd and remove its rules first")


def audit_status() -> dict[str, str]:
    rows = [line.split() for line in run("auditctl", "-s").splitlines()]
    return {row[0]: row[1] for row in rows if len(row) > 1}


def hide_the_machine(out: Path) -> None:
    """Cover, in this mount namespace only, every folder that the recording writes to."""
    run("mount", "--bind", str(out), str(OUT))
    for folder in ("/home", "/run", "/srv", "/var/tmp", "/var/log"):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    Path("/var/tmp").chmod(0o1777)
    accounts = {
        "passwd": f"keeper:x:{KEEPER_UID}:{KEEPER_UID}::/home/keeper:/bin/bash\n"
        f"berth:x:{BERTH_UID}:{BERTH_UID}::/srv/cargo/berth:/bin/sh\n",
        "group": f"keeper:x:{KEEPER_UID}:\nberth:x:{BERTH_UID}:\n",
        "shadow": "keeper:*:19000:0:99999:7:::\nberth:*:19000:0:99999:7:::\n",
    }
    plain = {
        "hosts": "127.0.0.1 localhost\n127.0.1.1 wharf\n::1 localhost\n",
        "hostname": "wharf\n",
        "resolv.conf": f"nameserver {SERVER}\n",
        "environment": "",
    }
    files = {name: Path("/etc", name).read_text() + more for name, more in accounts.items()} | plain
    for name, text in files.items():
        covered = write(f"/run/etc/{name}", text, 0o640 if name == "shadow" else 0o644)
        if Path("/etc", name).exists():
            run("mount", "--bind", str(covered), f"/etc/{name}")
    run("hostname", "wharf")


def build_network() -> None:
    for name in ("wharf", "quay"):
        run("ip", "netns", "add", name)
    run("ip", "link", "add", "eth0", "netns", "wharf", "type", "veth", "peer", "name", "eth0", "netns", "quay")
    for name, own, own6, other in (("wharf", CLIENT, CLIENT6, SERVER), ("quay", SERVER, SERVER6, CLIENT)):
        ip = ("ip", "-n", name)
        run(*ip, "address", "add", f"{own}/24", "dev", "eth0")
        run(*ip, "address", "add", f"{own6}/64", "dev", "eth0", "nodad")
        for device in ("lo", "eth0"):
            run(*ip, "link", "set", device, "up")
        run(*ip, "route", "add", f"{other}/32", "dev", "eth0")


def load_cargo(cargo: dict[str, str]) -> None:
    """Write the files that the servers offer, the keys of both sides and the home of keeper."""
    for name, text in cargo.items():
        target = write(f"/srv/cargo/{name}", "" if text.startswith("copy:") else text)
        if text.startswith("copy:"):
            shutil.copyfile(text.removeprefix("copy:"), target)
    write("/srv/cargo/www/tools/SHA256SUMS", run("sha256sum", "knots.txt", cwd="/srv/cargo/www/tools"))
    home = Path("/home/keeper")
    (home / ".ssh").mkdir(parents=True)
    for key in ("/srv/ssh_host_ed25519_key", "/home/keeper/.ssh/id_ed25519"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "keeper@wharf", "-f", key)
    shutil.copyfile(home / ".ssh/id_ed25519.pub", "/srv/authorized_keys")
    host_key = Path("/srv/ssh_host_ed25519_key.pub").read_text()
    write("/home/keeper/.ssh/known_hosts", f"{SERVER},{SERVER_NAME} {host_key}")
    write("/home/keeper/.bash_profile", BASH_PROFILE)
    write("/home/keeper/.inputrc", "set enable-bracketed-paste off\n")
    write("/home/keeper/.hushlogin", "")
    run("chown", "-R", f"{KEEPER_UID}:{KEEPER_UID}", str(home))
    certificate = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout /srv/tls.key -out /srv/tls.pem -subj"
    run(*certificate.split(), f"/O=Harbour/CN={SERVER_NAME}", stderr=subprocess.DEVNULL)


def server_commands() -> list[list[str]]:
    settings = {"nginx": NGINX, "sshd": SSHD, "vsftpd": VSFTPD, "rsyncd": RSYNCD, "finger": FINGERD}
    for name, text in settings.items():
        write(f"/srv/{name}.conf", text)
    for folder in ("/run/sshd", "/run/vsftpd", "/srv/ftp"):
        Path(folder).mkdir()
    names = [f"--address=/{SERVER_NAME}/{address}" for address in (SERVER, SERVER6)]
    return [
        ["tcpdump", "-p", "-i", "eth0", "-U", "-Z", "root", "-w", "/srv/net.pcap"],
        ["nginx", "-c", "/srv/nginx.conf"],
        ["/usr/sbin/sshd", "-D", "-e", "-f", "/srv/sshd.conf"],
        ["vsftpd", "/srv/vsftpd.conf"],
        ["rsync", "--daemon", "--no-detach", "--config=/srv/rsyncd.conf"],
        ["in.tftpd", "-L", "-4", "-u", "nobody", "-s", "/srv/cargo/tftp"],
        ["dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "--no-resolv", "--no-hosts", "--pid-file", *names],
        ["/usr/bin/python3", "/srv/finger.conf"],
        ["/usr/bin/python3", "-m", "http.server", "8080", "-d", "/srv/cargo/charts"],
    ]


def start(command: list[str]) -> subprocess.Popen[bytes]:
    with Path("/srv/servers.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")


def check_alive(servers: list[subprocess.Popen[bytes]]) -> None:
    dead = [" ".join(map(str, server.args)) for server in servers if server.poll() is not None]  # type: ignore[arg-type]
    if dead:
        raise RuntimeError(f"ended early: {dead}\n{Path('/srv/servers.log').read_text()}")


def start_audit() -> subprocess.Popen[bytes]:
    """Start auditd with a configuration of our own and load audit.rules, whose last rule shuts out all but keeper."""
    write("/run/audit/auditd.conf", AUDITD, 0o640)
    Path("/run/audit/plugins").mkdir()
    auditd = start(["auditd", "-n", "-c", "/run/audit"])
    time.sleep(1.5)
    run("auditctl", "-R", str(write("/run/audit/rules", AUDIT_RULES, 0o640)), cwd="/")
    return auditd


def stop_audit(auditd: subprocess.Popen[bytes] | None, before: dict[str, str]) -> None:
    say(f"audit records lost: {audit_status()['lost']}")
    run("auditctl", "-D")
    run("auditctl", "-e", before["enabled"])
    run("auditctl", "-b", before["backlog_limit"])
    if auditd is not None:
        auditd.send_signal(signal.SIGTERM)
        auditd.wait(20)


def read_until_prompt(terminal: int, limit: float = 60.0) -> bytes:
    """Return what the terminal shows up to the next prompt; raises TimeoutError after `limit` seconds."""
    shown, end = b"", time.monotonic() + limit
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)
        elif PROMPT.search(shown):
            return shown
    raise TimeoutError(f"no prompt after {shown[-400:]!r}")


def play(steps: list[dict[str, Any]], pause: float) -> list[str]:
    """Type every step at the prompt of a login shell of keeper; returns the RFC 3339 time at which each was typed."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir("/")
        os.execve("/usr/sbin/ip", ["ip", "netns", "exec", "wharf", "login", "-f", "keeper"], {"TERM": "dumb"})
    termios.tcsetwinsize(terminal, (50, 200))
    typed = []
    read_until_prompt(terminal)
    for step in steps:
        time.sleep(pause)
        typed.append(datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        os.write(terminal, step["command"].encode() + b"\n")
        say(read_until_prompt(terminal).decode(errors="replace").replace("\r\n", "\n"))
    os.write(terminal, b"exit\n")
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass
    os.waitpid(child, 0)
    return typed


def truth(steps: list[dict[str, Any]], typed: list[str]) -> list[dict[str, Any]]:
    """One row for each transfer that the steps declare, with the hash of what lies on disk."""
    rows: list[dict[str, Any]] = []
    for step, when in zip(steps, typed, strict=True):
        for said in step.get("transfers", [step["transfer"]] if "transfer" in step else []):
            row = {"host": "wharf", "time": when, "user": "keeper", "command": step["command"], "outcome": "completed"}
            row |= {"dest": None, "sha256": None, "size": None, "lateral": False, "routine": False} | said
            if row["outcome"] == "completed" and row["dest"] is not None:
                content = Path(row["dest"]).read_bytes()
                row |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            rows.append({"id": f"wharf-{len(rows) + 1:02d}", **row})
    return rows


def keep(rows: list[dict[str, Any]]) -> None:
    """Run Suricata over the capture and put the evidence and the truth into the output folder."""
    write("/run/suricata/suricata.yaml", SURICATA)
    offline = "suricata -c /run/suricata/suricata.yaml -S /dev/null -k none --runmode single -r /srv/net.pcap"
    run(*offline.split(), "-l", "/run/suricata", cwd="/")
    log = Path("/run/audit/audit.log")
    log.write_bytes(re.sub(rb"(?m)^.*type=DAEMON_START.*\n", b"", log.read_bytes()))  # it names this machine's kernel
    for source, target in (
        ("/run/audit/audit.log", "evidence/wharf/audit.log"),
        ("/home/keeper/.bash_history", "evidence/wharf/bash_history.keeper"),
        ("/run/suricata/eve.json", "evidence/sensor/eve.json"),
        ("/srv/net.pcap", "evidence/sensor/net.pcap"),
    ):
        (OUT / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, OUT / target)
        say(f"{target}: {(OUT / target).stat().st_size} bytes")
    expected = OUT / "expected.jsonl"
    lines = expected.read_text().splitlines() if expected.exists() else []
    others = [line for line in lines if json.loads(line)["host"] != "wharf"]
    expected.write_text("".join(f"{line}\n" for line in [*map(json.dumps, rows), *others]))


def record(out: Path, pause: float) -> None:
    plan = tomllib.loads((HERE / "steps.toml").read_text())
    before = audit_status()
    hide_the_machine(out)
    auditd: subprocess.Popen[bytes] | None = None
    servers: list[subprocess.Popen[bytes]] = []
    try:
        build_network()
        load_cargo(plan["cargo"])
        servers = [start(["ip", "netns", "exec", "quay", *command]) for command in server_commands()]
        auditd = start_audit()
        check_alive([*servers, auditd])
        typed = play(plan["step"], pause)
        rows = truth(plan["step"], typed)
        time.sleep(2)
        check_alive([*servers, auditd])
    finally:
        stop_audit(auditd, before)
        for server in reversed(servers):
            server.terminate()
            server.wait(20)
    keep(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="folder that gets evidence/ and expected.jsonl")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two commands (default 2)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    refuse_unless_ready()
    if args.inside:
        record(args.out.resolve(), args.pause)
        return
    again = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--inside"]
    os.execvp("unshare", ["unshare", "--mount", "--uts", "--propagation", "private", *again])


if __name__ == "__main__":
    main()
