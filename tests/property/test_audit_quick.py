"""Audit records that stand together are read by one expression and a few steps; line by line, they must say the same."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_writer import Audit
from tidewaiter.formats import audit_records
from tidewaiter.formats.audit_runs import Runs
from tidewaiter.log_source import Opened
from tidewaiter.log_sources import linux_auditd
from tidewaiter.log_sources.linux_auditd.quick import quick
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event

sys.path.append(str(Path(__file__).parent.parent / "bench"))
from audit_log import round_of

WORDS = ("curl", "-o", "/tmp/a b", "x=1", "", "ü", "it's", "http://files.example.com/a?b=1", '"', "state 2", "$(id)")


def log_of(chance: random.Random, node: str, events: int) -> list[str]:
    """Lines of a host: every writer of the log writer, with pids and paths that come again."""
    log = Audit(node)
    for step in range(events):
        seconds, pid, path = step * 0.25, chance.randrange(900, 920), f"/tmp/f{chance.randrange(5)}"
        kind = chance.randrange(6)
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
        else:
            log.lines += round_of(step, quiet=chance.random() < 0.5).splitlines()
    return log.lines


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


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), damage=st.sampled_from((0, 0, 3, 30)), nodes=st.integers(1, 2))
def test_reads_the_same_as_line_by_line(tmp_path_factory: pytest.TempPathFactory, seed: int, damage: int, nodes: int) -> None:
    chance = random.Random(seed)
    lines = [line for number in range(nodes) for line in log_of(chance, f"web{number}", 40)]
    path = tmp_path_factory.mktemp("audit") / "audit.log"
    path.write_text("\n".join(spoiled(lines, chance, damage)) + "\n", encoding="utf-8")
    fast, fast_account = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux_auditd, "quick", lambda *_: None)
        handled, _ = read(path)
        patch.setattr(audit_records, "runs_of", lambda data, line: Runs([], [(line, data)], set()))
        plain, plain_account = read(path)
    assert fast == handled
    assert fast_account.balanced
    assert fast_account.read == plain_account.read
    if damage == 0:
        assert sorted(fast, key=_order) == sorted(plain, key=_order)
        assert fast_account.parsed == plain_account.parsed
        assert len(fast) > 20


def _order(event: Event) -> tuple[int, int]:
    return int(event.record), event.seq


def test_most_events_are_read_quickly(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\n".join(log_of(random.Random(1), "web1", 300)) + "\n", encoding="utf-8")
    quickly: list[Event | None] = []

    def noted(*call: Any) -> Event | None:
        quickly.append(quick(*call))
        return quickly[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linux_auditd, "quick", noted)
        events, _ = read(tmp_path / "a")
    assert sum(event is not None for event in quickly) > 0.7 * len(events)
