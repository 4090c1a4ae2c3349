"""Measures what the auditd rules and the Suricata overlay cost: bytes of log for each event, and time. Run as root, by hand.

    python tests/sensors/measure.py

It takes the audit system for a minute (see recorder.py) and prints a table; knowledge/sensors/index.toml quotes it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from captures.writer import Packet, http, pcap
from sensors import overlay, recorder
from tidewaiter.prevention.configurations import named, render

REPEATED = 2_000
TASKS = {
    "exec": "for i in range(n): subprocess.run(['/bin/true'])",
    "connect": "for i in range(n):\n s = socket.socket(); s.connect_ex(('127.0.0.1', 1)); s.close()",
    "file": "for i in range(n): open(f'f{i}', 'w').close()",
    "rename": "open('r0', 'w').close()\nfor i in range(n): os.rename(f'r{i}', f'r{i + 1}')",
    "mode": "open('m', 'w').close()\nfor i in range(n): os.chmod('m', 0o755)",
    "read": "open('q', 'w').close()\nfor i in range(n): open('q').close()",
}
PROLOGUE = "import os, resource, socket, subprocess, sys, time\nn = int(sys.argv[1])\nbegun = time.perf_counter()\n"
EPILOGUE = "\nprint(time.perf_counter() - begun)\n"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def microseconds(task: str, folder: Path) -> float:
    """Microseconds that one repetition takes, in a session of its own."""
    folder.mkdir(parents=True)
    done = recorder.run([sys.executable, "-c", PROLOGUE + TASKS[task] + EPILOGUE, str(REPEATED)], folder)
    return float(done.stdout) / REPEATED * 1e6


def processor_time(name: str) -> float:
    """Seconds of processor time of the newest process of that name."""
    pid = subprocess.run(["pgrep", "-nx", name], capture_output=True, text=True, check=True).stdout.strip()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def audit(folder: Path) -> None:
    rules = render(named("auditd"))
    plain = {task: microseconds(task, folder / "plain" / task) for task in TASKS}
    with recorder.recording(rules, folder) as log:
        for task in TASKS:
            time.sleep(1)
            size, spent = log.stat().st_size, processor_time("auditd")
            loaded = microseconds(task, folder / "loaded" / task)
            time.sleep(2)
            data = log.read_bytes()[size:]
            key = b'key="tidewaiter-%s"' % task.encode()
            events = len(set(re.findall(rb"audit\(([\d.:]+)\)[^\n]*" + key, data))) or REPEATED
            title = sum(len(line) + 1 for line in data.split(b"\n") if b"type=PROCTITLE" in line) / max(len(data), 1)
            daemon = (processor_time("auditd") - spent) / events * 1e6
            say(
                f"{task:8} {events:6} events, {len(data) / events:6.0f} bytes each ({title:.0%} PROCTITLE), "
                f"{plain[task]:7.1f} us without rules, {loaded:7.1f} with; auditd {daemon:5.1f} us of processor an event"
            )
        say(f"lost: {recorder.status()['lost']}")


def capture(count: int, size: int) -> bytes:
    """`count` downloads of `size` bytes, each in a connection of its own."""
    packets: list[Packet] = []
    for number in range(count):
        body = os.urandom(size)
        shifted = http(body, path=f"/{number}.bin", port=8_000 + number)
        packets += [(time + number * 10_000_000, packet) for time, packet in shifted]
    return pcap(packets)


def suricata(folder: Path) -> None:
    for count, size in ((400, 20_000), (10, 10_000_000)):
        path = folder / f"{count}.pcap"
        path.write_bytes(capture(count, size))
        for what, extra in (("Debian's default", ""), ("with the overlay", render(named("suricata")))):
            out = folder / f"{count}-{bool(extra)}"
            begun = os.times()
            overlay.read(path, out, extra)
            ended = os.times()
            spent = ended.children_user + ended.children_system - begun.children_user - begun.children_system
            logs = {log.name: log.stat().st_size for log in sorted(out.glob("eve*.json"))}
            say(f"suricata, {count} files of {size} bytes, {what}: {spent:.2f} s of processor, {logs}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        audit(Path(folder))
        suricata(Path(folder))


if __name__ == "__main__":
    main()
