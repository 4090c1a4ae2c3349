"""The bench of `tidewaiter watch`: a mixed feed at a pace, with delays measured from the line to the stored record; and kills.

    python tests/bench/watch_bench.py load [--rate 20000] [--seconds 60]
    python tests/bench/watch_bench.py catch-up [--rate 20000] [--seconds 60]
    python tests/bench/watch_bench.py kills [--count 50]
    python tests/bench/watch_bench.py troubles [--seconds 300]

`troubles` is everything at once: logs that are rotated and truncated, kills, a full disk, a locked store, a sink that is down.
It says; it asserts nothing but that no transfer is lost or told twice.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from measure import measure  # noqa: E402 - likewise

from live_feed import Watching, Writer, kept, mixed, scanned  # noqa: E402 - beside this folder, which is run as a program
from live_trouble import Receiver, Rotating, SmallDisk, as_told, wait_for  # noqa: E402 - likewise

RECENT = 60.0
"""Seconds of stored records that are looked at each time."""


def load(rate: int, seconds: float) -> None:
    """`rate` events a second for so long: a third each of audit, EVE and Windows events as broad settings log them."""
    work = Path(tempfile.mkdtemp(prefix="tidewaiter-bench-"))
    try:
        _load(work, rate, seconds)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _load(work: Path, rate: int, seconds: float) -> None:
    logs = work / "logs"
    logs.mkdir()
    watching = Watching(work / "state", str(logs))
    command = [sys.executable, str(HERE / "watch_writer.py"), str(logs), str(rate), str(seconds)]
    watching.start()
    time.sleep(3)
    feeding = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    delays: list[float] = []
    seen: set[str] = set()
    started = time.monotonic()
    part, so_far = _Part(), 0
    print(f"each tenth of the time: {_Part.HEAD}")
    while feeding.poll() is None or time.monotonic() - started < seconds + 5:
        time.sleep(0.5)
        new = _delays(watching.store, seen)
        delays += new
        part.add(new, _memory(watching))
        if (reached := int((time.monotonic() - started) / seconds * 10)) > so_far:
            so_far = reached
            print(f"{part.said()} {_shared(watching):.0f}", flush=True)
            part = _Part()
        if time.monotonic() - started > seconds + 30:
            break
    told = json.loads(feeding.stdout.read() if feeding.stdout else "{}")
    time.sleep(2)
    delays += _delays(watching.store, seen)
    status = json.loads((watching.state / "status.json").read_text(encoding="utf-8"))
    cpu = _cpu(watching)
    watching.stop()
    delays.sort()
    print(f"fed: {told['events']:,} events, {told['bytes'] / 1e6:,.0f} MB, {told['events'] / told['seconds']:,.0f} a second")
    print(f"read: {status['numbers']['lines']:,} records of {told['lines']:,}, {status['waiting']:,} bytes waiting at the end")
    print(f"transfers: {len(delays)} of {told['transfers']} in the store")
    if delays:
        print(f"delay, line written to record stored: median {delays[len(delays) // 2]:.2f} s, "
              f"p99 {delays[len(delays) * 99 // 100]:.2f} s, most {delays[-1]:.2f} s")  # fmt: skip
    print(f"processor: {cpu:.1f} s for {told['seconds']:.0f} s of feed, {cpu / told['events'] * 1e6:.0f} us an event")


class _Part:
    """What was measured in a tenth of the time."""

    HEAD = (
        "median, p99 and greatest delay in s; MB of all processes at most, and of each by then; of all by then, "
        "where what several share is counted once"
    )

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.most, self.last = 0.0, [0.0]

    def add(self, delays: list[float], memory: list[float]) -> None:
        self.delays += delays
        self.most, self.last = max(self.most, sum(memory)), memory

    def said(self) -> str:
        delays = sorted(self.delays) or [float("nan")]
        middle, high = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        each = ", ".join(f"{size:.0f}" for size in self.last)
        return f"  {middle:5.2f} {high:5.2f} {delays[-1]:5.2f}  {self.most:4.0f}  ({each})"


def catch_up(rate: int, seconds: float) -> None:
    """Read what was written while nothing watched: `rate` events a second for so many seconds."""
    work = Path(tempfile.mkdtemp(prefix="tidewaiter-bench-"))
    try:
        logs = work / "logs"
        logs.mkdir()
        command = [sys.executable, str(HERE / "watch_writer.py"), str(logs), str(rate), str(seconds), "at-once"]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        watching = Watching(work / "state", str(logs))
        started = time.monotonic()
        cost = measure([*watching.command, "--once"])
        took = time.monotonic() - started
        found = sqlite3.connect(watching.store).execute("select count(*) from transfer").fetchone()[0]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"caught up with {told['events']:,} events: {told['events'] / took:,.0f} a second, "
          f"{cost.cpu / told['events'] * 1e6:.0f} us of processor time an event, {cost.together_mb:.0f} MB")  # fmt: skip
    print(f"transfers: {found} of {told['transfers']} in the store")


def _delays(store: str, seen: set[str]) -> list[float]:
    """Seconds from writing to storing of transfers that are new: the URL of each says when its line was written."""
    found = []
    recent = int((time.time() - RECENT) * 1e6)
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5) as connection:
            asked = "select added_at, record from transfer where added_at > ? order by added_at"
            rows = connection.execute(asked, (recent,)).fetchall()
    except sqlite3.Error:
        return []
    for added, record in rows:
        url = str(json.loads(record)["src"]["url"])
        if "-at-" in url and url not in seen:
            seen.add(url)
            found.append(added / 1e6 - float(url.rpartition("-at-")[2]))
    return found


def _tree(pid: int) -> list[int]:
    found = [pid]
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += _tree(int(child))
    except OSError:
        pass
    return found


def _memory(watching: Watching) -> list[float]:
    """MB of each of its processes, the first of them first."""
    assert watching.process is not None
    sizes = []
    for pid in _tree(watching.process.pid):
        try:
            sizes.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4_096 / 1e6)
        except OSError:
            continue
    return sizes


def _shared(watching: Watching) -> float:
    """MB of all its processes now; what several of them share is counted once (Pss of proc(5)'s smaps_rollup)."""
    assert watching.process is not None
    size = 0.0
    for pid in _tree(watching.process.pid):
        try:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        size += sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:")) * 1_024 / 1e6
    return size


def _cpu(watching: Watching) -> float:
    """Processor seconds of all its processes that run."""
    assert watching.process is not None
    total = 0.0
    for pid in _tree(watching.process.pid):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / 100
    return total


def kills(count: int) -> None:
    """kill -9 so many times at random moments during a feed with known transfers."""
    work = Path(tempfile.mkdtemp(prefix="tidewaiter-bench-"))
    logs = work / "logs"
    logs.mkdir()
    seconds = count * 4.0
    lines = list(mixed(seconds, rate=100))
    writer = Writer(logs, lines, pace=len(lines) / seconds)
    watching = Watching(work / "state", str(logs))
    chance = random.Random(5)
    writer.start()
    for _ in range(count):
        watching.start()
        time.sleep(chance.uniform(0.5, 7))
        watching.kill()
    writer.join()
    watching.finish()
    found, wanted = kept(watching.store), scanned(str(logs))
    resumed = watching.errors.read_text(encoding="utf-8").count('"resumed"')
    shutil.rmtree(work, ignore_errors=True)
    print(f"{count} kills in {seconds:.0f} s of feed, {len(lines):,} events; {resumed} starts went on from a commit")
    print(f"transfers: {len(found)} kept, {len(wanted)} by a scan of the same logs, each once; "
          f"{len(wanted.keys() - found.keys())} missing, {len(found.keys() - wanted.keys())} too many, "
          f"{sum(found[key] != wanted[key] for key in found.keys() & wanted.keys())} other than by the scan")  # fmt: skip


def troubles(seconds: float) -> None:
    """Everything at once for so long: rotated, compressed and truncated logs, kills, full disks, locks, a sink that is down."""
    work = Path(tempfile.mkdtemp(prefix="tidewaiter-bench-"))
    small = SmallDisk(work / "small", 48_000_000)
    receiver = Receiver()
    try:
        _troubles(work, small, receiver, seconds)
    finally:
        receiver.down()
        small.close()
        shutil.rmtree(work, ignore_errors=True)


def _troubles(work: Path, small: SmallDisk, receiver: Receiver, seconds: float) -> None:
    logs, whole, settings = work / "logs", work / "whole", work / "watch.toml"
    logs.mkdir()
    whole.mkdir()
    lines = list(mixed(seconds, rate=100))
    Writer(whole, lines, pace=1e9).run()
    settings.write_text(
        f'[[input]]\ntype = "files"\npaths = ["{logs}/*"]\n'
        f'[[sink]]\ntype = "webhook"\nurl = "http://127.0.0.1:{receiver.port}/"\n',
        encoding="utf-8",
    )
    watching = Watching(small.place / "state", str(settings))
    watching.errors = work / "errors"
    rotating = Rotating(logs, lines, pace=len(lines) / seconds, store=watching.store)
    watching.start()
    wait_for(lambda: (watching.state / "status.json").exists(), 60)
    rotating.start()
    chance, happened = random.Random(7), dict.fromkeys(("killed", "full disk", "locked store", "sink down"), 0)
    assert rotating.thread is not None
    while rotating.thread.is_alive():
        time.sleep(chance.uniform(1, 4))
        trouble = chance.choice(list(happened))
        happened[trouble] += 1
        if trouble == "killed":
            watching.kill()
            watching.start()
        elif trouble == "full disk":
            small.fill()
            time.sleep(chance.uniform(1, 5))
            small.free()
        elif trouble == "locked store":
            with sqlite3.connect(watching.store, timeout=30) as lock:
                lock.execute("begin immediate")
                time.sleep(chance.uniform(1, 5))
                lock.rollback()
        else:
            receiver.up()
            time.sleep(chance.uniform(1, 5))
            receiver.down()
    rotating.join()
    receiver.up()
    wanted = scanned(str(whole))
    wait_for(lambda: len(kept(watching.store)) >= len(wanted), 120)
    watching.stop()
    watching.finish()
    found, errors = kept(watching.store), watching.errors.read_text(encoding="utf-8")
    wait_for(lambda: receiver.newest().keys() == found.keys(), 10)
    print(f"{seconds:.0f} s of feed, {len(lines):,} events; {rotating.rotations} rotations and truncations; "
          + ", ".join(f"{name} {count} times" for name, count in happened.items()))  # fmt: skip
    said = (f"{name} {errors.count(name)}" for name in ("store_down", "store_up", "sink_down", "sink_up", "resumed"))
    print("said: " + ", ".join(said))
    mine, theirs = as_told(found), as_told(wanted)
    print(f"transfers: {len(found)} kept, {len(wanted)} by a scan of what was written, "
          f"{sum(one != other for one, other in zip(mine, theirs, strict=False))} told in another way; "
          f"{len(receiver.newest())} at the sink")  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("load", "catch-up", "kills", "troubles"))
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=50)
    chosen = parser.parse_args(arguments)
    if chosen.what == "load":
        load(chosen.rate, chosen.seconds)
    elif chosen.what == "catch-up":
        catch_up(chosen.rate, chosen.seconds)
    elif chosen.what == "troubles":
        troubles(chosen.seconds)
    else:
        kills(chosen.count)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
