"""Exit codes, messages, and what the commands hand to the engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
import pytest

from tidewaiter.cli import scan_options
from tidewaiter.cli.main import run
from tidewaiter.errors import KnowledgeError, NothingReadableError, UsageError
from tidewaiter.pipeline.config import ProgressUpdate, ScanOptions
from tidewaiter.policy.policy import Policy
from tidewaiter.schema.account import Account
from tidewaiter.schema.transfer import Device, File, Landing, Origin, Process, Transfer


def transfer(identity: str) -> Transfer:
    return Transfer(
        id=identity, time=None, device=Device(), process=Process(), src=Origin(), dst=Landing(), file=File(), stages={}
    )


class Found:
    """What the engine would give back."""

    def __init__(self) -> None:
        self.accounts = [Account(log_file="a", recognised_as="EVTX")]
        self.unreadable: list[Any] = []
        self.counts = {"low": 2}
        self.policy = Policy()
        self.keeping = None
        self.closed = False

    def __enter__(self) -> Found:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def transfers(self) -> Iterator[Transfer]:
        yield from (transfer("aaaa1111"), transfer("aaaa2222"))

    def encoded(self) -> Iterator[bytes]:
        return map(msgspec.json.encode, self.transfers())


class Engine:
    """Stands in for the local engine and remembers how it was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: BaseException | None = None
        self.found = Found()
        self.paths: Sequence[str] = ()
        self.options = ScanOptions()
        stand_in = ModuleType("tidewaiter.engines.local")
        stand_in.scan = self.scan  # type: ignore[attr-defined]  # a module made by hand has no declared names
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)

    def scan(
        self,
        paths: Sequence[str],
        *,
        options: ScanOptions,
        progress: Callable[[ProgressUpdate], None],
        store: None = None,
        kept_files: None = None,
    ) -> Found:
        self.paths, self.options = paths, options
        progress(ProgressUpdate(1, 2, "a\x1b"))
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(monkeypatch)


@pytest.fixture
def evidence(tmp_path: Path) -> str:
    return str(tmp_path)


def test_a_scan_prints_results_on_one_stream_and_the_summary_on_the_other(
    engine: Engine, evidence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["scan", evidence, "--format", "jsonl"])

    out, err = capsys.readouterr()
    assert code == 0
    assert [line[:17] for line in out.splitlines()] == ['{"id":"aaaa1111",', '{"id":"aaaa2222",']
    assert err.splitlines()[-1] == "Found 2 transfers: 2 low"
    assert engine.found.closed


def test_options_reach_the_engine(engine: Engine, evidence: str) -> None:
    times = ["--since", "2026-03-01", "--until", "2026-03-01T01:00:00.000001+01:00"]
    code = run(["scan", evidence, "--min-severity", "high", *times, "--host", "a", "--host", "b", "--jobs", "2"])

    begin = 1_772_323_200_000_000
    assert code == 0
    assert list(engine.paths) == [evidence]
    assert engine.options == ScanOptions(min_severity="high", since=begin, until=begin + 1, hosts=("a", "b"), jobs=2)


def test_a_result_can_go_to_a_file(engine: Engine, evidence: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = Path(evidence) / "out.csv"

    assert run(["scan", evidence, "--format", "csv", "--output", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert len(target.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NothingReadableError("nothing\x1b here"), 3),
        (UsageError("no such thing"), 2),
        (KnowledgeError("weights.toml", "line 2", "wrong"), 1),
        (PermissionError(13, "no"), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_errors_become_exit_codes_and_one_line(
    engine: Engine, evidence: str, error: BaseException, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.error = error

    assert run(["scan", evidence]) == code
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert bool(err.strip()) == (code != 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan"],
        ["scan", "/nowhere/at/all"],
        ["scan", ".", "--format", "xml"],
        ["scan", ".", "--since", "yesterday"],
        ["scan", ".", "--jobs", "0"],
        ["show", "aaaa"],
        ["explain"],
        ["explain", "--jsonl", "curl"],
        ["explain", "curl", "--platform", "amiga"],
        ["bogus"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_apart(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_show_finds_a_transfer_by_the_start_of_its_id(
    engine: Engine, evidence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", "aaaa2", evidence]) == 0
    assert "Transfer aaaa2222" in capsys.readouterr().out
    assert engine.found.closed


@pytest.mark.parametrize(("start", "message"), [("aaaa", "2 transfers have"), ("bbbb", "no transfer")])
def test_show_refuses_an_id_that_names_none_or_several(
    engine: Engine, evidence: str, start: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", start, evidence]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("1970-01-01", 0), ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.5", -500_000), ("1970-01-01T01:00:00+01:00", 0)],
)
def test_times_are_exact_and_utc(text: str, microseconds: int) -> None:
    parameter = click.Option(["--since"])

    assert scan_options.moment(click.Context(click.Command("scan")), parameter, text) == microseconds


def test_a_reader_that_goes_away_is_no_error() -> None:
    program = [sys.executable, "-c", "import sys\nfrom tidewaiter.cli.main import main\nmain()", "explain", "--jsonl"]
    questions = b'{"id":1,"platform":"linux","command":"curl"}\n' * 2000
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(questions, timeout=60)

    assert (process.returncode, err) == (0, b"")
