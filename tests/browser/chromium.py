"""Headless Chromium for tests: one browser, driven over its debugging pipe with the standard library alone.

The pipe (`--remote-debugging-pipe`) carries the Chrome DevTools Protocol as JSON objects that end in a zero byte, on file
descriptors 3 and 4, so that no port is opened and no WebSocket library is needed.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-extensions", "--disable-default-apps", "--remote-debugging-pipe",
)  # fmt: skip

EXCHANGE = """
import os, sys
for number, end in ((3, int(sys.argv[1])), (4, int(sys.argv[2]))):
    os.dup2(end, number)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Moves the ends of the pipe to where the browser looks for them, then becomes the browser."""

PATIENCE = 60.0
"""Seconds that one answer of the browser may take on a busy machine."""


def found() -> str | None:
    """The program, where it is installed."""
    named = os.environ.get("TIDEWAITER_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A running browser with one page. `events` holds every message that was no answer."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]  # clear of 3 and 4
        command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", EXCHANGE, *map(str, ends), *command],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._in, self._out = ours_in, ours_out
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; raises AssertionError on an error or on silence."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        limit = time.monotonic() + PATIENCE
        while True:
            answer = self._next(limit)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self, limit: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, limit - time.monotonic()))
            assert ready, "the browser did not answer in time"
            data = os.read(self._in, 1 << 20)
            assert data, "the browser has gone away"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, page: Path) -> None:
        """Load a file and wait until it is complete."""
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        limit = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next(limit))

    def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression. The page's policy does not bind the debugger."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def look(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Set the size of the window and the colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, target: Path, *, top: int = 0, height: int | None = None) -> bytes:
        """A PNG of the page from `top` on: so many pixels, or as the window shows it where no height is given."""
        params: dict[str, Any] = {"format": "png"}
        if height is not None:
            width = self.call("Page.getLayoutMetrics")["cssVisualViewport"]["clientWidth"]
            params["clip"] = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
            params["captureBeyondViewport"] = True
        data = base64.b64decode(self.call("Page.captureScreenshot", **params)["data"])
        target.write_bytes(data)
        return data

    @property
    def height(self) -> int:
        """Pixels from the top of the page to its end."""
        return int(self.call("Page.getLayoutMetrics")["cssContentSize"]["height"])

    def pdf(self, target: Path) -> bytes:
        """The page as it prints on A4."""
        data = base64.b64decode(
            self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)["data"]
        )
        target.write_bytes(data)
        return data

    def close(self) -> None:
        """End the browser that was started, and only that."""
        os.close(self._out)
        os.close(self._in)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(profile: Path) -> Iterator[Browser]:
    """A browser that ends with the block."""
    program = found()
    assert program, "chromium is not installed"
    browser = Browser(program, profile)
    try:
        yield browser
    finally:
        browser.close()
