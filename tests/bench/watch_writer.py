"""Writes a mixed feed at a pace: audit records, Windows events as broad settings log them, Suricata's EVE, and transfers.

    python tests/bench/watch_writer.py FOLDER EVENTS_A_SECOND SECONDS [at-once]

Log time is the wall clock; `at-once` writes what would have been written in the seconds before. The URL of each transfer ends
in the moment at which its line was written. At the end what was written is said as JSON. Logs are rotated by name, and the
oldest go. What is written is made up beforehand, so that writing costs little beside what is measured.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402 - beside this file, which is run as a program

from live_feed import AUDIT, EVE, WINDOWS, eve  # noqa: E402 - likewise
from log_writer import Audit, Windows  # noqa: E402 - likewise

TURN = 0.02
"""Seconds between two writes."""
BLOCKS = 250
EVERY = 0.5
"""Seconds between two transfers."""
ROTATED, KEPT = 500_000_000, 8
"""Bytes after which a log is renamed, and how many renamed ones stay."""
_EPOCH, _SHORT, _LONG = "@EPOCH@", "@SHORT@", "@LONG@"


def blocks(rate: int) -> list[dict[str, str]]:
    """What is written in a turn, over and over: log -> text with marks for the time."""
    chance = random.Random(1)
    audit, windows = Audit("web1"), Windows("ws01.example.com")
    numbers, weights = [number for number, _ in generate.OTHER], [weight for _, weight in generate.OTHER]
    made, step = [], 0
    for _ in range(BLOCKS):
        sensor: list[str] = []
        for _ in range(int(rate * TURN)):
            step += 1
            kind = step % 10
            if kind < 4:
                generate.audit_event(audit, step, chance.random())
            elif kind < 7:
                generate.windows_event(windows, chance.choices(numbers, weights)[0], step, chance)
            else:
                sensor.append(eve(step, step, "flow"))
        made.append({AUDIT: _marked(audit.lines), WINDOWS: _marked(windows.lines), EVE: _marked_eve("".join(sensor))})
        audit.lines.clear()
        windows.lines.clear()
    return made


def _marked(lines: list[str]) -> str:
    text = "".join(line + "\n" for line in lines)
    text = re.sub(r"audit\(\d+\.\d+:", f"audit({_EPOCH}:", text)
    text = re.sub(r'"(UtcTime|CreationUtcTime)": "[^"]*"', rf'"\1": "{_SHORT}"', text)
    return re.sub(r'"EventTime": "[^"]*"', f'"EventTime": "{_SHORT}"', text)


def _marked_eve(text: str) -> str:
    return re.sub(r'"(timestamp|start|end)": "[^"]*"', rf'"\1": "{_LONG}"', text)


def _transfer(now: float, number: int) -> dict[str, str]:
    """curl on both hosts, and what the sensor saw of the first."""
    audit, windows = Audit("web1"), Windows("ws01.example.com")
    pid, name = 40_000 + number % 9_000, f"kit{number}-at-{now:.3f}"
    audit.run(0, pid, "curl", "-o", f"/tmp/kit{number}", f"http://files.example.org/{name}")
    audit.connect(0, pid, "198.51.100.7", 80)
    audit.create(0, pid, f"/tmp/kit{number}")
    sensor = eve(0, 900_000 + number, "http", name=name) + eve(0, 900_000 + number, "fileinfo", name=name)
    target = f"C:\\Users\\Public\\tool{number}.exe"
    line = f"curl.exe -o {target} http://files.example.org/tool{number}-at-{now:.3f}"
    windows.start(0, pid, "C:\\Windows\\System32\\curl.exe", line)
    windows.connection(0, pid, "198.51.100.7", 80, "files.example.org")
    windows.file(0, pid, target)
    return {AUDIT: _marked(audit.lines), WINDOWS: _marked(windows.lines), EVE: _marked_eve(sensor)}


def _dated(text: str, now: float) -> str:
    moment = datetime.fromtimestamp(now, UTC)
    text = text.replace(_EPOCH, f"{now:.3f}").replace(_SHORT, moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3])
    return text.replace(_LONG, moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"))


def turns(seconds: float, *, at_once: bool) -> Iterator[tuple[int, float]]:
    """Number and log time of each turn, at its time."""
    start, first = time.monotonic(), time.time() - seconds
    for number in range(int(seconds / TURN)):
        if at_once:
            yield number, first + number * TURN
            continue
        ahead = number * TURN - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)
        yield number, time.time()


class _Rotated:
    """A log that grows and is renamed: `log`, `log.1`, `log.2` and so on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("ab", buffering=0)

    def write(self, data: bytes) -> None:
        self.file.write(data)
        if self.file.tell() < ROTATED:
            return
        self.close()
        for number in range(KEPT, -1, -1):
            older = self.path.with_name(f"{self.path.name}.{number}") if number else self.path
            if not older.exists():
                continue
            if number == KEPT:
                older.unlink()
            else:
                older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.file = self.path.open("ab", buffering=0)

    def close(self) -> None:
        self.file.close()


def main(folder: str, rate: int, seconds: float, *, at_once: bool = False) -> None:
    """Write, and say what was written."""
    made = blocks(rate)
    files = {name: _Rotated(Path(folder) / name) for name in (AUDIT, WINDOWS, EVE)}
    lines, size, transfers, events = 0, 0, 0, 0
    started = time.monotonic()
    for number, now in turns(seconds, at_once=at_once):
        texts = dict(made[number % BLOCKS])
        events += int(rate * TURN)
        if number % int(EVERY / TURN) == 5:
            for name, text in _transfer(now, number).items():
                texts[name] += text
            transfers += 2
            events += 8
        for name, text in texts.items():
            data = _dated(text, now).encode()
            files[name].write(data)
            size += len(data)
            lines += data.count(b"\n")
    for file in files.values():
        file.close()
    told = {"events": events, "bytes": size, "lines": lines, "transfers": transfers, "seconds": time.monotonic() - started}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), at_once="at-once" in sys.argv[4:])
