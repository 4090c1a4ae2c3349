"""What a log source leaves out when asked to: the account, the counts of what is usual and the needed events stay the same."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tidewaiter import log_source
from tidewaiter.baseline.counters import Counters
from tidewaiter.baseline.flows import HOSTS_KEPT, FlowBaseline
from tidewaiter.baseline.observing import KINDS, Observer
from tidewaiter.correlation import keys, wire_keys
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.zeek import counting
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Batch, flow_event
from tidewaiter.schema.event import Event, EventKind

sys.path.append(str(Path(__file__).parent.parent.parent / "bench"))
import generate
import generate_wire

SAMPLES = Path(__file__).parent.parent.parent / "samples"
NEEDS = {rows: wire_keys.needs(keys.CONTEXT | KINDS, rows=rows) for rows in (False, True)}
MIDNIGHT = 1_767_398_400.0
"""The end of the day on which the generated logs begin."""


class Read:
    """One input as a scan takes it in, sparing or not."""

    def __init__(self, name: str, path: Path, *, sparing: bool, rows: bool = False) -> None:
        self.account = Account(log_file="x")
        self.events: list[Event] = []
        self.counted = self.rows = 0
        observer, self.usual = Observer(), FlowBaseline()
        source = next(entry for entry in log_source.REGISTER if entry.name == name).load()
        if sparing:
            source.spare(NEEDS[rows])
        with path.open("rb") as file:
            head = file.read(log_source.HEAD_BYTES)
        opened = Opened(path=path, log_file="x", size=path.stat().st_size, head=head)
        for batch in source.read(opened, self.account):
            others = batch.uncounted() if isinstance(batch, Batch) else batch
            if isinstance(batch, Batch):
                observer.observe_counted(batch.counted)
                self.usual.note_counted(batch.counted)
                if batch.flows is not None:
                    self.rows += len(batch.flows.rows)
                    self.events += [flow_event(*batch.flows[:2], row) for row in batch.flows.rows]
                self.counted += sum(sum(one.combinations.values()) for one in batch.counted)
            observer.observe(others)
            self.usual.note([event for event in others if wire_keys.is_wire(event)])
            self.events += batch
        self.seen = observer.take()

    @property
    def needed(self) -> list[Event]:
        """The events that a scan would go on with."""
        return sorted(wire_keys.wanted(self.events), key=lambda event: (int(event.record), event.seq))

    @property
    def told(self) -> tuple[object, ...]:
        """The account without its order."""
        one = self.account
        return one.read, one.parsed, one.skipped, one.damaged, sorted(map(str, one.damage)), one.kinds, one.first, one.last


def levels(counters: Counters) -> dict[tuple[str, str, str], float]:
    """Every counter with its level, as exact as adding in another order leaves it."""
    return {(facet, *key): round(cell.level, 6) for facet, key, cell in counters.all()}


def same(name: str, path: Path) -> tuple[Read, Read]:
    """Read both ways and demand that nothing differs that matters."""
    plain = Read(name, path, sparing=False)
    agree(plain, Read(name, path, sparing=True, rows=True))
    spared = Read(name, path, sparing=True)
    agree(plain, spared)
    assert not spared.rows
    return plain, spared


def agree(plain: Read, spared: Read) -> None:
    assert spared.account.balanced
    assert spared.told == plain.told
    assert spared.needed == plain.needed
    assert levels(spared.seen) == levels(plain.seen)
    assert spared.seen.late == plain.seen.late
    assert (spared.usual.sides, spared.usual.hosts, spared.usual.redirects) == (
        plain.usual.sides,
        plain.usual.hosts,
        plain.usual.redirects,
    )
    assert {peer: min(len(hosts), HOSTS_KEPT) for peer, hosts in spared.usual.peers.items()} == {
        peer: min(len(hosts), HOSTS_KEPT) for peer, hosts in plain.usual.peers.items()
    }


@pytest.fixture(autouse=True)
def small_logs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tab-separated logs are counted however small they are."""
    monkeypatch.setattr(counting, "LEAST", 0)


@pytest.mark.parametrize("case", sorted((SAMPLES / "suricata_eve").iterdir()), ids=lambda case: case.name)
def test_samples_of_suricata(case: Path) -> None:
    same("suricata_eve", next(case.glob("input*")))


@pytest.mark.parametrize("case", sorted((SAMPLES / "zeek").iterdir()), ids=lambda case: case.name)
def test_samples_of_zeek(case: Path) -> None:
    same("zeek", next(case.glob("input*")))


def test_suricata_counts_most_of_a_day(tmp_path: Path) -> None:
    generate_wire.eve(tmp_path / "eve.json", 600_000)
    plain, spared = same("suricata_eve", tmp_path / "eve.json")
    assert Read("suricata_eve", tmp_path / "eve.json", sparing=True, rows=True).rows > 50
    assert len(spared.events) < len(plain.events) / 2
    assert spared.counted > len(plain.events) / 2


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("log", ["conn", "dns", "ssl", "http", "files"])
def test_zeek_counts_most_of_a_day(tmp_path: Path, log: str, as_json: bool) -> None:
    generate_wire.zeek(tmp_path, 900_000, as_json=as_json)
    plain, spared = same("zeek", tmp_path / f"{log}.log")
    assert (Read("zeek", tmp_path / f"{log}.log", sparing=True, rows=True).rows > 50) == (log == "conn")
    if log in counting.LOGS:
        assert len(spared.events) < len(plain.events) / 2
        assert spared.counted == len(plain.events)
    else:
        assert spared.counted == 0
        assert len(spared.events) == len(plain.events)


def eve_line(line: str, chance: random.Random) -> str:
    """A record that is out of the ordinary."""
    at = chance.randrange(12)
    if at == 0:
        return line[: chance.randrange(len(line))]
    if at == 1:
        return line.replace('"event_type":"', '"event_type": "')
    if at == 2:
        return line.replace("T10:", "T1O:")
    if at == 3:
        return line.replace('"dest_port":', '"dest_port":"x","was":')
    if at == 4:
        return line.replace('"bytes_toclient":', '"bytes_toclient":-')
    if at == 5:
        return line.replace('"rrname":"www', '"rrname":"' + "a" * 70)
    if at == 6:
        return line.replace('"severity":3', chance.choice(('"severity":1', '"severity":"1"')))
    if at == 7:
        return line.replace("+0000", "+0200")
    if at == 8:
        return line.replace('"sni":"', '"sni":"raw.githubusercontent.com","was":"')
    if at == 9:
        return line.replace('"rrname":', '"rrnames":')
    return line if at == 10 else ""


def zeek_line(line: str, chance: random.Random) -> str:
    """A tab-separated record that is out of the ordinary."""
    fields = line.split("\t")
    at = chance.randrange(8)
    if at == 0:
        return "\t".join(fields[:-1])
    if at < 4:
        fields[chance.randrange(len(fields))] = chance.choice(("-", "(empty)", "", "\\x41b", "nan", "9" * 30, "1.5", "é"))
        return "\t".join(fields)
    if at == 4:
        return "#comment"
    return line.replace("www", "a" * 70) if at == 5 else "\t".join([str(MIDNIGHT + 5)[:17], *fields[1:]])


@pytest.mark.parametrize("seed", range(12))
def test_records_out_of_the_ordinary(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    generate_wire.eve(tmp_path / "eve.json", 60_000)
    generate_wire.zeek(tmp_path, 60_000)
    spoil: Callable[[str, random.Random], str]
    for name, file, spoil in (
        ("suricata_eve", "eve.json", eve_line), ("zeek", "conn.log", zeek_line), ("zeek", "dns.log", zeek_line),
        ("zeek", "ssl.log", zeek_line),
    ):  # fmt: skip
        lines = (tmp_path / file).read_text(encoding="utf-8").splitlines()
        for _ in range(chance.choice((1, 1, 4, 20))):
            place = chance.randrange(10, len(lines))
            lines[place] = spoil(lines[place], chance)
        (tmp_path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        same(name, tmp_path / file)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_block_over_midnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    monkeypatch.setattr(generate_wire, "START", MIDNIGHT - 5)
    generate_wire.eve(tmp_path / "eve.json", 300_000)
    generate_wire.zeek(tmp_path, 300_000, as_json=as_json)
    same("suricata_eve", tmp_path / "eve.json")
    for log in counting.LOGS:
        _, spared = same("zeek", tmp_path / f"{log}.log")
        assert spared.seen.cells["host"]


def test_auditd_gives_one_event_of_what_nobody_needs_one_by_one(tmp_path: Path) -> None:
    generate.audit(tmp_path / "audit.log", 300_000)
    plain = Read("linux_auditd", tmp_path / "audit.log", sparing=False)
    spared = Read("linux_auditd", tmp_path / "audit.log", sparing=True)
    assert spared.told == plain.told
    kinds = Counter(event.kind for event in plain.events)
    kept = Counter(event.kind for event in spared.events)
    assert kinds[EventKind.FILE_MODE] > 10
    assert kept == {**kinds, EventKind.FILE_MODE: 1}
    assert levels(spared.seen) == levels(plain.seen)


def test_bytes_that_are_no_text_are_damage_wherever_they_stand(tmp_path: Path) -> None:
    generate_wire.eve(tmp_path / "eve.json", 30_000)
    generate_wire.zeek(tmp_path, 30_000, as_json=True)
    for name, file, spoiled, damaged in (
        ("suricata_eve", "eve.json", b'"event_type":"flow","src_ip":"1', 1), ("zeek", "conn.log", b'"history":"ShADadfF', 1),
        ("suricata_eve", "eve.json", b'"in_iface":"eth0', 1),  # the builders do not look at it: the one from before
    ):  # fmt: skip
        content = (tmp_path / file).read_bytes().replace(spoiled, spoiled + b"\xff", 1)
        (tmp_path / file).write_bytes(content)
        plain, _ = same(name, tmp_path / file)
        assert plain.account.damaged == damaged


def test_a_carriage_return_is_no_number(tmp_path: Path) -> None:
    generate_wire.zeek(tmp_path, 30_000)
    lines = (tmp_path / "conn.log").read_bytes().split(b"\n")
    lines[20] = lines[20].replace(b"\t0\tShADadfF", b"\t\r\tShADadfF")
    (tmp_path / "conn.log").write_bytes(b"\n".join(lines))
    plain, _ = same("zeek", tmp_path / "conn.log")
    assert plain.account.damaged == 1


@pytest.mark.parametrize("number", ["1e511", "-1e511", "9" * 400, "9" * 5_000])
@pytest.mark.parametrize(
    ("name", "file", "before", "after", "damaged"),
    [
        ("zeek", "conn.log", '"orig_pkts":', '"x":[{"y":%s}],"orig_pkts":', 0),
        ("zeek", "conn.log", '"id.orig_h":', '"duration":%s,"id.orig_h":', 1),
        ("zeek", "conn.log", '"id.orig_p":', '"id.orig_p":%s,"was":', 1),
        ("zeek", "dns.log", '"trans_id":', '"x":%s,"trans_id":', 0),
        ("suricata_eve", "eve.json", '"in_iface":', '"x":{"y":[%s]},"in_iface":', 0),
        ("suricata_eve", "eve.json", '"src_port":', '"src_port":%s,"was":', 1),
        ("suricata_eve", "eve.json", '"rrname":', '"rdata":%s,"rrname":', 0),
        ("suricata_eve", "eve.json", '"rrname":', '"answers":[{"ttl":%s}],"rrname":', 0),
    ],
)
def test_a_number_too_large_is_damage_only_where_it_is_looked_at(
    tmp_path: Path, number: str, name: str, file: str, before: str, after: str, damaged: int
) -> None:
    generate_wire.eve(tmp_path / "eve.json", 30_000)
    generate_wire.zeek(tmp_path, 30_000, as_json=True)
    content = (tmp_path / file).read_text(encoding="utf-8")
    lines = content.splitlines(keepends=True)
    place = next(place for place, line in enumerate(lines) if place > 2 and before in line)
    if before == '"id.orig_h":':
        lines[place] = lines[place].replace('"duration":', '"lasted":')
    lines[place] = lines[place].replace(before, after % number, 1)
    (tmp_path / file).write_text("".join(lines), encoding="utf-8")
    plain, _ = same(name, tmp_path / file)
    assert plain.account.damaged == damaged
