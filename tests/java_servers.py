"""An Apache Kafka broker and an OpenSearch node on loopback, from jars that tests/servers/install.sh fetched."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
JARS = HERE.parent / ".venv" / "servers"
JAVA = ("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
PATIENCE = 90.0
"""Seconds for a server to start on a busy machine."""


def jars(server: str) -> str:
    """The class path of a server; where it was not fetched, the test is skipped."""
    if shutil.which("java") is None or not (JARS / server / ".complete").exists():
        pytest.skip(f"no {server} here: sh tests/servers/install.sh")
    return str(JARS / server / "*")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], object], log: Path) -> None:
    """Wait until a server answers; its log is the failure where it ends before."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            ready()
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-4_000:]}")


class KafkaBroker:
    """A broker that is its own controller. It can be killed and started again on the same data and port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._jars = folder, jars("kafka")
        self.port, controller = free_port(), free_port()
        self._settings = folder / "server.properties"
        self._settings.write_text(
            "process.roles=broker,controller\nnode.id=1\nnum.partitions=3\ncontroller.listener.names=CONTROLLER\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\nlog.dirs={folder / 'data'}\n"
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}\n"
            "offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n"
            "transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        formatting = ("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(self._settings))
        subprocess.run([*JAVA, "-cp", self._jars, *formatting], check=True, capture_output=True, timeout=PATIENCE)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        log = self._folder / "broker.log"
        with log.open("ab") as out:
            command = [*JAVA, "-cp", self._jars, "kafka.Kafka", str(self._settings)]
            self._process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        wait_for(self._process, lambda: socket.create_connection(("127.0.0.1", self.port), 1).close(), log)

    def kill(self) -> None:
        """At once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None


class OpenSearchNode:
    """A node of its own cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._jars = folder, jars("opensearch")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = HERE / "servers" / "OpenSearchNode.java"
        words = (str(program), str(self._folder / "node"), str(self.port), str(free_port()))
        log = self._folder / "node.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen([*JAVA, "-cp", self._jars, *words], stdout=out, stderr=out, stdin=subprocess.PIPE)
        wait_for(self._process, lambda: urllib.request.urlopen(self.url, timeout=2).close(), log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=30)
            self._process = None
