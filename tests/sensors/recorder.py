"""Records what commands do through the kernel's audit system: a private auditd, given rules, one login uid.

Only one auditd can own the kernel and rules are the whole machine's, so a lock keeps recorders apart, a first rule shuts out
all but the login uid of the recorded commands, and exactly the rules that were added are removed at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

LOCK = Path("/tmp/tidewaiter-audit.lock")
LOGIN_UID = 61_007
PATIENCE = 600.0
"""Seconds to wait for another recorder: a drill takes minutes."""
CONFIGURATION = """\
log_file = {folder}/audit.log
log_format = ENRICHED
flush = INCREMENTAL_ASYNC
freq = 20
max_log_file_action = ignore
space_left = 75
space_left_action = ignore
admin_space_left = 50
admin_space_left_action = ignore
disk_full_action = ignore
disk_error_action = ignore
plugin_dir = {folder}/plugins
"""
FENCE = f"-a never,exit -F auid!={LOGIN_UID}"


def program(name: str) -> str | None:
    """Where a program is, also where the search path of ordinary users does not look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class NotUsable(Exception):  # noqa: N818 - no error: a fact about the machine
    """The audit system of this machine cannot be used, and why."""


def status() -> dict[str, str]:
    """What `auditctl -s` says. Raises NotUsable where it says nothing."""
    if os.geteuid() != 0:
        raise NotUsable("only root may use the audit system")
    if program("auditctl") is None or program("auditd") is None:
        raise NotUsable("auditd is not installed (sh tests/sensors/install.sh)")
    done = subprocess.run([str(program("auditctl")), "-s"], capture_output=True, text=True, check=False)
    found = dict(row[:2] for line in done.stdout.splitlines() if len(row := line.split()) > 1)
    if done.returncode != 0 or "enabled" not in found:
        raise NotUsable(f"auditctl -s: {(done.stderr or done.stdout).strip() or 'says nothing'}")
    return found


def check_usable() -> dict[str, str]:
    """The state to go back to. Raises NotUsable where the kernel's audit is locked or somebody else's."""
    found = status()
    if found["enabled"] == "2":
        raise NotUsable("the audit rules of this machine are locked (-e 2)")
    if found["pid"] != "0":
        raise NotUsable(f"the audit system is in use by process {found['pid']}")
    if "No rules" not in loaded():
        raise NotUsable("this machine has audit rules of its own")
    return found


def _auditctl(*arguments: str) -> str:
    done = subprocess.run([str(program("auditctl")), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"auditctl {' '.join(arguments)}: {(done.stderr + done.stdout).strip()}")
    return done.stdout


def loaded() -> str:
    """The rules that are at work. Raises RuntimeError where the kernel does not say."""
    return _auditctl("-l")


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of all recorders. Raises NotUsable where another one holds it for too long."""
    with LOCK.open("a") as file:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise NotUsable(f"another recorder holds {LOCK}") from None
                time.sleep(0.5)
        yield


def rules_of(text: str) -> list[str]:
    """The rules of a rules file, without its settings and comments."""
    return [line for line in text.splitlines() if line.startswith("-a ")]


@contextlib.contextmanager
def recording(rules: str, folder: Path) -> Iterator[Path]:
    """Record with these rules (the text of a rules file) into an audit.log below `folder`, whose path is given.

    Raises NotUsable where the machine does not let us, RuntimeError where it refuses the rules.
    """
    with locked():
        before = check_usable()
        home = folder / "auditd"
        (home / "plugins").mkdir(parents=True)
        (home / "auditd.conf").write_text(CONFIGURATION.format(folder=home))
        (home / "auditd.conf").chmod(0o640)
        (home / "tested.rules").write_text(f"{FENCE}\n{rules}")
        (home / "tested.rules").chmod(0o640)
        daemon = _start(home)
        try:
            _auditctl("-R", str(home / "tested.rules"))
            yield home / "audit.log"
            time.sleep(0.5)
        finally:
            for rule in reversed(rules_of((home / "tested.rules").read_text())):
                with contextlib.suppress(RuntimeError):  # not added: the one before it was refused
                    _auditctl(*re.sub("^-a ", "-d ", rule).split())
            for option, name in (("-e", "enabled"), ("-b", "backlog_limit"), ("-f", "failure")):
                _auditctl(option, before[name])
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(20)


def _start(home: Path) -> subprocess.Popen[bytes]:
    """auditd with a configuration of our own, once it owns the kernel. Raises NotUsable where it ends at once."""
    with (home / "said").open("wb") as said:
        daemon = subprocess.Popen(
            [str(program("auditd")), "-n", "-c", str(home)], stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/"
        )
    end = time.monotonic() + 20
    while time.monotonic() < end and daemon.poll() is None:
        if status()["pid"] == str(daemon.pid):
            return daemon
        time.sleep(0.1)
    daemon.kill()
    daemon.wait(20)
    raise NotUsable(f"auditd does not start: {(home / 'said').read_text(errors='replace').strip()}")


def run(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a login session of its own. Raises NotUsable where the kernel does not let us set the login uid."""

    def log_in() -> None:
        Path("/proc/self/loginuid").write_text(str(LOGIN_UID))

    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(cwd)}
    try:
        return subprocess.run(
            command, cwd=cwd, env=environment, preexec_fn=log_in, capture_output=True, text=True, check=False, timeout=120
        )
    except subprocess.SubprocessError as error:
        raise NotUsable(f"the login uid cannot be set: {error}") from error
