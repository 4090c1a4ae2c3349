"""Joining audit records, and the events that linux_auditd makes of them, on hostile input too."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import pytest

from tidewaiter.formats.audit_records import TAIL, WAIT_LINES, AuditJoiner, Joined
from tidewaiter.formats.text_lines import text_blocks
from tidewaiter.log_source import HEAD_BYTES, Opened
from tidewaiter.log_sources.linux_auditd import Source
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event, encode

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "linux_auditd" / "enriched" / "input.log"
TASK = (
    "auid=1000 uid=1000 gid=1000 euid=1000 suid=1000 fsuid=1000 egid=1000 sgid=1000 fsgid=1000 "
    'tty=pts0 ses=3 comm="curl" exe="/usr/bin/curl" key="k"'
)


def read(path: Path, content: bytes) -> tuple[list[Event], Account]:
    path.write_bytes(content)
    account = Account(log_file="audit.log")
    opened = Opened(path=path, log_file="audit.log", size=len(content), head=content[:HEAD_BYTES])
    events = [event for batch in Source().read(opened, account) for event in batch]
    assert account.balanced
    assert account.read == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    assert sum(account.kinds.values()) == len(events)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        encode(event)
    return events, account


def an_exec(serial: int, *, node: str = "", title: bool = True) -> list[str]:
    stamp = f"msg=audit(17673480{serial % 100:02d}.{serial % 1000:03d}:{serial}):"
    head = f"arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid=7 pid={serial} {TASK}"
    lines = [
        f"{node}type=SYSCALL {stamp} {head}",
        f'{node}type=EXECVE {stamp} argc=2 a0="curl" a1="http://files.example.org/{serial}"',
        f'{node}type=CWD {stamp} cwd="/home/ann"',
        f'{node}type=PATH {stamp} item=0 name="/usr/bin/curl" inode=1 dev=fd:00 mode=0100755 ouid=0 nametype=NORMAL',
    ]
    return lines + [f"{node}type=PROCTITLE {stamp} proctitle=6375726C"] * title


def facts(events: list[Event]) -> list[tuple[object, ...]]:
    """What must not depend on where the records stand."""
    return sorted((e.time, e.kind.value, e.host or "", e.pid or 0, e.command_line or "", e.cwd or "") for e in events)


def as_log(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def test_any_interleaving_makes_the_same_events(tmp_path: Path) -> None:
    groups = [an_exec(serial, node=f"node=h{serial % 3} ") for serial in range(40)]
    expected = facts(read(tmp_path / "a", as_log([line for group in groups for line in group]))[0])
    assert len(expected) == 40
    for seed in range(20):
        chance = random.Random(seed)
        waiting = [list(group) for group in groups]
        mixed: list[str] = []
        while waiting:
            some = chance.choice(waiting[:5])  # as many as processors write at one time
            mixed.append(some.pop(0))
            waiting = [group for group in waiting if group]
        events, account = read(tmp_path / "a", as_log(mixed))
        assert facts(events) == expected
        assert account.parsed == 200


def test_whole_runs_and_single_lines_agree(tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    whole, _ = read(tmp_path / "a", as_log(lines))
    broken = [part for line in lines for part in (line, "# a comment between all records")]
    split, account = read(tmp_path / "a", as_log(broken))
    assert account.skipped["comment or separator"] == len(lines)
    assert len(whole) == 20
    for one, other in zip(whole, split, strict=True):
        other.record = one.record
        assert one == other


def test_same_serial_of_two_nodes_is_two_events(tmp_path: Path) -> None:
    events, _ = read(tmp_path / "a", as_log(an_exec(5, node="node=a ") + an_exec(5, node="node=b ")))
    assert [event.host for event in events] == ["a", "b"]


def test_records_of_old_kernels_without_proctitle(tmp_path: Path) -> None:
    lines = [line for serial in range(30) for line in an_exec(serial, title=False)]
    events, account = read(tmp_path / "a", as_log(lines))
    assert [event.pid for event in events] == list(range(30))
    assert account.parsed == len(lines)


def test_a_record_too_late_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    lines = [*an_exec(1), 'type=PATH msg=audit(1767348001.001:1): item=1 name="/x" nametype=NORMAL']
    events, account = read(tmp_path / "a", as_log(lines))
    assert len(events) == 1
    assert account.skipped == {"late record of a finished event": 1}


def test_more_arguments_than_told_or_fewer_are_marked(tmp_path: Path) -> None:
    lines = an_exec(1)
    lines[1] = lines[1].replace("argc=2", "argc=7")
    events, _ = read(tmp_path / "a", as_log(lines))
    assert events[0].extra == {"serial": 1, "uid": 1000, "argc": 7}


def test_cut_at_every_byte(tmp_path: Path) -> None:
    content = as_log(an_exec(1, node="node=a ") + an_exec(2, node="node=a ")[:2])
    for length in range(len(content)):
        events, account = read(tmp_path / "a", content[:length])
        assert len(events) <= 2
        assert account.damaged <= 1


def test_flipped_bits(tmp_path: Path) -> None:
    content = SAMPLE.read_bytes()
    for seed in range(150):
        chance = random.Random(seed)
        broken = bytearray(content)
        for _ in range(30):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        read(tmp_path / "a", bytes(broken))


def test_garbage_in_every_field(tmp_path: Path) -> None:
    line = SAMPLE.read_text().splitlines()
    for seed in range(150):
        chance = random.Random(seed)
        words = [word.split("=", 1) for each in line for word in each.split(" ")]
        values = [word[1] for word in words if len(word) == 2]
        mixed = [
            " ".join(
                f"{word.split('=', 1)[0]}={chance.choice(values)}" if "=" in word and chance.random() < 0.1 else word
                for word in each.split(" ")
            )
            for each in line
        ]
        read(tmp_path / "a", as_log(mixed))


@pytest.mark.parametrize("filler", [b"A", b"\0", b" a1=41", b"type=PROCTITLE ", b"audit(", b'"'])
def test_a_line_of_50_mb(tmp_path: Path, filler: bytes) -> None:
    good = as_log(an_exec(1))
    long = b'type=EXECVE msg=audit(1767348002.002:2): argc=2 a0="x" a1=' + filler * (50_000_000 // len(filler)) + b"\n"
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    events, account = read(tmp_path / "a", good + long + as_log(an_exec(3)))
    assert time.process_time() - start < 2
    assert {event.pid for event in events} >= {1, 3}
    assert account.read == 11
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 120_000  # kilobytes; the test itself holds 50 MB


@pytest.mark.parametrize("front", ["", "Jan  2 10:00:00 web1 audispd: "])
def test_events_that_never_end_are_evicted(tmp_path: Path, front: str) -> None:
    first = front + an_exec(5)[0]
    (tmp_path / "a").write_bytes(as_log([first.replace(":5)", f":{serial})") for serial in range(4 * WAIT_LINES)]))
    joiner = AuditJoiner(Account(log_file="audit.log"))
    done = sum(map(_events_in, map(joiner.feed, text_blocks(tmp_path / "a"))))
    assert 0 < _events_in(joiner.finish()) == 4 * WAIT_LINES - done < (2 * WAIT_LINES if front else 2 * TAIL)


def _events_in(joined: Joined) -> int:
    return len(joined.runs.told) + len(joined.groups)


@pytest.mark.parametrize("ending", [[], ["type=PROCTITLE"], ["type=PROCTITLE", "type=EOE"], ["type=EOE"]])
def test_where_a_block_ends_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: list[str]) -> None:
    lines = []
    for serial in range(60):
        event = an_exec(serial, node="node=a ", title=False)
        lines += [*event, *(f"node=a {kind} {event[0].split(' ')[2]} " for kind in ending)]
    whole, counted = read(tmp_path / "a", as_log(lines))
    assert len(whole) == 60
    for block in (400, 1_000, 3_333, 20_000):
        monkeypatch.setattr("tidewaiter.log_sources.linux_auditd.BLOCK", block)
        events, account = read(tmp_path / "a", as_log(lines))
        assert events == whole
        assert account == counted
    assert counted.skipped == ({"EOE record": 60} if "type=EOE" in ending else {})


def test_many_small_unfinished_events_are_bounded(tmp_path: Path) -> None:
    lines = [f'type=CWD msg=audit(1767348000.000:{serial}): cwd="/{"x" * 20_000}"' for serial in range(4_000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = as_log(lines)
    del lines
    read(tmp_path / "a", content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_recognises_its_lines_and_no_others() -> None:
    source = Source()
    assert source.recognise(as_log(an_exec(1)))
    assert source.recognise(b"Jan  2 10:00:00 h audispd: " + as_log(an_exec(1)))
    assert source.recognise(b"Jan  2 10:00:00 h kernel: audit: type=1300 audit(1767348000.000:1): arch=c000003e")
    for other in (
        b"",
        b"\0" * 99,
        b"type=note about audit(ing)\n",
        b'{"message": "type=SYSCALL msg=audit(1767348000.000:1): x"}',
    ):
        assert source.recognise(other) is None


def test_a_name_in_an_open_directory_is_completed_only_when_the_directory_is_known(tmp_path: Path) -> None:
    def opened(serial: int, descriptor: str, name: str, directory: str, inode: int) -> list[str]:
        stamp = f"msg=audit(1767348000.000:{serial}):"
        head = f"arch=c000003e syscall=257 success=yes exit=3 a0={descriptor} a1=2 a2=241 a3=1b6 items=2 ppid=7 pid=8 {TASK}"
        place = f"inode={inode} dev=fd:00 mode=040755 ouid=0"
        return [
            f"type=SYSCALL {stamp} {head}",
            f'type=CWD {stamp} cwd="/home/ann"',
            f'type=PATH {stamp} item=0 name="{directory}" {place} nametype=PARENT',
            f'type=PATH {stamp} item=1 name="{name}" inode={serial} dev=fd:00 mode=0100644 ouid=0 nametype=CREATE',
            f"type=PROCTITLE {stamp} proctitle=6375726C",
        ]

    lines = opened(1, "ffffff9c", "/srv/in/a", "/srv/in/", 50) + opened(2, "5", "b", "/home/ann", 50)
    events, _ = read(tmp_path / "a", as_log(lines + opened(3, "5", "c", "/home/ann", 51)))
    assert [event.file_path for event in events] == ["/srv/in/a", "/srv/in/b", "c"]
    assert [event.extra for event in events[1:]] == [
        {"serial": 2, "uid": 1000, "directory_by_inode": True},
        {"serial": 3, "uid": 1000, "dirfd": True},
    ]
    assert events[2].cwd == "/home/ann"
