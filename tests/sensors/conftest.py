"""Tests of sensors use real ones. A missing program fails in continuous integration; a kernel that refuses skips them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensors import recorder
from tidewaiter.prevention.configurations import named, render

SERVER = "198.51.100.7"
SCRIPT = "#!/bin/sh\necho heave round\n"
NOTES = "the tide turns at noon\n"
COMMANDS = f"""\
curl -s -o fetched.sh http://{SERVER}/hello.sh
chmod +x fetched.sh
./fetched.sh
wget -q -O notes.txt http://{SERVER}/notes.txt 2>/dev/null
sha256sum notes.txt
cp fetched.sh copied.sh
python3 -c 'import os; os.close(os.memfd_create("crate"))'
python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect_ex("/nowhere")'
cat notes.txt
"""


def in_integration() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def need(*programs: str) -> None:
    missing = [name for name in programs if recorder.program(name) is None]
    if missing and in_integration():
        pytest.fail(f"not installed: {', '.join(missing)}: run tests/sensors/install.sh")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}: tests/sensors/install.sh installs them")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A web server on a documentation address in a network namespace of its own; gives its process id."""
    need("auditd", "auditctl", "curl", "wget", "unshare", "nsenter", "ip")
    root = tmp_path_factory.mktemp("www")
    (root / "hello.sh").write_text(SCRIPT)
    (root / "notes.txt").write_text(NOTES)
    serve = (
        f"ip link set lo up && ip address add {SERVER}/32 dev lo && exec python3 -m http.server 80 --bind {SERVER} -d {root}"
    )
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", serve], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        ask = ["nsenter", "-t", str(process.pid), "-n", "curl", "-s", "-o", "/dev/null", f"http://{SERVER}/notes.txt"]
        end = time.monotonic() + 20
        while subprocess.run(ask, capture_output=True, check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > end:
                pytest.skip("no network namespace can be made here")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture(scope="session")
def audit_log(server: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit.log of COMMANDS, recorded by the kernel with the rules that the program prints.

    Where the kernel's audit system cannot be used, the tests are skipped with the reason, in continuous integration too:
    a container has none. Rules that are refused are an error everywhere.
    """
    folder, home = tmp_path_factory.mktemp("audit"), tmp_path_factory.mktemp("home")
    (home / "commands.sh").write_text(COMMANDS)
    try:
        with recorder.recording(render(named("auditd")), folder) as log:
            done = recorder.run(["nsenter", "-t", str(server), "-n", "bash", "commands.sh"], home)
    except recorder.NotUsable as reason:
        pytest.skip(f"the kernel's audit cannot be used here: {reason}")
    assert done.returncode == 0, done.stderr
    assert "heave round" in done.stdout
    return log
