"""The service that the program prints, started by a real systemd in namespaces of its own: it works, and is confined."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tidewaiter
from log_writer import Audit
from tidewaiter.prevention.configurations import named, render

FIRST = Path(__file__).with_name("first.sh")
PYTHON = Path("/usr/bin/python3")  # the service's user cannot read an interpreter below /root or /home
TARGET = "[Unit]\nDefaultDependencies=no\nWants=tidewaiter-watch.service probe.service\nAllowIsolate=yes\n"
DROP_IN = "[Unit]\nDefaultDependencies=no\n[Service]\nStandardError=file:/run/watch.err\nStandardOutput=null\n"
PROBE_UNIT = """\
[Unit]
DefaultDependencies=no
After=tidewaiter-watch.service
[Service]
Type=oneshot
ExecStart=/bin/sh /mnt/given/probe.sh
"""
PROBE = """\
cd /mnt/given
for second in $(seq 30); do
  [ -s /var/lib/private/tidewaiter/found.jsonl ] && break
  sleep 1
done
pid=$(systemctl show -p MainPID --value tidewaiter-watch)
cp /var/lib/private/tidewaiter/found.jsonl . 2>/dev/null
cp /run/watch.err .
grep -E '^(Uid|Cap[A-Z][a-z]+|NoNewPrivs|Seccomp):' "/proc/$pid/status" >status
nsenter -t "$pid" -m sh -c 'for place in /etc /var/log/audit /usr /home /root /dev; do
  touch "$place/probe" 2>/dev/null && echo "$place"; done' >writable
systemctl show -p NRestarts,ActiveState tidewaiter-watch >before
systemctl stop tidewaiter-watch
systemctl show -p Result,ExecMainStatus tidewaiter-watch >after
systemctl --force --force exit 0 || kill -37 1
"""
WATCH = """\
[[input]]
type = "files"
paths = ["/var/log/audit/audit.log"]

[[sink]]
type = "jsonl"
path = "/var/lib/tidewaiter/found.jsonl"
"""


def refuse_unless_possible() -> Path:
    """The cgroup of the inner machine. Skips with the reason where there can be none."""
    needed = ("unshare", "nsenter", "/lib/systemd/systemd", "systemctl", str(PYTHON))
    missing = [name for name in needed if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and {', '.join(missing) or 'nothing else'}")
    version = "import sys; print(*sys.version_info[:2])"
    found = subprocess.run([PYTHON, "-c", version], capture_output=True, text=True, check=True).stdout.split()
    if found != [str(number) for number in sys.version_info[:2]]:
        pytest.skip(f"{PYTHON} is Python {'.'.join(found)}: it cannot load the packages of this one")
    for top in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (top / "cgroup.procs").exists():
            try:
                group = top / "tidewaiter-test"
                group.mkdir(exist_ok=True)
            except OSError as error:
                pytest.skip(f"no cgroup can be made here: {error}")
            return group
    pytest.skip("no cgroup2 is mounted here")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the probe inside the inner machine left what it saw."""
    group = refuse_unless_possible()
    folder = tmp_path_factory.mktemp("machine")
    (folder / "units").mkdir()
    units = {"test.target": TARGET, "test.conf": DROP_IN, "probe.service": PROBE_UNIT}
    units["tidewaiter-watch.service"] = render(named("systemd"), "/opt/bin/tidewaiter")
    for name, text in units.items():
        (folder / "units" / name).write_text(text)
    audit = Audit()
    audit.run(0, 610, "curl", "-O", "http://files.example.org/a")
    audit.connect(1, 610, "198.51.100.7", 80)
    audit.create(2, 610, "/home/ann/a")
    (folder / "audit.log").write_text(audit.text(), encoding="utf-8")
    (folder / "watch.toml").write_text(WATCH)
    (folder / "probe.sh").write_text(PROBE)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    inside = f'echo $$ >"{group}/cgroup.procs" && exec unshare -muipC --fork --kill-child sh "$@"'
    sources = Path(tidewaiter.__file__).parent.parent
    command = ["sh", "-c", inside, "sh", str(FIRST), str(folder), packages, str(sources)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=90)
    finally:
        for place in [*sorted(group.rglob("*"), reverse=True), group]:
            if place.is_dir():
                place.rmdir()
    if not (folder / "ready").exists() or not (folder / "after").exists():
        pytest.skip(f"systemd does not come up in namespaces here: {done.stderr.strip()[-300:]}")
    return folder


def test_the_service_finds_what_is_brought_in(machine: Path) -> None:
    assert (machine / "found.jsonl").exists(), (machine / "watch.err").read_text()
    assert '"url":"http://files.example.org/a"' in (machine / "found.jsonl").read_text()
    assert set((machine / "before").read_text().split()) == {"NRestarts=0", "ActiveState=active"}
    assert set((machine / "after").read_text().split()) == {"Result=success", "ExecMainStatus=0"}


def test_the_service_has_no_privilege_and_writes_nowhere_else(machine: Path) -> None:
    rows = dict(line.split(":", 1) for line in (machine / "status").read_text().splitlines())

    assert "0" not in rows["Uid"].split()
    assert {name: int(value, 16) for name, value in rows.items() if name.startswith("Cap")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0
    )
    assert (rows["NoNewPrivs"].strip(), rows["Seccomp"].strip()) == ("1", "2")
    assert (machine / "writable").read_text() == ""  # tried as root: it is the mount that refuses
