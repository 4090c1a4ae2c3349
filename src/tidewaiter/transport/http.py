"""One HTTP client for all that post: bounded in time and size, TLS always checked, no proxy, no redirect followed.

It shows the scheme, name and port of a URL to people and nothing more of it: paths and queries of webhooks are secrets too.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from tidewaiter.errors import TidewaiterError, UsageError

LARGEST_ANSWER = 16_777_216
"""Bytes of an answer that are read; a longer one is an error."""


class HttpError(TidewaiterError):
    """No answer came, or none that can be read. The request may have been carried out all the same."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage  # names in any case
    body: bytes

    def retry_after(self) -> float | None:
        """Seconds that Retry-After asks to wait (a number or a date), or None."""
        text = self.headers.get("Retry-After", "").strip()
        with contextlib.suppress(ValueError, OverflowError):
            seconds = float(text)
            return max(0.0, seconds) if math.isfinite(seconds) else None
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())


class HttpClient:
    """Requests to one server, one at a time, over one connection that is kept open."""

    def __init__(self, url: str, *, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        """`timeout`: seconds for connecting and for each wait; a whole request gets three times as long.

        `tls`: the context for https; None: the system's authorities. Raises UsageError where the URL cannot be used.
        """
        parts = _parts(url)
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self.path = (parts.path or "/").rstrip() + (f"?{parts.query}" if parts.query else "")
        """Path and query of the URL; not for people."""
        self._timeout = timeout
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.where = f"{parts.scheme}://{shown}:{self._port}"
        """Scheme, name and port, for people."""
        self.private = self._tls is not None or _is_loopback(self._host)
        """Whether nobody on the way can read what is sent."""

    def post(self, body: bytes, headers: Mapping[str, str], path: str | None = None) -> Answer:
        """Send a POST to the path of the URL, or to another one, and read the answer whatever its status. Raises HttpError."""
        deadline = time.monotonic() + 3 * self._timeout
        reused = self._connection is not None
        try:
            return self._post(body, headers, path or self.path, deadline)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if not reused:  # the server closes connections that were idle: only then is a second try due
                raise HttpError(f"{self.where}: {_why(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise HttpError(f"{self.where}: {_why(error)}") from None
        try:
            return self._post(body, headers, path or self.path, deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise HttpError(f"{self.where}: {_why(error)}") from None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _post(self, body: bytes, headers: Mapping[str, str], path: str, deadline: float) -> Answer:
        if self._connection is None:
            self._connection = self._connect()
        with _within(self._connection.sock, deadline):
            self._connection.request("POST", path, body, dict(headers))
            answer = self._connection.getresponse()
            data = answer.read(LARGEST_ANSWER + 1)
        if len(data) > LARGEST_ANSWER:
            raise http.client.HTTPException("the answer is too long")
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        if answer.will_close:
            self.close()
        return Answer(answer.status, answer.headers, data)

    def _connect(self) -> http.client.HTTPConnection:
        made = (
            http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        )
        try:
            made.connect()
        except BaseException:  # raised again: only what was begun is undone first
            made.close()
            raise
        return made


@contextlib.contextmanager
def _within(connection: socket.socket, deadline: float) -> Iterator[None]:
    """Cut the connection at the deadline: a peer that sends a byte now and then would never let go otherwise."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # below TLS, whose own shutdown is not for other threads

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:  # no port, no address, or a name that no server can have
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("url: must be http:// or https:// with a host, in ASCII without spaces")
    if parts.username is not None or parts.password is not None:
        raise UsageError("url: must not hold a user name or password; give them as settings of their own")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: Exception) -> str:
    """What went wrong, in words that quote nothing of the request."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return f"it answered what is no HTTP ({type(error).__name__})"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
