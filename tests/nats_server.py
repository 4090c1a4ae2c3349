"""A real NATS server with JetStream, on loopback, that can be killed and started again on the same store."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest


class NatsServer:
    """One server."""

    def __init__(self, program: str, folder: Path) -> None:
        self._command = [program, "-js", "-a", "127.0.0.1", "-sd", str(folder / "store"), "-l", str(folder / "log")]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen([*self._command, "-p", str(self.port)], stdin=subprocess.DEVNULL)
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail("the NATS server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def do(self, what: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run something with a JetStream context."""

        async def run() -> Any:
            import nats

            client = await nats.connect(self.url)
            try:
                return await what(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(run())

    def publish(self, subject: str, payloads: list[bytes]) -> None:
        async def send(stream: Any) -> None:
            for payload in payloads:
                await stream.publish(subject, payload)

        self.do(send)

    def add_stream(self, name: str, **settings: Any) -> None:
        self.do(lambda stream: stream.add_stream(name=name, **settings))
