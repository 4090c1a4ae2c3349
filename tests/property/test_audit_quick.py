"""Audit records that stand together are read by one expression and a few steps; line by line, they must say the same."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_writer import Audit
from tidewaiter.formats import audit_records
from tidewaiter.formats.audit_event import AuditGroup
from tidewaiter.formats.audit_runs import NONE, Runs, Told, group_of
from tidewaiter.log_source import Opened
from tidewaiter.log_sources import linux_auditd
from tidewaiter.log_sources.linux_auditd.quick import Quick
from tidewaiter.log_sources.linux_auditd.results import Results
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

sys.path.append(str(Path(__file__).parent.parent / "bench"))
from audit_log import round_of

WORDS = ("curl", "-o", "/tmp/a b", "x=1", "", "ü", "it's", "http://files.example.com/a?b=1", '"', "state 2", "$(id)")


def log_of(chance: random.Random, node: str, events: int, inodes: int = 5) -> list[str]:
    """Lines of a host: every writer of the log writer, with pids and paths that come again, and so many inodes."""
    log = Audit(node)
    for step in range(events):
        seconds, pid, path = step * 0.25, chance.randrange(900, 920), f"/tmp/f{chance.randrange(5)}"
        kind = chance.randrange(8)
        if kind == 0:
            log.run(seconds, pid, "sh", *chance.choices(WORDS, k=chance.randrange(4)), program=chance.choice(("", "/bin/dash")))
        elif kind == 1:
            log.connect(seconds, pid, chance.choice(("198.51.100.7", "2001:db8::1", "0.0.0.0")), chance.choice((80, 0)))
        elif kind == 2:
            log.create(seconds, pid, path)
        elif kind == 3:
            log.rename(seconds, pid, path, f"{path}.new")
        elif kind == 4:
            log.chmod(seconds, pid, path)
        elif kind < 7:
            log.lines += call_on_files(chance, step, node, inodes)
        else:
            log.lines += round_of(step, quiet=chance.random() < 0.5).splitlines()
    return log.lines


def call_on_files(chance: random.Random, step: int, node: str, inodes: int) -> list[str]:
    """A call on files as kernels of many settings log it, with and without its last records."""
    stamp = f"{1767350000 + step}.{chance.randrange(1000):03}:{900_000 + step}"
    front = f"node={node} type=%s msg=audit({stamp}):"
    number = chance.choice((2, 82, 85, 86, 87, 90, 91, 257, 263, 264, 268, 316, 332, 437))
    success = chance.choice((" success=yes exit=3", " success=yes exit=0", " success=no exit=-13", ""))
    args = [chance.choice(("ffffff9c", "ffffffffffffff9c", "5", "7ffc01", "241", "0", "1ed")) for _ in range(4)]
    names = chance.choice(
        ('"run.sh"', '"/srv/www/a.php"', '"../x//y"', "2F746D702F612062", "(null)", '"/dev/shm/k"', '"/srv/./k"')
    )
    kinds = chance.choice(
        (("PARENT", "CREATE"), ("PARENT", "DELETE"), ("NORMAL",), ("PARENT", "PARENT", "DELETE", "CREATE"), ())
    )
    head = (
        f" arch=c000003e syscall={number}{success} a0={args[0]} a1={args[1]} a2={args[2]} a3={args[3]} items={len(kinds)}"
        f" ppid=7 pid={chance.randrange(900, 920)} auid={chance.choice((1000, 4294967295))} uid=0 gid=0 euid=0 suid=0 fsuid=0"
        ' egid=0 sgid=0 fsgid=0 tty=(none) ses=4 comm="x" exe="/usr/bin/x" key=(null)'
    )
    if chance.random() < 0.4:
        head += f'\x1dARCH=x86_64 SYSCALL={chance.choice(("openat", "statx", "unlink"))} AUID="ann" UID="root"'
    lines = [front % "SYSCALL" + head]
    if chance.random() < 0.1:
        lines.append(front % "OPENAT2" + " oflag=0101 mode=0644 resolve=0x0")
    lines.append(front % "CWD" + ' cwd="/home/ann"')
    for item, kind in enumerate(kinds):
        name = chance.choice(('"/srv/www"', '"./"')) if kind == "PARENT" else names
        mode = chance.choice(("040755", "0100644", "0100755", "020666"))
        inode = f"inode={chance.randrange(inodes)} dev=fd:00"
        lines.append(front % "PATH" + f" item={item} name={name} {inode} mode={mode} ouid=0 ogid=0 nametype={kind} cap_fp=0")
    if chance.random() < 0.1:
        lines[2:] = reversed(lines[2:])
    if chance.random() < 0.5:
        lines.append(front % "PROCTITLE" + " proctitle=78")
    if chance.random() < 0.3:
        lines.append(front % "EOE" + chance.choice(("", " ")))
    return lines


def spoiled(lines: list[str], chance: random.Random, times: int) -> list[str]:
    """Lines swapped with others near by, doubled, lost, cut, with a field lost or another kind."""
    for _ in range(times):
        at = chance.randrange(len(lines))
        near = min(len(lines) - 1, at + chance.randrange(1, 6))
        kind = chance.randrange(7)
        if kind == 0:
            lines[at], lines[near] = lines[near], lines[at]
        elif kind == 1:
            lines.insert(near, lines[at])
        elif kind == 2:
            del lines[at]
        elif kind == 3:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        elif kind == 4:
            words = lines[at].split(" ")
            del words[chance.randrange(len(words))]
            lines[at] = " ".join(words)
        elif kind == 5:
            lines[at] = lines[at].replace("success=yes", "success=no", 1).replace("nametype=CREATE", "nametype=NORMAL", 1)
        else:
            lines[at] = lines[at].replace('name="/tmp/', 'name="', 1).replace("a0=ffffff9c", "a0=5", 1)
        if not lines:
            return [""]
    return lines


def read(path: Path) -> tuple[list[Event], Account]:
    account = Account(log_file="audit.log")
    opened = Opened(path=path, log_file="audit.log", size=path.stat().st_size, head=path.read_bytes()[:65_536])
    return [event for batch in linux_auditd.Source().read(opened, account) for event in batch], account


def all_left_over(_self: Quick, runs: Runs, _results: Results, left_over: Callable[[Told, int, int], None]) -> None:
    for told, line, count in zip(*runs, strict=True):
        left_over(told, line, count)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    damage=st.sampled_from((0, 0, 3, 30)),
    nodes=st.integers(1, 2),
    block=st.sampled_from((700, 5_000, 1 << 17)),
)
def test_reads_the_same_as_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, seed: int, damage: int, nodes: int, block: int
) -> None:
    chance = random.Random(seed)
    inodes = 5 if damage else 10**9  # what is known of an inode goes by when an event ends, which line by line is later
    lines = [line for number in range(nodes) for line in log_of(chance, f"web{number}", 40, inodes)]
    path = tmp_path_factory.mktemp("audit") / "audit.log"
    path.write_text("\n".join(spoiled(lines, chance, damage)) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux_auditd, "BLOCK", block)
        fast, fast_account = read(path)
        patch.setattr(Quick, "take", all_left_over)
        handled, handled_account = read(path)
        patch.setattr(audit_records, "runs_of", lambda data, line: (NONE, [(line, data)]))
        plain, plain_account = read(path)
    assert fast == handled
    assert fast_account == handled_account
    assert fast_account.balanced
    assert fast_account.read == plain_account.read
    if damage == 0:
        assert sorted(fast, key=_order) == sorted(plain, key=_order)
        assert fast_account.parsed == plain_account.parsed
        assert fast_account.skipped == plain_account.skipped
        assert len(fast) > 5


def _order(event: Event) -> tuple[int, int]:
    return int(event.record), event.seq


def test_most_events_are_read_quickly(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\n".join(log_of(random.Random(1), "web1", 300)) + "\n", encoding="utf-8")
    slowly = []

    def noted(told: Told, line: int, count: int) -> AuditGroup:
        slowly.append(line)
        return group_of(told, line, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux_auditd, "group_of", noted)
        events, account = read(tmp_path / "a")
    assert len(slowly) < 0.3 * len(events)
    assert account.skipped["EOE record"] > 5
    assert sum(count for reason, count in account.skipped.items() if reason.startswith("system call ")) > 5
