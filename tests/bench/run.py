"""The bench: processor seconds, peak memory and their ratios, measured in one run. It says; it asserts nothing.

    ./dev bench            everything, some minutes
    ./dev bench --quick    small inputs, under a minute; figures are rougher
    ./dev bench --only evtx --only memory

Ratios hold on any machine; figures per processor second compare only with others of the same machine. The bounds are those
that the project promises.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import bench_capture  # noqa: E402 - beside this file, which is run as a program
import generate  # noqa: E402 - beside this file, which is run as a program
import generate_wire  # noqa: E402 - as above
from measure import Cost, measure  # noqa: E402

MB = 1_000_000
DUMP = """
import sys, evtx
for path in sys.argv[1:]:
    try:
        records = evtx.PyEvtxParser(path).records_json()
        while True:
            try:
                for record in records:
                    pass
                break
            except RuntimeError:
                continue  # a damaged record; the rest is still there
    except RuntimeError:
        continue  # no EVTX at all
"""
READ_COMMANDS = """
import json, sys, time
from tidewaiter.reading.reader import read
lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
read("curl http://files.example.com/", "linux"); read("iwr http://files.example.com/", "windows")
start = time.process_time()
for row in lines:
    read(row["command"], row["platform"])
print(len(lines) / (time.process_time() - start))
"""
SIEVE = """
import sys, time
from tidewaiter.reading.sieve import TextSieve
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
sieve = TextSieve("hyperscan")
sieve.candidates(lines[:100])
start = time.process_time()
for place in range(0, len(lines), 2000):
    sieve.candidates(lines[place:place + 2000])
print(len(lines) / (time.process_time() - start))
"""
FOLD = """
import sys
from pathlib import Path
from tidewaiter.judgement.judge import Judge
from tidewaiter.pipeline.run import correlate
folder = Path(sys.argv[1])
kinds = {line.split()[0]: set(line.split()[1:]) for line in (folder / "kinds.txt").read_text().splitlines()}
transfers = correlate(sorted(folder.glob("*.run")), folder, kinds, {}, Judge())
found = [f"{one.device.hostname} {one.src.url}" for one in transfers]
planted = set((folder / "planted.txt").read_text().splitlines())
print(f"{len(planted.intersection(found))} of {len(planted)} planted found, {len(found)} transfers")
"""


class Row(NamedTuple):
    """One line of the table."""

    what: str
    figure: str
    bound: str = ""


class Fleet(NamedTuple):
    """A fleet's day: its rows, the events that the sieve took in a CPU second, and the cost from rows to transfers."""

    rows: int
    sieved: int
    cost: Cost


class Bench:
    """The measurements, each a generator of rows."""

    def __init__(self, work: Path, quick: bool, corpus: Path | None) -> None:
        self.work, self.quick, self.corpus = work, quick, corpus
        self.size = 5 * MB if quick else 50 * MB

    def folder(self, name: str) -> Path:
        """A fresh folder for inputs."""
        folder = self.work / name
        folder.mkdir()
        return folder

    def scan(self, *paths: Path) -> Cost:
        """`tidewaiter scan` with its output thrown away."""
        command = [sys.executable, "-m", "tidewaiter", "scan", *map(str, paths), "--format", "jsonl", "--output", os.devnull]
        return measure(command)

    def evtx(self) -> Iterator[Row]:
        folder, origin = self.folder("evtx"), "generated"
        if self.corpus is not None:
            times = 2 if self.quick else 12  # as much as a host has, so that starting up does not decide
            origin = f"labelled corpus, {times} x"
            sources = sorted([*self.corpus.glob("windows/*.evtx"), *self.corpus.glob("windows/benign/*.evtx")])
            for number in range(times):
                for place, source in enumerate(sources):
                    shutil.copy(source, folder / f"{number:02}-{place:03}.evtx")
        else:
            generate.evtx_folder(folder, self.size)
        files = sorted(folder.glob("*.evtx"))
        size = sum(file.stat().st_size for file in files) / MB
        dumped = measure([sys.executable, "-c", DUMP, *map(str, files)])
        scanned = self.scan(folder)
        yield Row(f"EVTX, {len(files)} files, {size:.0f} MB ({origin}): dump to JSON", f"{dumped.cpu:.2f} CPU s")
        yield Row("EVTX: scan", f"{scanned.cpu:.2f} CPU s, {scanned.largest_mb:.0f} MB in the largest process")
        yield Row("EVTX: scan / dump", f"{scanned.cpu / dumped.cpu:.2f}", "at most 3")

    def json(self) -> Iterator[Row]:
        for name, wanted_only in (("as broad settings log it", False), ("every record wanted", True)):
            folder = self.folder("json-wanted" if wanted_only else "json")
            generate.windows_json(folder / "events.json", self.size, wanted_only=wanted_only)
            yield self._speed(f"JSON lines, {name}", folder, "at least 60" if not wanted_only else "")

    def auditd(self) -> Iterator[Row]:
        folder = self.folder("auditd")
        generate.audit(folder / "audit.log", self.size)
        yield self._speed("auditd", folder, "at least 60")

    def network(self) -> Iterator[Row]:
        writers: tuple[tuple[str, Callable[[Path], None]], ...] = (
            ("Suricata EVE", lambda folder: generate_wire.eve(folder / "eve.json", self.size)),
            ("Zeek, tab-separated", lambda folder: generate_wire.zeek(folder, self.size)),
            ("Zeek, JSON", lambda folder: generate_wire.zeek(folder, self.size, as_json=True)),
        )
        for name, write in writers:
            folder = self.folder(f"network-{name.lower()}")
            write(folder)
            yield self._speed(name, folder, "at least 100")

    def capture(self) -> Iterator[Row]:
        """A scan of captures against Suricata alone with the same configuration, each the least of two runs."""
        for name, captures in bench_capture.inputs(
            self.folder("capture"), self.size * 6 // 5, None if self.quick else self.corpus
        ):
            ours, alone = bench_capture.costs(captures, self.folder(f"capture-{name}"), self.scan)
            yield Row(f"captures, {name}: Suricata alone / scan", f"{alone:.2f} / {ours:.2f} CPU s")
            yield Row(f"captures, {name}: scan / Suricata alone", f"{ours / alone:.2f}", "at most 1.3")

    def _speed(self, name: str, folder: Path, bound: str) -> Row:
        size = sum(file.stat().st_size for file in folder.iterdir()) / MB
        cost = self.scan(folder)
        speed = f"{size / cost.cpu:.0f} MB per CPU s ({cost.cpu:.2f} CPU s for {size:.0f} MB)"
        return Row(name, speed, bound)

    def memory(self) -> Iterator[Row]:
        """Twenty times the input: both times every worker comes to read both kinds of log."""
        each, costs = (4 if self.quick else 10) * MB, []
        first = self.folder("memory-first")
        generate.windows_json(first / "ws.json", each, "ws00.example.com")
        generate.audit(first / "web.log", each, "web00")
        for times in (1, 20):
            folder = self.folder(f"memory-{times}")
            for number in range(2 * times):
                for path, host in ((first / "ws.json", "ws"), (first / "web.log", "web")):
                    content = path.read_bytes().replace(f"{host}00".encode(), f"{host}{number:02}".encode())
                    (folder / f"{host}{number:02}{path.suffix}").write_bytes(content)
            costs.append(self.scan(folder))
            size = sum(file.stat().st_size for file in folder.iterdir()) / MB
            peak = f"{costs[-1].largest_mb:.0f} MB in the largest process, {costs[-1].together_mb:.0f} MB in all"
            yield Row(f"memory, {times} x input ({size:.0f} MB)", peak, "under 500 MB")
            shutil.rmtree(folder)
        for name, peaks in (
            ("largest process", [cost.largest_mb for cost in costs]),
            ("all processes", [cost.together_mb for cost in costs]),
        ):
            yield Row(f"memory: 20 x / 1 x, {name}", f"{peaks[1] / max(peaks[0], 0.1):.2f}", "at most 1.10")

    def fleet(self) -> Iterator[Row]:
        """Rows of a fleet's day, as readers spill them, to judged transfers; and a tenth of the events of the same hosts.

        The tenth is measured before and after the whole, since a machine may be quicker at one time than at another.
        """
        hosts, count = (40, 5_000) if self.quick else (200, 50_000)
        tenth, whole = self._fleet(hosts, count // 10), self._fleet(hosts, count)
        again = self._fleet(hosts, count // 10)
        for one in (tenth, whole, again):
            yield Row(
                f"fleet: {hosts} hosts, {one.rows / 1e6:.1f} million events, rows to transfers",
                f"{one.rows / one.cost.cpu / 1e6:.2f} million events per CPU s ({one.cost.cpu:.1f} CPU s)",
                "at least 0.5",
            )
            yield Row("fleet: transfers", one.cost.output.strip(), "all")
            yield Row("fleet: memory", f"{one.cost.largest_mb:.0f} MB", "under 600 MB")
        small = (tenth.cost.cpu + again.cost.cpu) / 2
        yield Row("fleet: 10 x / 1 x the events", f"{whole.cost.cpu / small:.1f}", "at most 10.5")
        yield Row("fleet: the sieve before it", f"{whole.sieved / 1e6:.2f} million events per CPU s")
        both = 1 / (1 / whole.sieved + whole.cost.cpu / whole.rows)
        yield Row(
            "fleet: sieve and correlation, one after the other", f"{both / 1e6:.2f} million events per CPU s", "at least 0.5"
        )

    def _fleet(self, hosts: int, each: int) -> Fleet:
        folder = self.folder("fleet")
        made = measure([sys.executable, str(HERE / "generate_fleet.py"), str(folder), str(hosts), str(each)])
        rows, sieved = map(int, made.output.split())
        cost = measure([sys.executable, "-c", FOLD, str(folder)])
        shutil.rmtree(folder)
        return Fleet(rows, sieved, cost)

    def start(self) -> Iterator[Row]:
        cost = measure([sys.executable, "-m", "tidewaiter", "--help"])
        yield Row("tidewaiter --help", f"{cost.cpu:.2f} CPU s", "under 0.2")
        folder = self.folder("small")
        generate.windows_json(folder / "events.json", 2 * MB)
        generate.audit(folder / "audit.log", 2 * MB)
        generate.evtx_folder(folder, 1)
        size = sum(file.stat().st_size for file in folder.iterdir()) / MB
        yield Row(f"a small folder ({size:.1f} MB)", f"{self.scan(folder).cpu:.2f} CPU s", "under 2")

    def reading(self) -> Iterator[Row]:
        commands = self.work / "commands.jsonl"
        if self.corpus is not None:
            shutil.copy(self.corpus / "commands.jsonl", commands)
        else:
            lines = (f"curl -o /tmp/a{number} https://files.example.org/{number} && sh /tmp/a{number}" for number in range(400))
            commands.write_text("".join(json.dumps({"command": line, "platform": "linux"}) + "\n" for line in lines))
        rate = float(measure([sys.executable, "-c", READ_COMMANDS, str(commands)]).output)
        yield Row("reading commands", f"{rate:,.0f} per CPU s")
        texts = self.work / "texts.txt"
        texts.write_text(
            "".join(f'"C:\\Windows\\System32\\svchost.exe" -k netsvcs -p -s Schedule {n}\n' for n in range(200_000))
        )
        rate = float(measure([sys.executable, "-c", SIEVE, str(texts)]).output)
        yield Row("sieve of command lines", f"{rate:,.0f} per CPU s")


def corpus_folder() -> Path | None:
    """The labelled corpus, where it is there."""
    named = os.environ.get("TIDEWAITER_CORPUS")
    folder = Path(named) if named else HERE.parent.parent.parent / "shared" / "corpus"
    return folder if folder.is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure speed and memory.")
    names = ["evtx", "json", "auditd", "network", "capture", "memory", "fleet", "start", "reading"]
    parser.add_argument("--quick", action="store_true", help="small inputs")
    parser.add_argument("--only", action="append", choices=names, help="one of the measurements; may be repeated")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidewaiter-bench-") as folder:
        bench = Bench(Path(folder), asked.quick, corpus_folder())
        print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
        for name in asked.only or names:
            one: Callable[[], Iterator[Row]] = getattr(bench, name)
            for row in one():
                print(f"{row.what:<64} {row.figure:<52} {row.bound}", flush=True)


if __name__ == "__main__":
    main()
