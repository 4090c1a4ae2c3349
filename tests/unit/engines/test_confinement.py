"""A confined process really cannot write elsewhere, read what it was not given, or connect; a confined scan finds the same."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from captures.writer import elf, http, pcap, save
from tidewaiter.cli.main import run
from tidewaiter.engines import confinement
from tidewaiter.errors import ConfinementError

ABI = confinement.abi()
ROOT = Path(__file__).resolve().parents[3]
landlocked = pytest.mark.skipif(ABI < confinement.OLDEST, reason=f"no Landlock to confine with here (version {ABI})")

PROBE = """
import json, socket, subprocess, sys, tempfile
from pathlib import Path
from tidewaiter.engines.confinement import confined

given, secret, out, store, port = sys.argv[1:]

def outcome(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"

def connect():
    socket.create_connection(("127.0.0.1", int(port)), 5).close()

def listen():
    socket.create_server(("127.0.0.1", 0)).close()

def child(text):
    done = subprocess.run(["/bin/sh", "-c", text, "sh", given, secret, out], capture_output=True)
    return "done" if done.returncode == 0 else "refused"

with confined([given], output=out + "/result.jsonl", store=store or None) as kept:
    private = Path(tempfile.gettempdir())
    told = {
        "private": str(private),
        "closed": kept.network_closed,
        "read given": outcome(lambda: (Path(given) / "log").read_text()),
        "read secret": outcome(lambda: Path(secret).read_text()),
        "list beside": outcome(lambda: list(Path(given).parent.iterdir())),
        "read shadow": outcome(lambda: Path("/etc/shadow").read_text()),
        "write given": outcome(lambda: (Path(given) / "log").write_text("x")),
        "create in given": outcome(lambda: (Path(given) / "new").write_text("x")),
        "write secret": outcome(lambda: Path(secret).write_text("x")),
        "delete secret": outcome(lambda: Path(secret).unlink()),
        "rename secret": outcome(lambda: Path(secret).rename(secret + "2")),
        "create in the temporary folder of others": outcome(lambda: (private.parent / "tidewaiter-probe").write_text("x")),
        "write temporary": outcome(lambda: tempfile.TemporaryFile().write(b"x")),
        "write output": outcome(lambda: (Path(out) / "result.jsonl").write_text("x")),
        "write null": outcome(lambda: Path("/dev/null").write_text("x")),
        "connect": outcome(connect),
        "listen": outcome(listen),
        "child runs": child("true"),
        "child reads given": child('cat "$1/log"'),
        "child reads secret": child('cat "$2"'),
        "child writes beside": child('echo x > "$2.new"'),
        "child writes output": child('echo x > "$3/child"'),
    }
told["private is gone"] = not private.exists()
print(json.dumps(told))
"""
REFUSED = ("PermissionError", "refused")


@pytest.fixture
def port() -> Iterator[int]:
    """A server on loopback that would be reached without confinement."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def probe(tmp_path: Path, port: int, store: str = "") -> dict[str, object]:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "log").write_text("a line")
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").write_text("root:$6$salt")
    places = [tmp_path / "given", tmp_path / "secret", tmp_path / "out"]
    command = [sys.executable, "-c", PROBE, *map(str, places), store, str(port)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


@landlocked
def test_a_confined_process_reaches_what_it_was_given_and_nothing_else(tmp_path: Path, port: int) -> None:
    told = probe(tmp_path, port)
    print(f"Landlock version {ABI}")  # noqa: T201 - shown with -rP: which kernel proved it
    refused = {name for name, outcome in told.items() if outcome in REFUSED}

    assert {name for name, outcome in told.items() if outcome == "done"} == {
        *("read given", "write temporary", "write output", "write null"),
        *("child runs", "child reads given", "child writes output"),
        *(() if told["closed"] else ("connect", "listen")),
    }
    assert refused >= {"read secret", "read shadow", "write given", "create in given", "write secret", "delete secret"}
    assert refused >= {"rename secret", "list beside", "create in the temporary folder of others"}
    assert refused >= {"child reads secret", "child writes beside"}
    assert told["closed"] == (ABI >= 4)
    assert told["private is gone"] is True
    assert (tmp_path / "secret").read_text() == "root:$6$salt"


@landlocked
def test_a_store_elsewhere_keeps_the_network_open_and_nothing_more(tmp_path: Path, port: int) -> None:
    told = probe(tmp_path, port, "postgresql://keeper@127.0.0.1/tides")

    assert (told["closed"], told["connect"]) == (False, "done")
    assert {told[name] for name in ("read secret", "write given", "child writes beside")} <= set(REFUSED)


@landlocked
def test_a_process_with_threads_is_not_confined_halfway() -> None:
    code = """
import threading
from tidewaiter.engines.confinement import Reach, restrict
from tidewaiter.errors import ConfinementError
stop = threading.Event()
threading.Thread(target=stop.wait).start()
try:
    restrict(Reach())
except ConfinementError as error:
    print(error)
open("/dev/null", "w").close()
stop.set()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.startswith("2 threads run already")


def scan(*arguments: str, confine: bool, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TIDEWAITER_CONFINE": "1" if confine else "0"}
    command = [sys.executable, "-m", "tidewaiter", *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


@landlocked
def test_a_confined_scan_finds_the_same(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    shutil.copytree(ROOT / "examples" / "evidence", evidence)
    if shutil.which("suricata"):
        save(evidence, pcap(http(elf(), path="/agent.bin")))
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "bad.txt").write_text("files.example.net\n")
    (policy / "policy.toml").write_text(POLICY)
    shared = ("scan", "evidence", "--format", "jsonl", "--policy", "policy/policy.toml")
    free = scan(*shared, confine=False, cwd=tmp_path)
    made(tmp_path, "out", "state")
    stored = (*shared, "--store", "state/tides.db")
    kept = scan(*stored, "--output", "out/found.jsonl", confine=True, cwd=tmp_path)
    again = scan(*stored, confine=True, cwd=tmp_path)

    assert (free.returncode, kept.returncode, again.returncode) == (0, 0, 0), kept.stderr + again.stderr
    assert free.stdout.count("\n") > 10
    assert (tmp_path / "out" / "found.jsonl").read_text() == free.stdout
    assert "0 added, 0 updated" in again.stderr
    assert [path.name for path in tmp_path.glob("tidewaiter-*")] == []


@landlocked
def test_results_of_a_confined_scan_may_go_to_a_pipe_or_a_device(tmp_path: Path) -> None:
    evidence = str(ROOT / "examples" / "evidence" / "wharf" / "bash_history.keeper")
    piped = scan("scan", evidence, "--format", "jsonl", "--output", "/dev/stdout", confine=True, cwd=tmp_path)
    lost = scan("scan", evidence, "--format", "jsonl", "--output", "/dev/null", confine=True, cwd=tmp_path)

    assert (piped.returncode, lost.returncode) == (0, 0), piped.stderr + lost.stderr
    assert piped.stdout.count("\n") > 5
    assert lost.stdout == ""


@landlocked
def test_a_confined_report_is_written(tmp_path: Path) -> None:
    evidence = ROOT / "examples" / "evidence"
    done = scan("report", str(evidence / "wharf"), "-o", "page.html", confine=True, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir()


POLICY = """
name = "quay"

[[known_bad]]
id = "list"
reason = "seen before"
owner = "keeper"
expires = 2100-01-01
file = "bad.txt"
"""


@pytest.mark.parametrize("version", [0, 1])
def test_a_kernel_without_it_is_an_error_that_says_so(
    version: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(confinement, "abi", lambda: version)
    (tmp_path / "log").write_text("nothing")

    with pytest.raises(ConfinementError, match="--no-confine"):
        confinement.restrict(confinement.Reach())
    assert run(["scan", str(tmp_path / "log"), "--confine"]) == 1
    assert "Landlock" in capsys.readouterr().err


def test_python_and_its_packages_are_within_reach() -> None:
    places = [place.resolve() for place in confinement._of_python()]

    for module in ("json", "click", "tidewaiter", "polars"):
        spec = find_spec(module)
        assert spec is not None
        path = Path(str(spec.origin)).resolve()
        assert any(path.is_relative_to(place) for place in places), path
    assert Path("/") not in places
    assert Path.home().resolve() not in places


def test_the_search_path_brings_prefixes_but_never_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{tmp_path}/packages/bin:relative:")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)

    assert list(confinement._of_search_path()) == [
        tmp_path / "bin",
        tmp_path / "packages" / "bin",
        tmp_path / "packages",
    ]
